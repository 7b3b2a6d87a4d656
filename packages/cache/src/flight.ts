/**
 * A flight is one process's attempt to obtain one key: readers that come meanwhile join it. An invalidation
 * makes the flights of its keys stale at the moment this process hears of it: they still serve the readers they
 * have, who began before, but nobody joins them any more and their value is not kept near.
 */
import type { PartitionState } from './far/partition-state.ts';

export class Flight<V = unknown> {
  readonly fullKey: string;
  readonly partition: PartitionState;
  /** Set right after it began. */
  promise: Promise<V | null> = neverFlown;
  stale = false;
  /** The shared tier's entry is none of ours, or of another shape: it must be replaced. */
  entryUnusable = false;
  /** The near session under which its latest far step was sent; -1 when no message could reach this process. */
  nearSession = -1;
  /** When its latest load began; Infinity before. */
  loadStartedAtMs = Number.POSITIVE_INFINITY;

  constructor(fullKey: string, partition: PartitionState) {
    this.fullKey = fullKey;
    this.partition = partition;
  }
}

const neverFlown: Promise<never> = new Promise(() => {});

export class Flights {
  readonly #byKey = new Map<string, Flight>();

  get(fullKey: string): Flight | undefined {
    return this.#byKey.get(fullKey);
  }

  /** Replaces a flight that is no longer joinable. */
  begin(flight: Flight): void {
    this.#byKey.set(flight.fullKey, flight);
  }

  end(flight: Flight): void {
    if (this.#byKey.get(flight.fullKey) === flight) this.#byKey.delete(flight.fullKey);
  }

  makeStale(fullKey: string): void {
    const flight = this.#byKey.get(fullKey);
    if (flight === undefined) return;
    flight.stale = true;
    this.#byKey.delete(fullKey);
  }

  makePartitionStale(partition: PartitionState): void {
    for (const [fullKey, flight] of this.#byKey) {
      if (flight.partition === partition) this.makeStale(fullKey);
    }
  }

  get size(): number {
    return this.#byKey.size;
  }
}
