/** All series by what they are of, in memory. */
import { elastiCacheNamespace, type Metric, metricKey, type Unit } from '@larder/metrics/metric';
import type { MetricFilter } from '@larder/metrics/metric-store';
import { type Series, waiting } from './series.ts';
import { type Grain, longestKeptMs } from './tier.ts';

/** What Larder measures of itself. */
export const larderNamespace = 'Larder';

export interface SeriesIndex {
  readonly all: Iterable<Series>;
  /** In namespaces that are not ours. */
  readonly foreign: number;
  byId(id: number): Series | undefined;
  /** Of every unit and grain. */
  ofMetric(metric: Metric): readonly Series[];
  find(
    metric: Metric,
    of: { readonly unit: Unit; readonly grain: Grain; readonly withoutValues: boolean },
  ): Series | undefined;
  put(series: Series): void;
  remove(series: Series): void;
  /** Metrics with data since, each once, in the order of their keys. */
  list(filter: MetricFilter): Metric[];
  /** Series whose data are all over; and of foreign ones beyond `most`, those that rested for longest. */
  forgettable(atMs: number, most: number): Series[];
}

/** A series may be forgotten for another when it had no data for so long: it is listed for two weeks. */
const restMs = 15 * 86_400_000;

export function isOurs({ namespace }: Metric): boolean {
  return namespace === elastiCacheNamespace || namespace === larderNamespace;
}

export function seriesIndex(): SeriesIndex {
  const byKey = new Map<string, Series[]>();
  const byId = new Map<number, Series>();
  /** Whoever records the same metrics every second gives the same objects. Begun anew when a list of series ends. */
  let known = new WeakMap<Metric, Series[]>();
  let foreign = 0;
  let sorted: Series[] | undefined;

  function ofMetric(metric: Metric): Series[] | undefined {
    const before = known.get(metric);
    if (before !== undefined) return before;
    const list = byKey.get(metricKey(metric));
    if (list !== undefined) known.set(metric, list);
    return list;
  }

  return {
    get all() {
      return byId.values();
    },
    get foreign() {
      return foreign;
    },
    byId: (id) => byId.get(id),
    ofMetric: (metric) => ofMetric(metric) ?? [],
    find: (metric, { unit, grain, withoutValues }) =>
      ofMetric(metric)?.find(
        (each) => each.unit === unit && each.grain === grain && each.withoutValues === withoutValues,
      ),
    put(series) {
      const others = byKey.get(series.key);
      if (others === undefined) byKey.set(series.key, [series]);
      else others.push(series);
      byId.set(series.id, series);
      if (!isOurs(series.metric)) foreign += 1;
      sorted = undefined;
    },
    remove(series) {
      byId.delete(series.id);
      const left = byKey.get(series.key)!.filter((each) => each !== series);
      if (left.length > 0) byKey.set(series.key, left);
      else byKey.delete(series.key);
      known = new WeakMap();
      if (!isOurs(series.metric)) foreign -= 1;
      sorted = undefined;
    },
    list({ namespace, name, dimensions = [], sinceMs = Number.NEGATIVE_INFINITY }) {
      sorted ??= [...byId.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      const found: Metric[] = [];
      let last: string | undefined;
      for (const { metric, key, lastAtMs } of sorted) {
        if (key === last || lastAtMs < sinceMs) continue;
        if (namespace !== undefined && metric.namespace !== namespace) continue;
        if (name !== undefined && metric.name !== name) continue;
        const fits = dimensions.every((wanted) =>
          metric.dimensions.some(
            (has) => has.name === wanted.name && (wanted.value === undefined || has.value === wanted.value),
          ),
        );
        if (!fits) continue;
        last = key;
        found.push(metric);
      }
      return found;
    },
    forgettable(atMs, most) {
      const resting = [...byId.values()].filter((each) => waiting(each) === 0);
      const over = resting.filter(({ lastAtMs }) => lastAtMs < atMs - longestKeptMs);
      const tooMany = foreign - over.filter(({ metric }) => !isOurs(metric)).length - most;
      if (tooMany <= 0) return over;
      const longest = resting
        .filter(
          ({ lastAtMs, metric }) =>
            !isOurs(metric) && lastAtMs >= atMs - longestKeptMs && lastAtMs < atMs - restMs,
        )
        .sort((a, b) => a.lastAtMs - b.lastAtMs);
      return [...over, ...longest.slice(0, tooMany)];
    },
  };
}
