/** What this process holds of one definition: what may be kept, and what may be served. */
import type { Clock } from '../clock.ts';
import type { Flight } from '../flight.ts';
import type { OwnWrites } from '../own-writes.ts';
import { freezeJson, type NearEntry, type NearTier } from './near-tier.ts';

export interface NearValuesOptions {
  /** undefined: nothing is kept. */
  readonly tier: NearTier | undefined;
  readonly clock: Clock;
  readonly boundMs: number;
  /** Only the feed's proof makes a value servable. */
  readonly proven: boolean;
  /** For so long after its end a value is still known. */
  readonly staleMs: number;
  readonly ownWrites: OwnWrites;
}

/** A value to keep. */
export interface KeptValue {
  readonly value: unknown;
  /** The JSON text that it was read from; null for absent. */
  readonly payload: string | null;
}

export class NearValues {
  readonly #o: NearValuesOptions;
  readonly #entries = new Map<string, NearEntry>();
  // Of the options, what every hit reads.
  readonly #clock: Clock;
  readonly #proven: boolean;
  readonly #ownWrites: OwnWrites;

  constructor(options: NearValuesOptions) {
    this.#o = options;
    this.#clock = options.clock;
    this.#proven = options.proven;
    this.#ownWrites = options.ownWrites;
  }

  /** One that may be served right now. */
  servable(key: string): NearEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const now = this.#clock.nowMs();
    if (entry.expiresAtMs <= now || (this.#ownWrites.used && this.#lacksOwnWrites(entry))) return undefined;
    const { partition } = entry;
    const coherentUntilMs = this.#proven ? partition.coherentUntilMs : partition.pulsedUntilMs;
    const coherent = entry.nearSession === partition.nearSession && now <= coherentUntilMs;
    return coherent || now <= entry.selfProvenUntilMs ? entry : undefined;
  }

  /** Without a feed there is no position to compare with. */
  #lacksOwnWrites({ partition }: NearEntry): boolean {
    const least = this.#proven ? this.#ownWrites.least() : undefined;
    return least !== undefined && partition.heard < least;
  }

  /** Proven or not, if it isn't older than `staleMs` past its end; one that was invalidated is not known any more. */
  lastKnown(key: string): NearEntry | undefined {
    const { clock, staleMs } = this.#o;
    const entry = this.#entries.get(key);
    return entry === undefined || clock.nowMs() > entry.expiresAtMs + staleMs ? undefined : entry;
  }

  /**
   * An entry without proof still holds its value. When the shared tier has the very same text, the same object is
   * given again: after a lost subscription nothing is parsed anew, and what callers derived from it stays true.
   */
  ofText(key: string, payload: string | null): NearEntry | undefined {
    if (payload === null || this.#o.tier === undefined) return undefined;
    const entry = this.#entries.get(key);
    return entry?.payload === payload ? entry : undefined;
  }

  /** Keeps what the shared tier gave, unless a message has overtaken it since its far step was sent. */
  keep(flight: Flight, kept: KeptValue, freshForMs: number): void {
    if (flight.nearSession !== flight.partition.nearSession || !(freshForMs > 0)) return;
    this.#put(flight, kept, {
      nearSession: flight.nearSession,
      selfProvenUntilMs: Number.NEGATIVE_INFINITY,
      expiresAtMs: this.#o.clock.nowMs() + freshForMs,
    });
  }

  /** A value that was read from the database at t holds for the bound after t whatever else is known. */
  keepSelfProven(flight: Flight, kept: KeptValue, startedAtMs: number): void {
    const until = startedAtMs + this.#o.boundMs / 2;
    this.#put(flight, kept, { nearSession: -1, selfProvenUntilMs: until, expiresAtMs: until });
  }

  #put(
    flight: Flight,
    { value, payload }: KeptValue,
    proof: Pick<NearEntry, 'nearSession' | 'selfProvenUntilMs' | 'expiresAtMs'>,
  ): void {
    const { tier } = this.#o;
    if (tier === undefined || flight.stale) return;
    const { key, partition } = flight;
    tier.put({ map: this.#entries, key, partition, value: freezeJson(value), payload, ...proof });
  }

  forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#o.tier?.remove(entry);
  }

  forgetAll(): void {
    for (const entry of [...this.#entries.values()]) this.#o.tier?.remove(entry);
  }
}
