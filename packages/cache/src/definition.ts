/** One kind of cached thing: its key, its loader, how long it lasts, and which rows it depends on. */
import { BatchLoader, type Load, type LoadMany } from './batch-loader.ts';
import type { Clock } from './clock.ts';
import type { Transaction } from './database.ts';
import { decodeEntry } from './entry.ts';
import { CacheConfigError, CacheValueError, InvalidationPendingError } from './errors.ts';
import type { FarTier } from './far/far-tier.ts';
import { hashKey } from './far/partition.ts';
import type { PartitionState } from './far/partition-state.ts';
import { voidedThrough, voidHashOf } from './far/voids.ts';
import { Flight, type Flights } from './flight.ts';
import type { LifetimeOptions } from './lifetime.ts';
import type { LoadGate } from './loads.ts';
import type { HotKeys } from './near/hot-keys.ts';
import type { NearEntry, NearTier } from './near/near-tier.ts';
import { NearValues } from './near/near-values.ts';
import type { OwnWrites } from './own-writes.ts';
import { ReadPath } from './read-path.ts';
import type { SharedTier } from './shared-tier.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';
import { type DefinitionStats, emptyDefinitionStats } from './stats.ts';

/** A row as the feed sees it: text, or null. A column that the database didn't send reads as null. */
export type WatchedRow = Readonly<Record<string, string | null>>;

/** Keys of arguments, as `key` of the definition would give them. */
export type WatchedKeys = string | number | null | undefined | readonly (string | number)[];

/**
 * Rows of `table` decide entries. `key` names those of this definition, `tags` the tags to invalidate, of whatever
 * definition; at least one of the two. They are called with the old and with the new row; they must be pure, and
 * read only columns of the table's replica identity, so that a deletion names them too.
 */
export interface Watch {
  /** With its schema: `public.products`. */
  readonly table: string;
  readonly key?: (row: WatchedRow) => WatchedKeys;
  readonly tags?: (row: WatchedRow) => readonly string[];
  /**
   * Rows of this table are only ever inserted, so the functions may read any column. An update or a deletion all
   * the same voids what watches it, which is right but dear.
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
  /**
   * How long a value is served as it is; the backstop for what no feed can see. Afterwards it is dropped, or
   * loaded anew, see `staleMs`. Default 60,000.
   */
  readonly freshMs?: number;
  /**
   * For so long after `freshMs` a value is still served at once, while one process loads it anew. Only its age
   * differs: a value that was invalidated is never served, fresh or stale. Default 0.
   */
  readonly staleMs?: number;
  /** Each lifetime is shortened by up to this part, at random. 0 to 1, default 0.1. */
  readonly jitter?: number;
  /** How long "there is no such thing" is kept. Default 5,000. */
  readonly absentMs?: number;
  readonly timeout?: {
    /** A load that takes longer fails with LoadTimeoutError, and its signal aborts. Default `loads.timeoutMs`. */
    readonly hardMs?: number;
    /** A read that takes longer gives the last known value, if `onError` allows it; the load goes on. Default never. */
    readonly softMs?: number;
  };
  /**
   * What a read gives when its load fails. 'throw', the default: the loader's error. 'stale': the value that this
   * process knew last, up to `staleMs` past its freshness; its cost is the promise: with the feed down as well,
   * such a value may have been replaced longer than `boundMs` ago. One that is known to be replaced is not given.
   */
  readonly onError?: 'throw' | 'stale';
  /**
   * Names under which values can be invalidated together, see `Cache.invalidateTag`. At most 32 of 200 characters.
   * They may depend on the value: an invalidation during the load isn't lost.
   */
  readonly tags?: (value: V, argument: A) => readonly string[];
  /** A value whose JSON is longer, in UTF-16 code units, is served but not kept. Default 4,194,304. */
  readonly maxValueLength?: number;
  /** JSON longer than this is compressed in the shared tier, at the cost of CPU on each far hit. Default never. */
  readonly compressAboveLength?: number;
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

/** A read that was served from the cache, to be checked. */
export interface HitSample {
  readonly definition: string;
  readonly key: string;
  /** Of what is cached now with the database; 'unknown' when it changes meanwhile. Rejects with the load's error. */
  compare(): Promise<'equal' | 'different' | 'unknown'>;
}

/** What a definition needs of its cache. */
export interface DefinitionHost extends TierHost {
  readonly far: FarTier;
}

export interface TierHost {
  readonly name: string;
  readonly tier: SharedTier;
  readonly near: NearTier | undefined;
  readonly flights: Flights;
  readonly gate: LoadGate;
  readonly clock: Clock;
  readonly random: () => number;
  readonly boundMs: number;
  readonly loadTimeoutMs: number;
  readonly nextOwner: () => string;
  readonly ensureState: (partition: PartitionState) => Promise<void>;
  /** Do values that watch tables need the feed's proof? */
  readonly bounded: boolean;
  readonly watermark: (() => Promise<string>) | undefined;
  readonly ownWrites: OwnWrites;
  readonly hotKeys: HotKeys;
  /** Given when reads are to be checked. */
  readonly checker: { readonly readsUntilSample: () => number; note(sample: HitSample): void } | undefined;
  readonly touch: (transaction: Transaction, fullKeys: readonly string[], strict: boolean) => Promise<void>;
  /** Resolves when the shared tier confirmed; rejects with InvalidationPendingError. */
  readonly invalidateFar: (partition: PartitionState, fullKeys: readonly string[]) => Promise<void>;
}

const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;
/** A timer can't be set for longer. */
const longestMs = 2 ** 31 - 1;
const checkAttempts = 3;
/**
 * For `hotKeys`. A prime, so that pages that read the same number of keys each don't show the same one each time; and
 * large, for where all keys are read alike a sample costs some microseconds.
 */
const readsPerSample = 499;
const maxTags = 32;
const maxTagLength = 200;

export class Definition<A, V> {
  readonly name: string;
  /** `<name>:<version>:`, which precedes every key of this definition. */
  readonly prefix: string;
  /** Names it in a partition's list of void definitions. @internal */
  readonly voidHash: string;
  readonly watches: readonly Watch[];
  /** Only the feed's proof makes a value usable. */
  readonly proven: boolean;
  readonly stats: DefinitionStats = emptyDefinitionStats();
  readonly #host: TierHost;
  readonly #keyOf: (argument: A) => string | number;
  readonly #near: NearValues;
  readonly #clock: Clock;
  readonly #ownWrites: OwnWrites;
  /** Reads that went further than this process. */
  #furtherReads = 0;
  #untilCheck = 1;
  readonly #checked: boolean;
  readonly #path: ReadPath<V>;
  readonly #loader: BatchLoader<A, V>;

  /** Throws CacheConfigError. */
  constructor(host: TierHost, options: DefinitionOptions<A, V>) {
    const settings = checkOptions(options, host.loadTimeoutMs);
    const { schema } = options;
    this.#host = host;
    this.#clock = host.clock;
    this.#ownWrites = host.ownWrites;
    this.#checked = host.checker !== undefined;
    this.#keyOf = options.key;
    this.name = options.name;
    this.prefix = `${options.name}:${settings.version}:`;
    this.voidHash = voidHashOf(this.prefix);
    this.watches = options.watches ?? [];
    this.proven = this.watches.length > 0 && host.bounded;
    this.#near = new NearValues({
      tier: host.near,
      clock: host.clock,
      boundMs: host.boundMs,
      proven: this.proven,
      staleMs: settings.staleMs,
      ownWrites: host.ownWrites,
    });
    this.#loader = new BatchLoader<A, V>({
      cache: host.name,
      definition: options.name,
      gate: host.gate,
      clock: host.clock,
      load: options.load,
      loadMany: options.loadMany,
      schema,
      hardMs: settings.hardMs,
      lastKnown: (key) => this.#near.lastKnown(key)?.value as V | null | undefined,
      stats: this.stats,
    });
    this.#path = new ReadPath<V>({
      ...host,
      ...settings,
      cache: host.name,
      definition: options.name,
      voidHash: this.voidHash,
      near: this.#near,
      schema,
      lifetime: settings,
      proven: this.proven,
      stats: this.stats,
      averageLoadMs: () => this.#loader.averageMs,
      load: ({ argument, key }, onStart) => this.#loader.load(argument as A, key, onStart),
      tagsOf: (value, { argument }) =>
        options.tags === undefined ? [] : checkTags(options.name, options.tags(value, argument as A)),
    });
  }

  /**
   * The value from this process, if it may be served right now: null when it is known to be absent, undefined
   * when it has to be asked for with `get`. Synchronous, never touches the network. The value is frozen and
   * shared with all other readers.
   */
  near(argument: A): V | null | undefined {
    const entry = this.#nearEntry(String(this.#keyOf(argument)));
    return entry === undefined ? undefined : (entry.value as V | null);
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
    const key = String(this.#keyOf(argument));
    if (this.#checked) this.#countForCheck(argument, key);
    const near = this.#nearEntry(key);
    if (near !== undefined) {
      near.promise ??= Promise.resolve(near.value);
      return near.promise as Promise<V | null>;
    }
    const fullKey = this.prefix + key;
    this.#furtherReads += 1;
    if (this.#furtherReads % readsPerSample === 0) this.#host.hotKeys.note(fullKey);
    const hash = hashKey(fullKey);
    const joined = this.#joinable(fullKey, hash);
    if (joined !== undefined) return joined.promise;
    const flight = this.#flight(argument, { key, fullKey, hash });
    this.#host.flights.begin(flight);
    flight.promise = this.#path.read(flight);
    return flight.promise;
  }

  /**
   * The values in the order of `args`, each under the contract of `get`. One round trip per partition for all
   * that aren't near, and one `loadMany` for those that are missing. Reads that are asked for in one go share
   * their round trip anyway; this says it, and keeps the order.
   */
  many(args: readonly A[]): Promise<(V | null)[]> {
    return Promise.all(args.map((argument) => this.get(argument)));
  }

  /**
   * The value if it is cached and may be served, else undefined; null: known to be absent. Loads nothing, waits
   * for no load. Never rejects: with the shared tier down nothing but near values is known.
   */
  async peek(argument: A): Promise<V | null | undefined> {
    const near = this.near(argument);
    if (near !== undefined) return near;
    const key = String(this.#keyOf(argument));
    const fullKey = this.prefix + key;
    return this.#path.peek(this.#flight(argument, { key, fullKey, hash: hashKey(fullKey) }));
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
   *
   * Without `watches` this, tags and `freshMs` are all that keep values right, for whatever loaders read: a database,
   * an HTTP API. Promised is that no load that began before it leaves its value behind (a generation that the load's
   * token carries). Not promised: that what loaders read shows the change by then, so call it when it does; after a
   * webhook that runs ahead of its source call it again. And a failover of the engine that loses it is not repaired,
   * as a feed would: `freshMs` is the bound then.
   */
  invalidate(argument: A): Promise<void> {
    const fullKey = this.prefix + String(this.#keyOf(argument));
    return this.#host.invalidateFar(this.#host.tier.partitionOf(hashKey(fullKey)), [fullKey]);
  }

  /**
   * To be called inside of a transaction whose commit will change this value in a way that no watch sees: its
   * commit invalidates the key, a rollback doesn't. It travels with the transaction through the database's log
   * to the feed, so it is as durable as the change itself. Costs a statement; the cache's `database` must be able
   * to carry messages (postgresDatabase: PostgreSQL 14, fed by logical replication).
   *
   * `strict`: the entry goes now, and nothing is filled in its place before the transaction has ended, so that
   * from the moment COMMIT returns the shared tier holds nothing older. (Near tiers of other processes hear of it
   * by the time of a message.) Its cost: a step of the shared tier inside of the transaction, and loads that go
   * past the cache until the feed has seen the end, some tens of milliseconds. Works for watched rows as well.
   *
   * Rejects with CacheConfigError, with AnnouncementError when `strict` can't be kept, and with the database's
   * own error.
   */
  touch(
    transaction: Transaction,
    argument: A,
    { strict = false }: { readonly strict?: boolean } = {},
  ): Promise<void> {
    return this.#host.touch(transaction, [this.prefix + String(this.#keyOf(argument))], strict);
  }

  /** Where this key stands and why. Reads the shared tier, loads nothing. */
  async explain(argument: A): Promise<Explanation> {
    const { tier, clock } = this.#host;
    const key = String(this.#keyOf(argument));
    const fullKey = this.prefix + key;
    const partition = tier.partitionOf(hashKey(fullKey));
    const servedNear = this.#near.servable(key) !== undefined;
    const about = { key: fullKey, partition: partition.keys.index };
    const none = { ageMs: null, position: null, epoch: null };
    const feedAge = (): number | null => {
      const age = tier.feedAgeMs(partition);
      return Number.isNaN(age) ? null : age;
    };
    const elsewhere = servedNear ? 'near' : 'database';
    let found: Awaited<ReturnType<SharedTier['reads']['readPrimary']>>;
    try {
      found = await tier.reads.readPrimary(partition, fullKey);
    } catch {
      return { ...about, ...none, tier: elsewhere, feedAgeMs: null, why: 'The shared tier is down.' };
    }
    const { text, proof } = found;
    const { verdict } = proof;
    const feedAgeMs = feedAge();
    const entry = text === null || proof.epoch === '' ? undefined : decodeEntry(text, proof.epoch);
    if (entry === undefined) {
      const why =
        text === null ? 'The shared tier has no entry.' : 'The entry is of another epoch or format.';
      return { ...about, ...none, tier: elsewhere, feedAgeMs, why };
    }
    const isVoid = entry.position < voidedThrough(proof.voids, this.voidHash);
    const usable = !isVoid && (verdict === 'fresh' || (!this.proven && verdict === 'stale'));
    return {
      ...about,
      tier: servedNear ? 'near' : usable ? 'far' : 'database',
      ageMs: partition.clock.engineNowMs(clock.nowMs()) - entry.filledAtMs,
      position: entry.position,
      epoch: entry.epoch,
      feedAgeMs,
      why: usable
        ? 'The entry is current.'
        : isVoid
          ? 'Everything of this definition was made void after the fill.'
          : `The feed has not proved the entry: its beat is ${verdict}.`,
    };
  }

  /** Drops one key of this process's tier. @internal */
  forget(key: string): void {
    this.#near.forget(key);
  }

  /** Drops everything that this process holds of it. @internal */
  forgetAll(): void {
    this.#near.forgetAll();
    this.#host.flights.makePrefixStale(this.prefix);
  }

  #countForCheck(argument: A, key: string): void {
    this.#untilCheck -= 1;
    if (this.#untilCheck > 0) return;
    this.#untilCheck = this.#host.checker!.readsUntilSample();
    this.#host.checker!.note({
      definition: this.name,
      key,
      compare: async () => {
        for (let attempt = 0; attempt < checkAttempts; attempt += 1) {
          const before = await this.peek(argument);
          // What isn't cached can't be wrong.
          if (before === undefined) return 'equal';
          const loaded = await this.#loader.load(argument, key, () => {});
          const after = await this.peek(argument);
          const text = JSON.stringify(before);
          if (text === (loaded.payload ?? 'null')) return 'equal';
          if (after !== undefined && JSON.stringify(after) === text) return 'different';
        }
        return 'unknown';
      },
    });
  }

  /** One that may be served right now. */
  #nearEntry(key: string): NearEntry | undefined {
    const entry = this.#near.servable(key);
    if (entry === undefined) return undefined;
    if (!entry.touched) entry.touched = true;
    this.stats.nearHits += 1;
    // No counter of its own: one more field to write took a fifth of a near read.
    if (this.stats.nearHits % readsPerSample === 0) this.#host.hotKeys.note(this.prefix + key);
    return entry;
  }

  /** What the running session must see. Without a feed there is no position to compare with. */
  #least(): string | undefined {
    return this.proven ? this.#ownWrites.least() : undefined;
  }

  #flight(argument: A, place: { key: string; fullKey: string; hash: number }): Flight<V> {
    const { key, fullKey, hash } = place;
    const partition = this.#host.tier.partitionOf(hash);
    return new Flight<V>({ argument, key, fullKey, hash, partition, least: this.#least() });
  }

  /**
   * A flight that a reader who begins now may join. If messages are proven current, an invalidation would have
   * made it stale. If not, its load must have begun recently: joining an older one could exceed the bound.
   */
  #joinable(fullKey: string, hash: number): Flight<V> | undefined {
    const { flights, boundMs } = this.#host;
    const flight = flights.get(fullKey, hash) as Flight<V> | undefined;
    if (flight === undefined || flight.stale) return undefined;
    // It may have begun before the reader's own change.
    if (this.#least() !== undefined) return undefined;
    const now = this.#clock.nowMs();
    const { partition } = flight;
    if (now <= (this.proven ? partition.coherentUntilMs : partition.pulsedUntilMs)) return flight;
    return now - flight.loadStartedAtMs <= boundMs / 2 ? flight : undefined;
  }
}

function checkTags(definition: string, tags: readonly string[]): readonly string[] {
  const fits = (tag: unknown): boolean =>
    typeof tag === 'string' && tag.length > 0 && tag.length <= maxTagLength;
  if (Array.isArray(tags) && tags.length <= maxTags && tags.every(fits)) return tags;
  throw new CacheValueError(
    `\`tags\` of ${definition} must give at most ${maxTags} texts of 1 to ${maxTagLength} characters.`,
  );
}

interface Settings extends LifetimeOptions {
  readonly version: number;
  readonly hardMs: number;
  readonly softMs: number;
  readonly servesLastKnown: boolean;
  readonly maxValueLength: number;
  readonly compressAboveLength: number;
}

function checkOptions<A, V>(options: DefinitionOptions<A, V>, loadTimeoutMs: number): Settings {
  const { name, freshMs = 60_000, staleMs = 0, absentMs = 5_000, jitter = 0.1, version = 1 } = options;
  const { maxValueLength = 4 * 2 ** 20, compressAboveLength = Number.POSITIVE_INFINITY } = options;
  const { hardMs = loadTimeoutMs, softMs = Number.POSITIVE_INFINITY } = options.timeout ?? {};
  const refuse = (message: string): never => {
    throw new CacheConfigError(`Definition ${JSON.stringify(name)}: ${message}`);
  };
  const atLeast = (option: string, value: number, least: number): void => {
    if (!(value >= least)) refuse(`\`${option}\` must be at least ${least}.`);
  };
  const finite = (option: string, value: number, least: number): void => {
    if (!(value >= least && value <= longestMs)) {
      refuse(`\`${option}\` must be at least ${least}, and at most ${longestMs}.`);
    }
  };
  if (!namePattern.test(name)) refuse('`name` takes 1 to 64 letters, digits, "_", "." and "-".');
  if (!Number.isSafeInteger(version) || version < 0) refuse('`version` must be a whole number from 0.');
  finite('freshMs', freshMs, 1);
  finite('staleMs', staleMs, 0);
  finite('absentMs', absentMs, 1);
  finite('timeout.hardMs', hardMs, 10);
  atLeast('timeout.softMs', softMs, 1);
  atLeast('maxValueLength', maxValueLength, 1);
  atLeast('compressAboveLength', compressAboveLength, 100);
  if (!(jitter >= 0 && jitter <= 1)) refuse('`jitter` must be between 0 and 1.');
  const servesLastKnown = options.onError === 'stale';
  if (!['throw', 'stale', undefined].includes(options.onError)) refuse("`onError` is 'throw' or 'stale'.");
  if (softMs !== Number.POSITIVE_INFINITY && !servesLastKnown) {
    refuse("`timeout.softMs` gives the last known value, which only `onError: 'stale'` allows.");
  }
  for (const { table, key, tags } of options.watches ?? []) {
    if (key === undefined && tags === undefined) refuse(`the watch on ${table} needs \`key\` or \`tags\`.`);
    if (!/^[^.]+\.[^.]+$/.test(table)) refuse(`watched table ${table} needs its schema: public.${table}.`);
  }
  const lifetime = { freshMs, staleMs, absentMs, jitter };
  return { ...lifetime, version, hardMs, softMs, servesLastKnown, maxValueLength, compressAboveLength };
}
