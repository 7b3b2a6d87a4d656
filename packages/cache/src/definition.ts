/** One kind of cached thing: its key, its loader, how long it lasts, and which rows it depends on. */
import { BatchLoader, type Load, type LoadMany } from './batch-loader.ts';
import type { Clock } from './clock.ts';
import { decodeEntry } from './entry.ts';
import { CacheConfigError, InvalidationPendingError } from './errors.ts';
import type { FarTier } from './far/far-tier.ts';
import { hashKey, valueKey } from './far/partition.ts';
import type { PartitionState } from './far/partition-state.ts';
import { Flight, type Flights } from './flight.ts';
import type { LoadGate } from './loads.ts';
import type { NearEntry, NearTier } from './near/near-tier.ts';
import { type FarReply, ReadPath, type ReadRequest } from './read-path.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';
import { type DefinitionStats, emptyDefinitionStats } from './stats.ts';

/** A row as the feed sees it: text, or null. A column that the database didn't send reads as null. */
export type WatchedRow = Readonly<Record<string, string | null>>;

/** Keys of arguments, as `key` of the definition would give them. */
export type WatchedKeys = string | number | null | undefined | readonly (string | number)[];

/**
 * Rows of `table` decide entries of this definition. `key` is called with the old and with the new row; it must
 * be pure, and read only columns of the table's replica identity, so that a deletion names them too.
 */
export interface Watch {
  /** With its schema: `public.products`. */
  readonly table: string;
  readonly key: (row: WatchedRow) => WatchedKeys;
  /**
   * Rows of this table are only ever inserted, so `key` may read any column. An update or a deletion all the
   * same voids the whole cache, which is right but dear.
   */
  readonly appendOnly?: boolean;
}

export interface DefinitionOptions<A, V> {
  /** Letters, digits, `_`, `.` and `-`; unique in the cache. */
  readonly name: string;
  /** Of the value's shape; part of the key, so old and new releases don't read each other's entries. */
  readonly version?: number;
  readonly key: (argument: A) => string | number;
  /** Must read the primary database; begins only after the cache asked it to. */
  readonly load: Load<A, V>;
  /** Used when several are missing at once. */
  readonly loadMany?: LoadMany<A, V>;
  /** Values that it refuses are misses when cached, and errors when loaded. Must answer synchronously. */
  readonly schema?: StandardSchemaV1<V>;
  /** A value is dropped after this; the backstop for what no feed can see. Default 60,000. */
  readonly freshMs?: number;
  /** Each lifetime is shortened by up to this part, at random. 0 to 1, default 0.1. */
  readonly jitter?: number;
  /** How long "there is no such thing" is kept. Default 5,000. */
  readonly absentMs?: number;
  readonly watches?: readonly Watch[];
}

/** What `explain` found. For people; the fields may grow. */
export interface Explanation {
  readonly key: string;
  readonly partition: number;
  /** Where a read would be served from now. */
  readonly tier: 'near' | 'far' | 'database';
  /** Since the fill, by the engine's clock; null when there is no entry. */
  readonly ageMs: number | null;
  /** Log position that the entry certainly contains, hex. */
  readonly position: string | null;
  readonly epoch: string | null;
  /** Since when, at most, the feed's proof is; null while unknown. */
  readonly feedAgeMs: number | null;
  readonly why: string;
}

/** What a definition needs of its cache. */
export interface DefinitionHost {
  readonly name: string;
  readonly far: FarTier;
  readonly near: NearTier | undefined;
  readonly flights: Flights;
  readonly gate: LoadGate;
  readonly clock: Clock;
  readonly random: () => number;
  readonly boundMs: number;
  readonly loadTimeoutMs: number;
  readonly nextOwner: () => string;
  readonly ensureState: (partition: PartitionState) => Promise<void>;
  /** Resolves when the shared tier confirmed; rejects with InvalidationPendingError. */
  readonly invalidateFar: (partition: PartitionState, fullKeys: readonly string[]) => Promise<void>;
}

const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;

export class Definition<A, V> {
  readonly name: string;
  /** `<name>:<version>:`, which precedes every key of this definition. */
  readonly prefix: string;
  readonly watches: readonly Watch[];
  readonly stats: DefinitionStats = emptyDefinitionStats();
  readonly #host: DefinitionHost;
  readonly #keyOf: (argument: A) => string | number;
  readonly #nearMap = new Map<string, NearEntry>();
  readonly #clock: Clock;
  readonly #watched: boolean;
  readonly #path: ReadPath<V>;
  readonly #loader: BatchLoader<A, V>;

  /** Throws CacheConfigError. */
  constructor(host: DefinitionHost, options: DefinitionOptions<A, V>) {
    const { freshMs = 60_000, absentMs = 5_000, jitter = 0.1, version = 1 } = options;
    checkOptions({ ...options, freshMs, absentMs, jitter, version });
    this.#host = host;
    this.#clock = host.clock;
    this.#keyOf = options.key;
    this.name = options.name;
    this.prefix = `${options.name}:${version}:`;
    this.watches = options.watches ?? [];
    this.#watched = this.watches.length > 0;
    this.#path = new ReadPath<V>({
      ...host,
      cache: host.name,
      definition: options.name,
      nearMap: this.#nearMap,
      schema: options.schema,
      freshMs,
      absentMs,
      jitter,
      watched: this.#watched,
      stats: this.stats,
    });
    this.#loader = new BatchLoader<A, V>({
      cache: host.name,
      definition: options.name,
      gate: host.gate,
      clock: host.clock,
      load: options.load,
      loadMany: options.loadMany,
      schema: options.schema,
      stats: this.stats,
    });
  }

  /**
   * The value from this process, if it may be served right now: null when it is known to be absent, undefined
   * when it has to be asked for with `get`. Synchronous, never touches the network. The value is frozen and
   * shared with all other readers.
   */
  near(argument: A): V | null | undefined {
    const entry = this.#nearMap.get(String(this.#keyOf(argument)));
    if (entry === undefined) return undefined;
    const now = this.#clock.nowMs();
    if (!this.#servable(entry, now)) return undefined;
    entry.touched = true;
    this.stats.nearHits += 1;
    return entry.value as V | null;
  }

  /**
   * The value: from this process, from the shared tier, or loaded; null when there is none. Never older than
   * the cache's `boundMs`, never older than an invalidation that this process had heard of when it was called.
   *
   * Rejects only with the loader's own error, LoadTimeoutError, LoadQueueError or CacheValueError. The value
   * may be frozen and shared: don't change it. Costs one round trip on a hit of the shared tier; a miss adds
   * one, the load, and one more for the fill.
   */
  get(argument: A): Promise<V | null> {
    const near = this.near(argument);
    if (near !== undefined) return Promise.resolve(near);
    const key = String(this.#keyOf(argument));
    const joined = this.#joinable(this.prefix + key);
    if (joined !== undefined) return joined.promise;
    const request = this.#begin(argument, key);
    const { flight } = request;
    flight.promise = this.#path.read(request);
    return flight.promise;
  }

  /**
   * The values in the order of `args`, each under the contract of `get`. One round trip per partition for all
   * that aren't near, and one `loadMany` for those that are missing.
   */
  many(args: readonly A[]): Promise<(V | null)[]> {
    const groups = new Map<PartitionState, ReadRequest<V>[]>();
    const results = args.map((argument): V | null | Flight<V> => {
      const near = this.near(argument);
      if (near !== undefined) return near;
      const key = String(this.#keyOf(argument));
      const joined = this.#joinable(this.prefix + key);
      if (joined !== undefined) return joined;
      const request = this.#begin(argument, key);
      const { partition } = request.flight;
      const group = groups.get(partition) ?? [];
      groups.set(partition, group);
      group.push(request);
      return request.flight;
    });
    for (const [partition, group] of groups) this.#readGroup(partition, group);
    return Promise.all(results.map((result) => (result instanceof Flight ? result.promise : result)));
  }

  /**
   * Runs `save`, which writes to the database and returns after its commit; then invalidates; then loads anew,
   * so that the next reader finds the value. Resolves with what `save` returned as soon as the shared tier has
   * confirmed the invalidation; if `save` rejects, so does this and nothing is invalidated.
   *
   * It never stores the value that was written: two writers could store theirs in another order than the
   * database committed them. Only what a loader read after the invalidation is stored.
   *
   * When the shared tier can't be reached the invalidation is repeated in the background until it is confirmed
   * (the feed, where there is one, carries the change as well); the write still succeeds.
   */
  async write<R>(argument: A, save: () => Promise<R>): Promise<R> {
    const result = await save();
    try {
      await this.invalidate(argument);
    } catch (error) {
      if (!(error instanceof InvalidationPendingError)) throw error;
    }
    this.get(argument).catch(() => {});
    return result;
  }

  /**
   * To be called after the commit of a change. This process stops serving the old value before the call
   * returns; when the promise resolves, the shared tier has removed it, refuses every fill that was begun
   * before, and has told all other processes. Rejects with InvalidationPendingError when the shared tier could
   * not be reached; it is then repeated until it is.
   */
  invalidate(argument: A): Promise<void> {
    const fullKey = this.prefix + String(this.#keyOf(argument));
    return this.#host.invalidateFar(this.#host.far.partitionOf(hashKey(fullKey)), [fullKey]);
  }

  /** Where this key stands and why. Reads the shared tier, loads nothing. */
  async explain(argument: A): Promise<Explanation> {
    const { far, clock } = this.#host;
    const key = String(this.#keyOf(argument));
    const fullKey = this.prefix + key;
    const partition = far.partitionOf(hashKey(fullKey));
    const near = this.#nearMap.get(key);
    const servedNear = near !== undefined && this.#servable(near, clock.nowMs());
    const about = { key: fullKey, partition: partition.keys.index };
    const none = { ageMs: null, position: null, epoch: null };
    const feedAge = (): number | null => {
      const age = partition.beatAgeMs(clock.nowMs());
      return Number.isNaN(age) ? null : age;
    };
    const elsewhere = servedNear ? 'near' : 'database';
    let reply: readonly (string | null)[];
    try {
      reply = await far.read(partition, [valueKey(partition.keys, fullKey), partition.keys.beat]);
    } catch {
      return { ...about, ...none, tier: elsewhere, feedAgeMs: null, why: 'The shared tier is down.' };
    }
    const [text = null, beat = null] = reply;
    const verdict = partition.judge(beat, clock.nowMs());
    const feedAgeMs = feedAge();
    const entry = text === null || beat === null ? undefined : decodeEntry(text, beat.slice(0, 12));
    if (entry === undefined) {
      const why =
        text === null ? 'The shared tier has no entry.' : 'The entry is of another epoch or format.';
      return { ...about, ...none, tier: elsewhere, feedAgeMs, why };
    }
    const usable = verdict === 'fresh' || (!this.#watched && verdict === 'stale');
    return {
      ...about,
      tier: servedNear ? 'near' : usable ? 'far' : 'database',
      ageMs: partition.clock.engineNowMs(clock.nowMs()) - entry.filledAtMs,
      position: entry.position,
      epoch: entry.epoch,
      feedAgeMs,
      why: usable ? 'The entry is current.' : `The feed has not proved the entry: its beat is ${verdict}.`,
    };
  }

  /** Drops one key of this process's tier. @internal */
  forget(key: string): void {
    const entry = this.#nearMap.get(key);
    if (entry !== undefined) this.#host.near?.remove(entry);
  }

  #servable(entry: NearEntry, now: number): boolean {
    if (entry.expiresAtMs <= now) return false;
    if (now <= entry.selfProvenUntilMs) return true;
    const { partition } = entry;
    if (entry.nearSession !== partition.nearSession) return false;
    return now <= (this.#watched ? partition.coherentUntilMs : partition.pulsedUntilMs);
  }

  #begin(argument: A, key: string): ReadRequest<V> {
    const fullKey = this.prefix + key;
    const hash = hashKey(fullKey);
    const partition = this.#host.far.partitionOf(hash);
    const flight = new Flight<V>(fullKey, partition);
    this.#host.flights.begin(flight);
    const place = { partition, fullKey, hash };
    return { flight, place, key, load: (onStart) => this.#loader.load(argument, key, onStart) };
  }

  /**
   * A flight that a reader who begins now may join. If messages are proven current, an invalidation would have
   * made it stale. If not, its load must have begun recently: joining an older one could exceed the bound.
   */
  #joinable(fullKey: string): Flight<V> | undefined {
    const { flights, boundMs } = this.#host;
    const flight = flights.get(fullKey) as Flight<V> | undefined;
    if (flight === undefined || flight.stale) return undefined;
    const now = this.#clock.nowMs();
    const { partition } = flight;
    if (now <= (this.#watched ? partition.coherentUntilMs : partition.pulsedUntilMs)) return flight;
    return now - flight.loadStartedAtMs <= boundMs / 2 ? flight : undefined;
  }

  /** One MGET for all of the group; a failed one leaves each to find out for itself. */
  #readGroup(partition: PartitionState, group: readonly ReadRequest<V>[]): void {
    const keys = group.map((request) => valueKey(partition.keys, request.flight.fullKey));
    for (const request of group) request.flight.nearSession = partition.nearSessionNow();
    const replies = partition.usable
      ? this.#host.far.read(partition, [...keys, partition.keys.beat]).catch(() => undefined)
      : Promise.resolve(undefined);
    for (const [index, request] of group.entries()) {
      const first = replies.then(
        (reply): FarReply | undefined => reply && [reply[index] ?? null, reply.at(-1) ?? null],
      );
      request.flight.promise = this.#path.read(request, first);
    }
  }
}

function checkOptions(options: {
  readonly name: string;
  readonly version: number;
  readonly freshMs: number;
  readonly absentMs: number;
  readonly jitter: number;
  readonly watches?: readonly Watch[];
}): void {
  const { name, version, freshMs, absentMs, jitter } = options;
  const refuse = (message: string): never => {
    throw new CacheConfigError(`Definition ${JSON.stringify(name)}: ${message}`);
  };
  if (!namePattern.test(name)) refuse('`name` takes 1 to 64 letters, digits, "_", "." and "-".');
  if (!Number.isSafeInteger(version) || version < 0) refuse('`version` must be a whole number from 0.');
  if (!(freshMs >= 1 && Number.isFinite(freshMs))) refuse('`freshMs` must be at least 1.');
  if (!(absentMs >= 1 && Number.isFinite(absentMs))) refuse('`absentMs` must be at least 1.');
  if (!(jitter >= 0 && jitter <= 1)) refuse('`jitter` must be between 0 and 1.');
  for (const { table } of options.watches ?? []) {
    if (!/^[^.]+\.[^.]+$/.test(table)) refuse(`watched table ${table} needs its schema: public.${table}.`);
  }
}
