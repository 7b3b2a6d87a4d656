/**
 * A cache in front of a database, in two tiers: near (this process) and far (Valkey or Redis, shared).
 *
 * The promise. A value that a definition `watches` is never served when it was replaced in the database longer
 * than `boundMs` ago, whoever replaced it and whatever has failed since: not when a fill races a change (the far
 * tier refuses it: far/scripts.ts), not when a change arrives before it is visible (invalidator.ts), not when
 * messages are lost (near sessions: far/partition-state.ts), not when the feed, the engine or a network stalls
 * (a value needs a heartbeat younger than the bound, or it is loaded). What is neither proven fresh nor cached
 * is read from the database, at most `loads.maxConcurrent` at a time.
 */
import { randomBytes } from 'node:crypto';
import { AppInvalidation } from './app-invalidation.ts';
import { leasesLack, refusalOf } from './capabilities.ts';
import { checkOptions } from './check-options.ts';
import { Checker, type CheckerOptions, type CheckerReport, untilSample } from './checker.ts';
import { type Clock, monotonicClock } from './clock.ts';
import { type Database, isTouchable } from './database.ts';
import { Definition, type DefinitionHost, type DefinitionOptions, type TierHost } from './definition.ts';
import type { Driver } from './driver/driver.ts';
import { CacheConfigError } from './errors.ts';
import type { ReplicaReads } from './far/far-tier.ts';
import { hashKey } from './far/partition.ts';
import type { PartitionState } from './far/partition-state.ts';
import { ScriptedTier } from './far/scripted-tier.ts';
import type { ChangeSource, RowChange } from './feed/source.ts';
import { Flights } from './flight.ts';
import { Invalidator, type InvalidatorOptions } from './invalidator.ts';
import { LoadGate } from './loads.ts';
import { type HotKey, HotKeys } from './near/hot-keys.ts';
import { NearTier } from './near/near-tier.ts';
import { OwnWrites } from './own-writes.ts';
import { positionToHex } from './position.ts';
import { isLeasing, type LeasingDriver, type SharedTier } from './shared-tier.ts';
import { addDefinitionStats, type CacheStats, type DefinitionStats, emptyDefinitionStats } from './stats.ts';

// What users name in their own types, and errors to tell apart.
export type { Load, LoadContext, LoadMany, LoadOneContext } from './batch-loader.ts';
export type { CheckerMinute, CheckerReport } from './checker.ts';
export type { Clock } from './clock.ts';
export type { Database } from './database.ts';
export type {
  Definition,
  DefinitionOptions,
  Explanation,
  Watch,
  WatchedKeys,
  WatchedRow,
} from './definition.ts';
export type { Driver, DriverOptions, NodeAddress } from './driver/driver.ts';
export * from './errors.ts';
export type { ChangeSource, RowChange } from './feed/source.ts';
export type { Invalidator, InvalidatorOptions, InvalidatorStatus } from './invalidator.ts';
export type { HotKey } from './near/hot-keys.ts';
export type { OwnWrites } from './own-writes.ts';
export type { StandardSchemaV1 } from './standard-schema.ts';
export type { CacheStats, DefinitionStats } from './stats.ts';
export type { TelemetryMessages } from './telemetry.ts';

export interface CacheOptions {
  /** Namespace in the shared tier: letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** Of the engine that the processes share: Valkey, Redis, or with fewer features memcached. */
  readonly far: Driver | LeasingDriver;
  /** Memory for values in this process, or false for none. Default 64 MiB. */
  readonly near?: { readonly maxBytes: number } | false;
  /** No value is served that was replaced longer ago than this. Default 250, at least 50. */
  readonly boundMs?: number;
  /**
   * What holds for values of definitions that watch tables.
   *
   * 'bounded', the default: nothing is served that was replaced longer than `boundMs` ago, whatever fails. Its
   * cost: without the heartbeat of an invalidator with a feed every read goes to the database.
   *
   * 'eventual': a value goes when its event arrives, by `applyEvents` or a feed, or after `freshMs`; it needs no
   * heartbeat. What isn't delivered isn't known. With `database` no load that raced an event is kept, also if the
   * event came before its commit, at the cost of one question to the database per miss. Without it an event must
   * come after its change is visible to loaders: else the old row can be cached again, until `freshMs`.
   */
  readonly guarantee?: 'bounded' | 'eventual';
  /**
   * Read from replicas of the shared tier: on a cluster those that it names ('discover'), else the given ones; of
   * `zone` first. The bound holds as ever, for a replica's beat tells how far behind it is, and one that is too far
   * behind is passed over for the primary, as all are where no feed proves anything. Its cost: what replicas give
   * isn't kept in this process, and within the bound a read may see a value that another process's read has already
   * seen replaced.
   */
  readonly reads?: ReplicaReads;
  /** The primary database that loaders read. For `ownWrites`, and see `guarantee`. */
  readonly database?: Database;
  readonly loads?: {
    /** Default 16. */
    readonly maxConcurrent?: number;
    /** For a load, and for the wait before it. Default 2,000. */
    readonly timeoutMs?: number;
    /** Default 10,000. */
    readonly maxQueued?: number;
  };
  /** Hash tags the keys are spread over; the same in every process. Default 1, on a cluster 16. */
  readonly partitions?: number;
  /** A node of the shared tier that doesn't answer for this long counts as down. Default 200. */
  readonly farTimeoutMs?: number;
  /** Checks a sample of this process's reads against the database, see checker.ts. Default none. */
  readonly checker?: CheckerOptions;
  readonly clock?: Clock;
  /** 0 <= random() < 1. */
  readonly random?: () => number;
}

/** Throws CacheConfigError. Connects in the background at once; see `ready`. */
export function createCache(options: CacheOptions): Cache {
  return new Cache(options);
}

const readyTimeoutMs = 1_000;
const owedRetryMs = 100;
const maxTagLength = 200;

export class Cache {
  readonly name: string;
  readonly boundMs: number;
  readonly #tier: SharedTier;
  readonly #near: NearTier | undefined;
  /** For sessions that must read what they wrote. */
  readonly ownWrites: OwnWrites;
  readonly #flights = new Flights();
  readonly #hotKeys = new HotKeys();
  readonly #checker: Checker | undefined;
  readonly #invalidation: AppInvalidation;
  readonly #gate: LoadGate;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #definitions = new Map<string, Definition<never, unknown>>();
  readonly #byPrefix = new Map<string, Definition<never, unknown>>();
  readonly #host: TierHost;
  readonly #internals: DefinitionHost | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #invalidators = new Set<Invalidator>();
  #closed = false;

  constructor(options: CacheOptions) {
    const { name, boundMs, near, loads, partitions, farTimeoutMs } = checkOptions(options);
    this.name = name;
    this.boundMs = boundMs;
    this.#clock = options.clock ?? monotonicClock;
    this.#random = options.random ?? Math.random;
    this.#near = near === false ? undefined : new NearTier(near.maxBytes);
    this.#gate = new LoadGate(loads, this.#clock);
    const { database, guarantee = 'bounded' } = options;
    const bounded = guarantee === 'bounded';
    // Positions of a feed and numbers of transactions can't be compared: one kind per cache.
    const tokens = bounded ? undefined : database;
    const tierOptions = {
      cache: name,
      boundMs,
      timeoutMs: farTimeoutMs,
      clock: this.#clock,
      listener: {
        invalidated: (keys: readonly string[]) => this.#forget(keys),
        voided: (hashes: readonly string[]) => {
          for (const definition of this.#definitions.values()) {
            if (hashes.includes(definition.voidHash)) definition.forgetAll();
          }
        },
        flushed: (partition: PartitionState) => this.#flights.makePartitionStale(partition),
      },
      beforeUse: (partition: PartitionState) => this.#invalidation.pay(partition),
    };
    const stateSource = tokens === undefined ? 'application' : `transactions of ${tokens.name}`;
    this.#tier = isLeasing(options.far)
      ? options.far.openTier(tierOptions)
      : new ScriptedTier(
          { ...tierOptions, driver: options.far, partitions, reads: options.reads },
          stateSource,
        );
    this.ownWrites = new OwnWrites(database && (() => database.position()), () =>
      this.#tier.partitions.reduce((newest, { applied }) => (applied > newest ? applied : newest), ''),
    );
    this.#invalidation = new AppInvalidation({
      cache: name,
      tier: this.#tier,
      forget: (keys) => this.#forget(keys),
      definitions: () => [...this.#definitions.values()],
      stampWith: tokens,
      touchable: bounded && database !== undefined && isTouchable(database) ? database : undefined,
    });
    this.#checker = options.checker && new Checker(name, options.checker, checkerTime(this.#clock));
    const process = randomBytes(9).toString('base64url');
    let counter = 0;
    this.#host = {
      name,
      tier: this.#tier,
      near: this.#near,
      flights: this.#flights,
      gate: this.#gate,
      clock: this.#clock,
      random: this.#random,
      boundMs,
      loadTimeoutMs: loads.timeoutMs,
      nextOwner: () => `${process}.${(counter++).toString(36)}`,
      // The stamps of events are gone with the state: whoever caused one had begun before.
      ensureState: async (partition) => this.#tier.ensureState(partition, (await tokens?.barrier()) ?? 0n),
      invalidateFar: (partition, fullKeys) => this.#invalidation.keys(partition, fullKeys),
      touch: (transaction, fullKeys, strict) => this.#invalidation.touch(transaction, fullKeys, strict),
      bounded,
      watermark: tokens && (async () => positionToHex(await tokens.oldestInProgress())),
      ownWrites: this.ownWrites,
      hotKeys: this.#hotKeys,
      checker: this.#checker && {
        readsUntilSample: () => untilSample(options.checker!.everyReads, this.#random()),
        note: (sample) => this.#checker?.note(sample),
      },
    };
    const { scripts } = this.#tier;
    this.#internals = scripts && { ...this.#host, far: scripts.far };
    this.#every(owedRetryMs, () => this.#invalidation.payAll());
    this.#every(Math.max(10, boundMs / 5), () => this.#pulse());
  }

  /** For what else lives in the shared tier: sessions, analytics, structures. @internal */
  get internals(): DefinitionHost {
    if (this.#internals === undefined) throw new CacheConfigError(leasesLack.structures);
    return this.#internals;
  }

  /** Throws CacheConfigError, also when the name is taken. */
  define<A, V>(options: DefinitionOptions<A, V>): Definition<A, V> {
    if (this.#tier.scripts === undefined) {
      const tagged = options.tags !== undefined || options.watches?.some(({ tags }) => tags !== undefined);
      if (tagged) throw new CacheConfigError(leasesLack.tags);
    }
    return this.adopt(new Definition<A, V>(this.#host, options));
  }

  /** Takes in what was made over `internals`. Throws CacheConfigError when the name is taken. @internal */
  adopt<A, V>(definition: Definition<A, V>): Definition<A, V> {
    if (this.#definitions.has(definition.name)) {
      throw new CacheConfigError(
        `A definition named ${definition.name} exists already in cache ${this.name}.`,
      );
    }
    const kept = definition as unknown as Definition<never, unknown>;
    this.#definitions.set(definition.name, kept);
    this.#byPrefix.set(definition.prefix, kept);
    return definition;
  }

  /**
   * Resolves when the shared tier is connected and the feed's proof has arrived, or after a second at most,
   * with the cache down or unproven: reads then go to the database. Never rejects.
   */
  async ready(): Promise<void> {
    const until = this.#clock.nowMs() + readyTimeoutMs;
    const watched = [...this.#definitions.values()].some((definition) => definition.proven);
    const needs = { near: this.#near !== undefined, proof: watched };
    const isReady = (): boolean => {
      const { partitions } = this.#tier;
      return partitions.length > 0 && partitions.every((partition) => this.#tier.isReady(partition, needs));
    };
    while (!this.#closed && this.#clock.nowMs() < until && !isReady()) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /**
   * What carries the database's changes to this cache; nothing happens before its `start`. Run it in one
   * process (a second one stands by), which imports the same definitions. Throws CacheConfigError when the engine
   * can't keep the promise with this source.
   */
  invalidator(source: ChangeSource, options: InvalidatorOptions = {}): Invalidator {
    const refusal = refusalOf({
      engine: this.#tier.scripts === undefined ? 'leases' : 'stamps',
      guarantee: this.#host.bounded ? 'bounded' : 'eventual',
      source: source.capabilities ?? { position: true, visibility: true },
      eventsBeforeCommit: false,
      transactions: this.#host.watermark !== undefined,
      loaders: 'primary',
    });
    if (refusal !== undefined) throw new CacheConfigError(refusal);
    const invalidator = new Invalidator(
      {
        cache: this.name,
        tier: this.#tier,
        clock: this.#clock,
        boundMs: this.boundMs,
        source,
        definitions: [...this.#definitions.values()],
      },
      options,
    );
    this.#invalidators.add(invalidator);
    return invalidator;
  }

  /**
   * To be called after the commit of a change that concerns everything with this tag. When the promise resolves,
   * the shared tier has removed it all, refuses loads that were begun before, and has told all other processes.
   * Rejects with InvalidationPendingError when a part of the shared tier could not be reached; call again.
   * Costs a step per partition and per thousand entries.
   */
  async invalidateTag(tag: string): Promise<void> {
    if (typeof tag !== 'string' || tag.length < 1 || tag.length > maxTagLength) {
      throw new CacheConfigError(`A tag is a text of 1 to ${maxTagLength} characters.`);
    }
    await this.#invalidation.tag(tag);
  }

  /**
   * Invalidates what depends on these rows, for events that come without a position, in any order, any number of
   * times: a queue, a webhook, a Lambda function. See `guarantee` for what that promises. When the promise
   * resolves the shared tier has confirmed everything; when it rejects, deliver the events again.
   *
   * @param options.beforeCommit the events may come before their change is committed, as those of a trigger do;
   * that needs `database`. Throws CacheConfigError without it, and when an event doesn't identify its row.
   */
  applyEvents(
    changes: readonly RowChange[],
    options: { readonly beforeCommit?: boolean } = {},
  ): Promise<void> {
    return this.#invalidation.events(changes, options.beforeCommit === true);
  }

  /** How consistent the sampled reads were; undefined without the `checker` option. */
  consistency(): CheckerReport | undefined {
    return this.#checker?.report();
  }

  /** The keys that this process read most of late, the hottest first; from a sample of its reads. */
  hotKeys(count = 10): readonly HotKey[] {
    return this.#hotKeys.top(count);
  }

  /** Cheap; the numbers are a copy. */
  stats(): CacheStats {
    const definitions: Record<string, DefinitionStats> = {};
    const sum = emptyDefinitionStats();
    for (const [name, { stats }] of this.#definitions) {
      definitions[name] = structuredClone(stats);
      addDefinitionStats(sum, stats);
    }
    const { partitions } = this.#tier;
    const ages = partitions.map((partition) => this.#tier.feedAgeMs(partition));
    const up = partitions.filter((partition) => partition.session !== 0).length;
    const total = (of: (partition: PartitionState) => number): number =>
      partitions.reduce((count, partition) => count + of(partition), 0);
    return {
      ...sum,
      definitions,
      near: {
        entries: this.#near?.entries ?? 0,
        bytes: this.#near?.bytes ?? 0,
        evictions: this.#near?.evictions ?? 0,
        rejections: this.#near?.rejections ?? 0,
      },
      nearFlushes: total((partition) => partition.flushes),
      gaps: total((partition) => partition.gaps),
      far: up === partitions.length ? 'up' : up === 0 ? 'down' : 'partly',
      feedAgeMs: ages.some(Number.isNaN) ? null : Math.max(...ages),
      loadsRunning: this.#gate.running,
      loadsQueued: this.#gate.queued,
      invalidationsOwed: total((partition) => partition.owed.size),
    };
  }

  /** Stops its invalidators and closes all connections. Reads fall back to the loader afterwards. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#invalidation.close();
    this.#checker?.close();
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([...this.#invalidators].map((invalidator) => invalidator.stop()));
    this.#tier.close();
  }

  #forget(fullKeys: readonly string[]): void {
    for (const fullKey of fullKeys) {
      this.#flights.makeStale(fullKey, hashKey(fullKey));
      const end = fullKey.indexOf(':', fullKey.indexOf(':') + 1) + 1;
      this.#byPrefix.get(fullKey.slice(0, end))?.forget(fullKey.slice(end));
    }
  }

  // --- without a feed -------------------------------------------------------------------------------------

  /** Keeps near tiers provable for definitions without a feed: whoever finds the proof ageing renews it for all. */
  #pulse(): void {
    if (this.#near === undefined) return;
    if ([...this.#definitions.values()].every((definition) => definition.proven)) return;
    for (const partition of this.#tier.partitions) this.#tier.pulse(partition);
  }

  #every(intervalMs: number, step: () => void): void {
    const timer = setInterval(step, intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }
}

function checkerTime(clock: Clock) {
  return {
    nowMs: () => clock.nowMs(),
    later: (ms: number, call: () => void) => {
      const timer = setTimeout(call, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}
