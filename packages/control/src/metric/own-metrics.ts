/** What Larder measures of itself, in a namespace of its own: what collecting costs and misses, and how restore drills ended. */
import type { Metric, Unit } from '@larder/metrics/metric';
import type { RecordedData } from '@larder/metrics/metric-store';
import { summaryOf } from '@larder/metrics/summary';
import type { Database } from '../database/connect.ts';
import { readDrillResults } from '../restore-drill/store.ts';
import { larderNamespace } from './series-index.ts';

const minuteMs = 60_000;

export interface Round {
  /** Nodes that are to serve and were not read. */
  readonly missing: number;
  /** What reading and deriving took of the processors. */
  readonly costMs: number;
}

export interface OwnMetrics {
  /** Of this second; when a minute is over, of that too. */
  of(secondMs: number, round: Round): Promise<RecordedData[]>;
}

/** Name -> its unit, for the reference. */
export const ownMetricUnits = {
  CollectorCpuUtilization: 'Percent',
  CollectorGaps: 'Count',
  ServiceCpuUtilization: 'Percent',
  ServiceResidentBytes: 'Bytes',
  RestoreDrillSucceeded: 'Count',
  RestoreDrillAge: 'Seconds',
} as const satisfies Record<string, Unit>;

type OwnName = keyof typeof ownMetricUnits;

export function ownMetrics({
  database,
  nowMs,
}: {
  readonly database: Database;
  readonly nowMs: () => number;
}): OwnMetrics {
  const named = Object.fromEntries(
    Object.keys(ownMetricUnits).map((name) => [name, { namespace: larderNamespace, name, dimensions: [] }]),
  ) as unknown as Record<OwnName, Metric>;
  let cpu = process.cpuUsage();
  let cpuAtMs = performance.now();
  let minute: { readonly startMs: number; costMs: number; missing: number; seconds: number } | undefined;
  let serviceCpu = { usage: cpu, atMs: cpuAtMs };

  function cpuPercent(since: { usage: NodeJS.CpuUsage; atMs: number }): number {
    const { user, system } = process.cpuUsage(since.usage);
    return round((user + system) / 10 / Math.max(1, performance.now() - since.atMs));
  }

  const datum = (
    name: OwnName,
    atMs: number,
    value: number,
    grain: 'second' | 'minute',
    metric = named[name],
  ) => ({
    metric,
    unit: ownMetricUnits[name],
    ...(grain === 'second'
      ? ({ resolutionSeconds: 1, rollUp: 'within-minute' } as const)
      : ({ resolutionSeconds: 60, rollUp: 'without-values' } as const)),
    data: [{ atMs, summary: summaryOf(value) }],
  });

  async function drills(atMs: number): Promise<RecordedData[]> {
    return (await readDrillResults(database)).flatMap(({ origin, outcome, endedAtMs }) => {
      const name = origin.resource === 'replication-group' ? 'ReplicationGroupId' : 'CacheClusterId';
      const of = (metric: OwnName): Metric => ({
        ...named[metric],
        dimensions: [{ name, value: origin.id }],
      });
      return [
        ...(outcome === 'skipped'
          ? []
          : [
              datum(
                'RestoreDrillSucceeded',
                atMs,
                outcome === 'passed' ? 1 : 0,
                'minute',
                of('RestoreDrillSucceeded'),
              ),
            ]),
        datum(
          'RestoreDrillAge',
          atMs,
          Math.max(0, Math.round((nowMs() - endedAtMs) / 1_000)),
          'minute',
          of('RestoreDrillAge'),
        ),
      ];
    });
  }

  return {
    async of(secondMs, { missing, costMs }) {
      const recorded: RecordedData[] = [
        datum('CollectorCpuUtilization', secondMs, round(costMs / 10), 'second'),
        datum('CollectorGaps', secondMs, missing, 'second'),
        datum('ServiceCpuUtilization', secondMs, cpuPercent({ usage: cpu, atMs: cpuAtMs }), 'second'),
      ];
      cpu = process.cpuUsage();
      cpuAtMs = performance.now();
      const startMs = secondMs - (secondMs % minuteMs);
      const over = minute;
      if (over?.startMs !== startMs) minute = { startMs, costMs: 0, missing: 0, seconds: 0 };
      minute!.costMs += costMs;
      minute!.missing += missing;
      minute!.seconds += 1;
      if (over === undefined || over.startMs === startMs) return recorded;
      const serviceSince = serviceCpu;
      serviceCpu = { usage: cpu, atMs: cpuAtMs };
      return [
        ...recorded,
        datum('CollectorCpuUtilization', over.startMs, round(over.costMs / 10 / over.seconds), 'minute'),
        datum('CollectorGaps', over.startMs, over.missing, 'minute'),
        datum('ServiceCpuUtilization', over.startMs, cpuPercent(serviceSince), 'minute'),
        datum('ServiceResidentBytes', over.startMs, process.memoryUsage.rss(), 'minute'),
        ...(await drills(over.startMs)),
      ];
    },
  };
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
