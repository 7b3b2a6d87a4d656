/** A metric store in memory, for tests: nothing is rolled up, thrown away or written to a disk. */
import { mergeSummaries } from './merge-summaries.ts';
import { type Metric, metricKey, type Unit } from './metric.ts';
import type { MetricFilter, MetricStore, Point, PointsQuery, RecordedData } from './metric-store.ts';
import type { Datum, Summary } from './summary.ts';

interface KeptDatum extends Datum {
  readonly withinMinute: boolean;
}

interface Kept {
  readonly metric: Metric;
  readonly byUnit: Map<Unit, KeptDatum[]>;
}

export function memoryMetricStore(): MetricStore {
  const metrics = new Map<string, Kept>();
  return {
    async record(recorded: readonly RecordedData[]) {
      for (const { metric, unit, resolutionSeconds, rollUp, data } of recorded) {
        const key = metricKey(metric);
        const kept = metrics.get(key) ?? { metric, byUnit: new Map() };
        metrics.set(key, kept);
        const before = kept.byUnit.get(unit) ?? [];
        const resolutionMs = resolutionSeconds * 1000;
        const withinMinute = rollUp === 'within-minute';
        const added = data.map(({ atMs, summary }) => ({
          atMs: atMs - (atMs % resolutionMs),
          summary,
          withinMinute,
        }));
        kept.byUnit.set(unit, [...before, ...added]);
      }
    },

    async read({ metric, unit, startMs, endMs, periodSeconds }: PointsQuery) {
      const periodMs = periodSeconds * 1000;
      const points: Point[] = [];
      for (const [each, data] of metrics.get(metricKey(metric))?.byUnit ?? []) {
        if (unit !== undefined && unit !== each) continue;
        const periods = new Map<number, Summary[]>();
        const hasLooks = data.some(({ withinMinute }) => withinMinute);
        for (const { atMs, summary, withinMinute } of data) {
          if (atMs < startMs || atMs >= endMs) continue;
          if (hasLooks && withinMinute !== periodSeconds < 60) continue;
          const period = atMs - (atMs % periodMs);
          periods.set(period, [...(periods.get(period) ?? []), summary]);
        }
        for (const [period, parts] of periods) {
          points.push({ startMs: period, unit: each, summary: mergeSummaries(parts) });
        }
      }
      return points.sort((a, b) => a.startMs - b.startMs);
    },

    async list({ namespace, name, dimensions = [], sinceMs = Number.NEGATIVE_INFINITY }: MetricFilter) {
      return [...metrics]
        .filter(
          ([, { metric, byUnit }]) =>
            (namespace === undefined || metric.namespace === namespace) &&
            (name === undefined || metric.name === name) &&
            dimensions.every((wanted) =>
              metric.dimensions.some(
                (has) =>
                  has.name === wanted.name && (wanted.value === undefined || has.value === wanted.value),
              ),
            ) &&
            [...byUnit.values()].some((data) => data.some(({ atMs }) => atMs >= sinceMs)),
        )
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, { metric }]) => metric);
    },
  };
}
