/** Who reaches whom, and how long it takes. Places are machines by number, and the service's own. */
import type { Random } from '../random.ts';

/** A machine's number, or where the service runs. */
export type Place = number;
export const servicePlace: Place = -1;

export class Network {
  /** Everything on one machine: messages take next to no time and none is lost. */
  readonly #local: boolean;
  readonly #random: Random;
  readonly #cut = new Set<string>();
  /** Of messages between the service and machines. */
  lossProbability = 0;
  lateProbability = 0;
  /** What primaries send to their replicas takes so much longer, at most. */
  streamLagMs = 0;
  onDisturbance: () => void = () => {};

  constructor(random: Random, local: boolean) {
    this.#random = random;
    this.#local = local;
  }

  /** Messages from one place to the other arrive no more. */
  cut(from: Place, to: Place): void {
    this.onDisturbance();
    this.#cut.add(`${from} ${to}`);
  }

  mend(from: Place, to: Place): void {
    this.onDisturbance();
    this.#cut.delete(`${from} ${to}`);
  }

  mendAll(): void {
    this.onDisturbance();
    this.#cut.clear();
    this.lossProbability = 0;
    this.lateProbability = 0;
    this.streamLagMs = 0;
  }

  get loses(): boolean {
    return this.lossProbability > 0 || this.lateProbability > 0 || this.#cut.size > 0;
  }

  reaches(from: Place, to: Place): boolean {
    return from === to || this.#cut.size === 0 || !this.#cut.has(`${from} ${to}`);
  }

  /** A connection needs both directions. */
  connected(one: Place, other: Place): boolean {
    return this.reaches(one, other) && this.reaches(other, one);
  }

  /** Of one message that arrives. */
  delayMs(): number {
    return this.#local ? 0.05 + this.#random.next() * 0.4 : 0.2 + this.#random.next() * 3;
  }

  streamDelayMs(): number {
    return this.delayMs() + this.streamLagMs * this.#random.next();
  }

  /** Of a message between the service and a machine; undefined when it is lost. */
  messageDelayMs(from: Place, to: Place): number | undefined {
    if (!this.reaches(from, to)) {
      // It waits in a sender's buffer and arrives long after the sender gave up on it, or never.
      if (this.#local || this.#random.chance(0.7)) return undefined;
      return 200 + this.#random.next() * 6_000;
    }
    if (this.#local) return this.delayMs();
    if (this.lossProbability > 0 && this.#random.chance(this.lossProbability)) return undefined;
    if (this.lateProbability > 0 && this.#random.chance(this.lateProbability)) {
      return 100 + this.#random.next() * 5_000;
    }
    return this.delayMs();
  }
}
