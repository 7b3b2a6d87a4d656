/**
 * A flight is one process's attempt to obtain one key: readers that come meanwhile join it. An invalidation
 * makes the flights of its keys stale at the moment this process hears of it: they still serve the readers they
 * have, who began before, but nobody joins them any more and their value is not kept near.
 */
import type { PartitionState } from './far/partition-state.ts';

export interface FlightStart {
  readonly argument: unknown;
  /** As the definition's `key` gave it. */
  readonly key: string;
  readonly fullKey: string;
  readonly hash: number;
  readonly partition: PartitionState;
  /** Nothing may be served that lacks changes up to here, 16 hex digits; undefined for no such wish. */
  readonly least: string | undefined;
}

export class Flight<V = unknown> implements FlightStart {
  readonly argument: unknown;
  readonly key: string;
  readonly fullKey: string;
  readonly hash: number;
  readonly partition: PartitionState;
  readonly least: string | undefined;
  /** Set right after it began. */
  promise: Promise<V | null> = neverFlown;
  stale = false;
  /** The shared tier's entry is none of ours, or of another shape: it must be replaced. */
  entryUnusable = false;
  /** The near session under which its latest far step was sent; -1 when no message could reach this process. */
  nearSession = -1;
  /** When its latest load began; Infinity before. */
  loadStartedAtMs = Number.POSITIVE_INFINITY;
  /** The next one of the same slot. */
  next: Flight<V> | undefined;

  constructor({ argument, key, fullKey, hash, partition, least }: FlightStart) {
    this.argument = argument;
    this.key = key;
    this.fullKey = fullKey;
    this.hash = hash;
    this.partition = partition;
    this.least = least;
  }
}

const neverFlown: Promise<never> = new Promise(() => {});

const slotCount = 1_024;

/**
 * The flights under way, by key. Chains in a fixed array rather than a Map: flights come and go with every read,
 * so a Map grows a new table every few dozen of them, and each old table, once the collector has moved it to the
 * old space, keeps alive what it last held. That cost a third of a read's CPU.
 */
export class Flights {
  readonly #slots: (Flight | undefined)[] = new Array(slotCount).fill(undefined);

  get(fullKey: string, hash: number): Flight | undefined {
    let flight = this.#slots[hash % slotCount];
    while (flight !== undefined && flight.fullKey !== fullKey) flight = flight.next;
    return flight;
  }

  /** Replaces a flight that is no longer joinable. */
  begin(flight: Flight): void {
    const { fullKey, hash } = flight;
    const present = this.get(fullKey, hash);
    if (present !== undefined) this.#remove(present);
    flight.next = this.#slots[hash % slotCount];
    this.#slots[hash % slotCount] = flight;
  }

  /** Does nothing when it was replaced. */
  end(flight: Flight): void {
    this.#remove(flight);
  }

  makeStale(fullKey: string, hash: number): void {
    const flight = this.get(fullKey, hash);
    if (flight === undefined) return;
    flight.stale = true;
    this.#remove(flight);
  }

  makePartitionStale(partition: PartitionState): void {
    this.#makeStale((flight) => flight.partition === partition);
  }

  /** @param prefix of a definition. */
  makePrefixStale(prefix: string): void {
    this.#makeStale((flight) => flight.fullKey.startsWith(prefix));
  }

  #makeStale(which: (flight: Flight) => boolean): void {
    for (const slot of this.#slots) {
      for (let flight = slot; flight !== undefined; ) {
        const { next } = flight;
        if (which(flight)) this.makeStale(flight.fullKey, flight.hash);
        flight = next;
      }
    }
  }

  #remove(flight: Flight): void {
    const slot = flight.hash % slotCount;
    let before: Flight | undefined;
    for (let at = this.#slots[slot]; at !== undefined; before = at, at = at.next) {
      if (at !== flight) continue;
      if (before === undefined) this.#slots[slot] = flight.next;
      else before.next = flight.next;
      flight.next = undefined;
      return;
    }
  }
}
