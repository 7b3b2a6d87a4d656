/** Counters since the cache was created. Plain numbers, so counting costs an increment. */
import type { RefusedFill } from './far/fill-protocol.ts';

export interface DefinitionStats {
  /** Served from this process, without a promise or a round trip. */
  nearHits: number;
  /** Served from the shared tier in one round trip. */
  farHits: number;
  /** Of the far hits, those past `freshMs`, served while the value is loaded anew. */
  staleHits: number;
  /** Loads ahead of time: of stale values, and of fresh ones that soon end. */
  refreshes: number;
  /** Values served without proof, because a load failed or took too long and `onError` is 'stale'. */
  lastKnownServed: number;
  /** Neither tier had it. */
  misses: number;
  /** Loader runs that were started, of either kind. */
  loads: number;
  loadFailures: number;
  /** Loader runs whose result was not offered to the shared tier: it was down, unproven or not yet visible. */
  directLoads: number;
  /** Loaded values that were too large to keep. */
  oversized: number;
  /** Fills that the shared tier refused, by reason. */
  refusedFills: Record<RefusedFill, number>;
  /** Waits for another process's load, and for a change to become visible. */
  waits: { lease: number; visibility: number };
  /** Entries in the shared tier that were of no use: another format, or refused by the schema. */
  invalidEntries: number;
}

export function emptyDefinitionStats(): DefinitionStats {
  return {
    nearHits: 0,
    farHits: 0,
    staleHits: 0,
    refreshes: 0,
    lastKnownServed: 0,
    misses: 0,
    loads: 0,
    loadFailures: 0,
    directLoads: 0,
    oversized: 0,
    refusedFills: { stamp: 0, epoch: 0, generation: 0, floor: 0, none: 0, pending: 0, tag: 0 },
    waits: { lease: 0, visibility: 0 },
    invalidEntries: 0,
  };
}

export interface CacheStats extends DefinitionStats {
  readonly definitions: Readonly<Record<string, DefinitionStats>>;
  readonly near: {
    readonly entries: number;
    readonly bytes: number;
    readonly evictions: number;
    /** Values that a full tier did not take in, for what it held was read more often. */
    readonly rejections: number;
  };
  /** Times that a near tier gave up a partition. */
  readonly nearFlushes: number;
  /** Times that messages were found missing. */
  readonly gaps: number;
  readonly far: 'up' | 'partly' | 'down';
  /** How long ago, at most, the feed proved itself; the oldest over all partitions; null while unknown. */
  readonly feedAgeMs: number | null;
  readonly loadsRunning: number;
  readonly loadsQueued: number;
  /** Application invalidations that the shared tier hasn't confirmed yet. */
  readonly invalidationsOwed: number;
}

/** Adds number by number; both have the same shape. */
export function addDefinitionStats(sum: DefinitionStats, part: DefinitionStats): void {
  addNumbers(sum as unknown as Counters, part as unknown as Counters);
}

interface Counters {
  [name: string]: number | Counters;
}

function addNumbers(sum: Counters, part: Counters): void {
  for (const [name, value] of Object.entries(part)) {
    if (typeof value === 'number') sum[name] = (sum[name] as number) + value;
    else addNumbers(sum[name] as Counters, value);
  }
}
