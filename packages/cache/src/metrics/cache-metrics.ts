/**
 * (pure) What is measured of a cache, once for every adapter: names, kinds and values. Names are stable; a unit stands at the end
 * of a name, as Prometheus has it.
 */
import type { CheckerReport } from '../checker.ts';
import type { CacheStats, DefinitionStats } from '../stats.ts';

export interface MeasuredCache {
  readonly name: string;
  stats(): CacheStats;
  consistency(): CheckerReport | undefined;
}

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface CacheMetric {
  /** Behind `larder_cache_`. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly unit?: 'bytes' | 'seconds';
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: (seen: Seen) => readonly MetricSample[];
}

export interface Seen {
  readonly stats: CacheStats;
  readonly consistency: CheckerReport | undefined;
}

export interface CacheHistogram {
  readonly name: string;
  readonly unit: 'seconds';
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
}

export const loadDuration: CacheHistogram = {
  name: 'load_duration',
  unit: 'seconds',
  help: 'How long loaders ran.',
  labels: ['definition', 'outcome'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
};

export const invalidationLag: CacheHistogram = {
  name: 'invalidation_lag',
  unit: 'seconds',
  help: "From a change's commit to the shared tier's word that its keys are gone; in the process that runs the feed.",
  labels: [],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
};

type Counted = {
  readonly [Key in keyof DefinitionStats]: DefinitionStats[Key] extends number ? Key : never;
}[keyof DefinitionStats];

function ofDefinitions(name: string, key: Counted, help: string): CacheMetric {
  return {
    name,
    kind: 'counter',
    help,
    labels: ['definition'],
    samples: ({ stats }) =>
      Object.entries(stats.definitions).map(([definition, each]) => ({
        labels: { definition },
        value: each[key],
      })),
  };
}

function ofCache(
  kind: CacheMetric['kind'],
  name: string,
  help: string,
  value: (stats: CacheStats) => number | null,
  unit?: CacheMetric['unit'],
): CacheMetric {
  return {
    name,
    kind,
    help,
    ...(unit !== undefined && { unit }),
    labels: [],
    samples({ stats }) {
      const found = value(stats);
      return found === null ? [] : [{ labels: {}, value: found }];
    },
  };
}

/** One for each of a definition's counters of that name. */
function byKind(
  name: string,
  label: string,
  help: string,
  counts: (each: DefinitionStats) => object,
): CacheMetric {
  return {
    name,
    kind: 'counter',
    help,
    labels: ['definition', label],
    samples: ({ stats }) =>
      Object.entries(stats.definitions).flatMap(([definition, each]) =>
        Object.entries(counts(each) as Readonly<Record<string, number>>).map(([kind, value]) => ({
          labels: { definition, [label]: kind },
          value,
        })),
      ),
  };
}

const farStates = ['up', 'partly', 'down'] as const;

export const cacheMetrics: readonly CacheMetric[] = [
  byKind('reads', 'outcome', 'Reads by where they were answered.', ({ nearHits, farHits, misses }) => ({
    near_hit: nearHits,
    far_hit: farHits,
    miss: misses,
  })),
  ofDefinitions('stale_hits', 'staleHits', 'Hits past freshMs, served while the value was loaded anew.'),
  ofDefinitions('refreshes', 'refreshes', 'Loads ahead of time.'),
  ofDefinitions(
    'last_known_served',
    'lastKnownServed',
    'Values served without proof, because a load failed.',
  ),
  ofDefinitions('loads', 'loads', 'Loads that were started.'),
  ofDefinitions('load_failures', 'loadFailures', 'Loads that failed.'),
  ofDefinitions('direct_loads', 'directLoads', 'Loads whose result was not offered to the shared tier.'),
  ofDefinitions('oversized', 'oversized', 'Loaded values that were too large to keep.'),
  ofDefinitions('invalid_entries', 'invalidEntries', 'Entries of the shared tier that were of no use.'),
  byKind(
    'refused_fills',
    'reason',
    'Fills that the shared tier refused.',
    ({ refusedFills }) => refusedFills,
  ),
  byKind('waits', 'for', "Waits for another process's load, and for visibility.", ({ waits }) => waits),
  ofCache('gauge', 'near_entries', 'Values kept in this process.', ({ near }) => near.entries),
  ofCache('gauge', 'near', 'Memory of the values kept in this process.', ({ near }) => near.bytes, 'bytes'),
  ofCache('counter', 'near_evictions', 'Values that made room for others.', ({ near }) => near.evictions),
  ofCache(
    'counter',
    'near_rejections',
    'Values that a full near tier did not take.',
    ({ near }) => near.rejections,
  ),
  ofCache(
    'counter',
    'near_flushes',
    'Times that a near tier gave up a partition.',
    ({ nearFlushes }) => nearFlushes,
  ),
  ofCache('counter', 'gaps', 'Times that messages were found missing.', ({ gaps }) => gaps),
  {
    name: 'far_state',
    kind: 'gauge',
    help: 'The shared tier: 1 for the state that it is in, 0 for the others.',
    labels: ['state'],
    samples: ({ stats }) =>
      farStates.map((state) => ({ labels: { state }, value: stats.far === state ? 1 : 0 })),
  },
  ofCache(
    'gauge',
    'feed_age',
    'How long ago the feed of changes proved itself; absent while it is not known.',
    ({ feedAgeMs }) => (feedAgeMs === null ? null : feedAgeMs / 1_000),
    'seconds',
  ),
  ofCache('gauge', 'loads_running', 'Loads that run.', ({ loadsRunning }) => loadsRunning),
  ofCache('gauge', 'loads_queued', 'Loads that wait for one to end.', ({ loadsQueued }) => loadsQueued),
  ofCache(
    'gauge',
    'invalidations_owed',
    'Invalidations that the shared tier has not confirmed.',
    ({ invalidationsOwed }) => invalidationsOwed,
  ),
  {
    name: 'compared_entries',
    kind: 'counter',
    help: 'Reads that were compared with the database, whose outcome is known. Needs the checker option.',
    labels: [],
    samples: ({ consistency }) =>
      consistency === undefined ? [] : [{ labels: {}, value: consistency.samples }],
  },
  {
    name: 'stale_entries',
    kind: 'counter',
    help: 'Of those, reads that did not agree with the database a second later, by how long that lasted.',
    labels: ['longer_than'],
    samples: ({ consistency }) =>
      consistency === undefined
        ? []
        : Object.entries(staleByLength(consistency)).map(([longerThan, value]) => ({
            labels: { longer_than: longerThan },
            value,
          })),
  },
  {
    name: 'unknown_comparisons',
    kind: 'counter',
    help: 'Comparisons without an answer: the load failed, or the value changed all the time.',
    labels: [],
    samples: ({ consistency }) =>
      consistency === undefined ? [] : [{ labels: {}, value: consistency.unknown }],
  },
];

/** Each sample once, by the longest time after which it still differed. */
function staleByLength({ samples, consistentWithin, inconsistent }: CheckerReport): Record<string, number> {
  return {
    '1s': consistentWithin['10s'] - consistentWithin['1s'],
    '10s': consistentWithin['60s'] - consistentWithin['10s'],
    '60s': Math.min(inconsistent, samples),
  };
}
