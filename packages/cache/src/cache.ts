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
import { type Clock, monotonicClock } from './clock.ts';
import { Definition, type DefinitionHost, type DefinitionOptions } from './definition.ts';
import type { Driver } from './driver/driver.ts';
import { hex12 } from './entry.ts';
import { CacheClosedError, CacheConfigError, InvalidationPendingError } from './errors.ts';
import { FarTier } from './far/far-tier.ts';
import { bucketOffset, hashKey, leaseKey, valueKey } from './far/partition.ts';
import type { PartitionState } from './far/partition-state.ts';
import { initScript, invalidateScript, pulseScript } from './far/scripts.ts';
import type { ChangeSource } from './feed/source.ts';
import { Flights } from './flight.ts';
import { Invalidator, type InvalidatorOptions } from './invalidator.ts';
import { LoadGate } from './loads.ts';
import { NearTier } from './near/near-tier.ts';
import { zeroPosition } from './position.ts';
import { addDefinitionStats, type CacheStats, type DefinitionStats, emptyDefinitionStats } from './stats.ts';

export interface CacheOptions {
  /** Namespace in the shared tier: letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  readonly far: Driver;
  /** Memory for values in this process, or false for none. Default 64 MiB. */
  readonly near?: { readonly maxBytes: number } | false;
  /** No value is served that was replaced longer ago than this. Default 250, at least 50. */
  readonly boundMs?: number;
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
  readonly clock?: Clock;
  /** 0 <= random() < 1. */
  readonly random?: () => number;
}

/** Throws CacheConfigError. Connects in the background at once; see `ready`. */
export function createCache(options: CacheOptions): Cache {
  return new Cache(options);
}

const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;
const readyTimeoutMs = 1_000;
const owedRetryMs = 100;

export class Cache {
  readonly name: string;
  readonly boundMs: number;
  readonly #far: FarTier;
  readonly #near: NearTier | undefined;
  readonly #flights = new Flights();
  readonly #gate: LoadGate;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #definitions = new Map<string, Definition<never, unknown>>();
  readonly #byPrefix = new Map<string, Definition<never, unknown>>();
  readonly #host: DefinitionHost;
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
    this.#far = new FarTier({
      cache: name,
      driver: options.far,
      partitions,
      boundMs,
      timeoutMs: farTimeoutMs,
      clock: this.#clock,
      listener: {
        invalidated: (keys) => this.#forget(keys),
        flushed: (partition) => this.#flights.makePartitionStale(partition),
      },
      beforeUse: (partition) => this.#payOwed(partition),
    });
    const process = randomBytes(9).toString('base64url');
    let counter = 0;
    this.#host = {
      name,
      far: this.#far,
      near: this.#near,
      flights: this.#flights,
      gate: this.#gate,
      clock: this.#clock,
      random: this.#random,
      boundMs,
      loadTimeoutMs: loads.timeoutMs,
      nextOwner: () => `${process}.${(counter++).toString(36)}`,
      ensureState: (partition) => this.#ensureState(partition),
      invalidateFar: (partition, fullKeys) => this.#invalidate(partition, fullKeys),
    };
    this.#every(owedRetryMs, () => this.#retryOwed());
    this.#every(Math.max(10, boundMs / 5), () => this.#pulse());
  }

  /** Throws CacheConfigError, also when the name is taken. */
  define<A, V>(options: DefinitionOptions<A, V>): Definition<A, V> {
    if (this.#definitions.has(options.name)) {
      throw new CacheConfigError(`A definition named ${options.name} exists already in cache ${this.name}.`);
    }
    const definition = new Definition<A, V>(this.#host, options);
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
    const watched = [...this.#definitions.values()].some((definition) => definition.watches.length > 0);
    const isReady = (partition: PartitionState): boolean =>
      partition.session !== 0 &&
      (this.#near === undefined || partition.subscribed) &&
      (!watched || this.#clock.nowMs() <= partition.coherentUntilMs);
    while (!this.#closed && this.#clock.nowMs() < until && !this.#far.partitions.every(isReady)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /**
   * What carries the database's changes to this cache; nothing happens before its `start`. Run it in one
   * process (a second one stands by), which imports the same definitions.
   */
  invalidator(source: ChangeSource, options: InvalidatorOptions = {}): Invalidator {
    const invalidator = new Invalidator(
      {
        cache: this.name,
        far: this.#far,
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

  /** Cheap; the numbers are a copy. */
  stats(): CacheStats {
    const definitions: Record<string, DefinitionStats> = {};
    const sum = emptyDefinitionStats();
    for (const [name, { stats }] of this.#definitions) {
      definitions[name] = structuredClone(stats);
      addDefinitionStats(sum, stats);
    }
    const { partitions } = this.#far;
    const now = this.#clock.nowMs();
    const ages = partitions.map((partition) => partition.beatAgeMs(now));
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
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([...this.#invalidators].map((invalidator) => invalidator.stop()));
    this.#far.close();
  }

  // --- invalidation by the application --------------------------------------------------------------------

  async #invalidate(partition: PartitionState, fullKeys: readonly string[]): Promise<void> {
    this.#forget(fullKeys);
    if (this.#closed) throw new CacheClosedError(`Cache ${this.name} is closed.`);
    try {
      if (partition.session === 0) throw new Error('The shared tier is down.');
      await this.#invalidateFar(partition, fullKeys);
    } catch (cause) {
      // Until it is confirmed, this process must not read there what it knows to be old.
      for (const fullKey of fullKeys) partition.owed.add(fullKey);
      const message = 'The shared tier did not confirm the invalidation; it is repeated until it does.';
      throw new InvalidationPendingError(message, { cause });
    }
  }

  async #invalidateFar(partition: PartitionState, fullKeys: readonly string[]): Promise<void> {
    await this.#far.run(partition, invalidateScript, {
      keys: [
        partition.keys.state,
        partition.keys.stamps,
        ...fullKeys.flatMap((key) => [valueKey(partition.keys, key), leaseKey(partition.keys, key)]),
      ],
      args: [
        this.#far.publish,
        partition.keys.channel,
        JSON.stringify(fullKeys),
        ...fullKeys.map((key) => String(bucketOffset(hashKey(key)))),
      ],
    });
  }

  async #payOwed(partition: PartitionState): Promise<void> {
    while (partition.owed.size > 0) {
      const some = [...partition.owed].slice(0, 100);
      await this.#invalidateFar(partition, some);
      for (const fullKey of some) partition.owed.delete(fullKey);
    }
  }

  #retryOwed(): void {
    for (const partition of this.#far.partitions) {
      if (partition.owed.size > 0 && partition.session !== 0) this.#payOwed(partition).catch(() => {});
    }
  }

  #forget(fullKeys: readonly string[]): void {
    for (const fullKey of fullKeys) {
      this.#flights.makeStale(fullKey);
      const end = fullKey.indexOf(':', fullKey.indexOf(':') + 1) + 1;
      this.#byPrefix.get(fullKey.slice(0, end))?.forget(fullKey.slice(end));
    }
  }

  // --- without a feed -------------------------------------------------------------------------------------

  /** Where no feed keeps a partition's state, the first process that misses it creates it. */
  async #ensureState(partition: PartitionState): Promise<void> {
    const engineNow = partition.clock.engineNowMs(this.#clock.nowMs());
    const known = partition.epoch === '' ? 0 : Number.parseInt(partition.epoch, 16);
    const epoch = hex12(Math.max(known + 1, Number.isNaN(engineNow) ? 1 : engineNow));
    await this.#far.run(partition, initScript, {
      keys: [partition.keys.state, partition.keys.stamps, partition.keys.beat],
      args: [
        '',
        epoch,
        zeroPosition,
        zeroPosition,
        zeroPosition,
        'application',
        this.#far.publish,
        partition.keys.channel,
      ],
    });
  }

  /** Keeps near tiers provable for definitions without a feed: whoever finds the proof ageing renews it for all. */
  #pulse(): void {
    if (this.#near === undefined) return;
    if ([...this.#definitions.values()].every((definition) => definition.watches.length > 0)) return;
    const now = this.#clock.nowMs();
    for (const partition of this.#far.partitions) {
      if (partition.session === 0 || !partition.subscribed) continue;
      if (partition.pulsedUntilMs - now > this.boundMs / 2) continue;
      const keys = [partition.keys.state];
      const args = [this.#far.publish, partition.keys.channel];
      this.#far.run(partition, pulseScript, { keys, args }).catch(() => {});
    }
  }

  #every(intervalMs: number, step: () => void): void {
    const timer = setInterval(step, intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }
}

interface CheckedOptions {
  readonly name: string;
  readonly boundMs: number;
  readonly near: { readonly maxBytes: number } | false;
  readonly loads: { readonly maxConcurrent: number; readonly timeoutMs: number; readonly maxQueued: number };
  readonly partitions: number;
  readonly farTimeoutMs: number;
}

function checkOptions(options: CacheOptions): CheckedOptions {
  const refuse = (message: string): never => {
    throw new CacheConfigError(message);
  };
  const atLeast = (name: string, value: number, least: number): number =>
    Number.isFinite(value) && value >= least
      ? value
      : refuse(`\`${name}\` must be a number of at least ${least}, not ${String(value)}.`);
  const {
    name,
    far,
    boundMs = 250,
    near = { maxBytes: 64 * 2 ** 20 },
    loads = {},
    farTimeoutMs = 200,
  } = options;
  if (typeof name !== 'string' || !namePattern.test(name)) {
    refuse('`name` takes 1 to 64 letters, digits, "_", "." and "-".');
  }
  if (typeof far?.openLink !== 'function') {
    refuse(
      '`far` must be a driver: nodeRedis(...) of @larder/cache/node-redis or ioredis(...) of @larder/cache/ioredis.',
    );
  }
  if (far.nodes.length === 0) refuse('`far` names no node to connect to.');
  const partitions = options.partitions ?? (far.clustered ? 16 : 1);
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > 1_024) {
    refuse('`partitions` must be a whole number from 1 to 1024.');
  }
  if (near !== false) atLeast('near.maxBytes', near.maxBytes, 1_024);
  return {
    name,
    boundMs: atLeast('boundMs', boundMs, 50),
    near,
    loads: {
      maxConcurrent: atLeast('loads.maxConcurrent', loads.maxConcurrent ?? 16, 1),
      timeoutMs: atLeast('loads.timeoutMs', loads.timeoutMs ?? 2_000, 10),
      maxQueued: atLeast('loads.maxQueued', loads.maxQueued ?? 10_000, 0),
    },
    partitions,
    farTimeoutMs: atLeast('farTimeoutMs', farTimeoutMs, 10),
  };
}
