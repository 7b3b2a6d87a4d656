/** Counters since the cache was created. Plain numbers, so counting costs an increment. */

export interface DefinitionStats {
  /** Served from this process, without a promise or a round trip. */
  nearHits: number;
  /** Served from the shared tier in one round trip. */
  farHits: number;
  /** Neither tier had it. */
  misses: number;
  /** Loader runs that were started, of either kind. */
  loads: number;
  loadFailures: number;
  /** Loader runs whose result was not offered to the shared tier: it was down, unproven or not yet visible. */
  directLoads: number;
  /** Fills that the shared tier refused, by reason. */
  refusedFills: { stamp: number; epoch: number; generation: number; floor: number; none: number };
  /** Waits for another process's load, and for a change to become visible. */
  waits: { lease: number; visibility: number };
  /** Entries in the shared tier that were of no use: another format, or refused by the schema. */
  invalidEntries: number;
}

export function emptyDefinitionStats(): DefinitionStats {
  return {
    nearHits: 0,
    farHits: 0,
    misses: 0,
    loads: 0,
    loadFailures: 0,
    directLoads: 0,
    refusedFills: { stamp: 0, epoch: 0, generation: 0, floor: 0, none: 0 },
    waits: { lease: 0, visibility: 0 },
    invalidEntries: 0,
  };
}

export interface CacheStats extends DefinitionStats {
  readonly definitions: Readonly<Record<string, DefinitionStats>>;
  readonly near: { readonly entries: number; readonly bytes: number; readonly evictions: number };
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

export function addDefinitionStats(sum: DefinitionStats, part: DefinitionStats): void {
  sum.nearHits += part.nearHits;
  sum.farHits += part.farHits;
  sum.misses += part.misses;
  sum.loads += part.loads;
  sum.loadFailures += part.loadFailures;
  sum.directLoads += part.directLoads;
  sum.invalidEntries += part.invalidEntries;
  sum.waits.lease += part.waits.lease;
  sum.waits.visibility += part.waits.visibility;
  for (const reason of ['stamp', 'epoch', 'generation', 'floor', 'none'] as const) {
    sum.refusedFills[reason] += part.refusedFills[reason];
  }
}
