/** (pure) What `createCache` is asked for, checked, with what is left out filled in. */
import type { CacheOptions } from './cache.ts';
import { leasesLack, refusalOf } from './capabilities.ts';
import type { Driver } from './driver/driver.ts';
import { CacheConfigError } from './errors.ts';
import { isLeasing } from './shared-tier.ts';

export interface CheckedOptions {
  readonly name: string;
  readonly boundMs: number;
  readonly near: { readonly maxBytes: number } | false;
  readonly loads: { readonly maxConcurrent: number; readonly timeoutMs: number; readonly maxQueued: number };
  readonly partitions: number;
  readonly farTimeoutMs: number;
}

const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;
const noDriver =
  '`far` must be a driver: nodeRedis(...) of @larder/cache/node-redis, ioredis(...) of @larder/cache/ioredis, ' +
  'or memcached(...) of @larder/cache/memcached.';

function refuse(message: string): never {
  throw new CacheConfigError(message);
}

/** @returns the number of partitions. */
function checkDriver(options: CacheOptions, far: Driver): number {
  if (typeof far.openLink !== 'function') refuse(noDriver);
  if (far.nodes.length === 0) refuse('`far` names no node to connect to.');
  const partitions = options.partitions ?? (far.clustered ? 16 : 1);
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > 1_024) {
    refuse('`partitions` must be a whole number from 1 to 1024.');
  }
  const { reads } = options;
  if (reads !== undefined && (reads.replicas === 'discover') !== far.clustered) {
    refuse(
      far.clustered
        ? "On a cluster `reads.replicas` is 'discover': the cluster knows them."
        : '`reads.replicas` must list the replicas: only a cluster can be asked for them.',
    );
  }
  return partitions;
}

/** What an engine that only leases can't do. @returns the number of partitions, which it doesn't use. */
function checkLeasing(options: CacheOptions): number {
  const refusal = refusalOf({
    engine: 'leases',
    guarantee: options.guarantee ?? 'bounded',
    source: undefined,
    eventsBeforeCommit: false,
    transactions: options.database !== undefined,
    loaders: 'primary',
  });
  if (refusal !== undefined) refuse(refusal);
  if (options.near !== undefined && options.near !== false) refuse(leasesLack.near);
  if (options.reads !== undefined) refuse(leasesLack.replicas);
  if (options.partitions !== undefined) refuse(leasesLack.partitions);
  return 1;
}

/** Throws CacheConfigError. */
export function checkOptions(options: CacheOptions): CheckedOptions {
  const atLeast = (name: string, value: number, least: number): number =>
    Number.isFinite(value) && value >= least
      ? value
      : refuse(`\`${name}\` must be a number of at least ${least}, not ${String(value)}.`);
  const {
    name,
    far,
    boundMs = 250,
    near = isLeasing(far) ? false : { maxBytes: 64 * 2 ** 20 },
    loads = {},
    farTimeoutMs = 200,
  } = options;
  if (typeof name !== 'string' || !namePattern.test(name)) {
    refuse('`name` takes 1 to 64 letters, digits, "_", "." and "-".');
  }
  if (typeof far !== 'object' || far === null) refuse(noDriver);
  const partitions = isLeasing(far) ? checkLeasing(options) : checkDriver(options, far);
  if (options.checker !== undefined) atLeast('checker.everyReads', options.checker.everyReads, 1);
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
