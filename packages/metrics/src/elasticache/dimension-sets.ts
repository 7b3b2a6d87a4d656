/**
 * Many of a node's metrics are asked for by its cluster alone as well as by cluster and node. They are kept once, by both, and
 * answered for either: of a cluster with several nodes the statistics are over them.
 */
import { mergeSummaries } from '../merge-summaries.ts';
import { elastiCacheNamespace, type Metric, metricKey } from '../metric.ts';
import type { MetricFilter, MetricStore, Point, PointsQuery } from '../metric-store.ts';
import type { Summary } from '../summary.ts';
import { namesByCluster } from './catalogue.ts';

const clusterId = 'CacheClusterId';
const nodeId = 'CacheNodeId';

export function withDimensionSets(store: MetricStore): MetricStore {
  return {
    record: (recorded) => store.record(recorded),
    async read(query) {
      const cluster = clusterAlone(query.metric);
      return cluster === undefined ? store.read(query) : readNodes(store, query, cluster);
    },
    async list(filter) {
      const listed = await store.list(filter);
      if (filter.namespace !== undefined && filter.namespace !== elastiCacheNamespace) return listed;
      if (filter.name !== undefined && !namesByCluster.has(filter.name)) return listed;
      const byKey = new Map(listed.map((metric) => [metricKey(metric), metric]));
      for (const metric of listed) {
        const alone = withoutNode(metric);
        if (alone !== undefined && fits(alone, filter)) byKey.set(metricKey(alone), alone);
      }
      return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, metric]) => metric);
    },
  };
}

async function readNodes(store: MetricStore, query: PointsQuery, cluster: string): Promise<Point[]> {
  const nodes = await store.list({
    namespace: elastiCacheNamespace,
    name: query.metric.name,
    dimensions: [{ name: clusterId, value: cluster }, { name: nodeId }],
  });
  const all = await Promise.all(nodes.map((metric) => store.read({ ...query, metric })));
  if (all.length === 1) return all[0]!;
  const periods = new Map<string, { point: Point; parts: Summary[] }>();
  for (const point of all.flat()) {
    const key = `${point.startMs} ${point.unit}`;
    const period = periods.get(key) ?? { point, parts: [] };
    period.parts.push(point.summary);
    periods.set(key, period);
  }
  return [...periods.values()]
    .map(({ point, parts }) => ({ ...point, summary: mergeSummaries(parts) }))
    .sort((a, b) => a.startMs - b.startMs);
}

/** The cluster, when a metric of a node is asked for by it alone. */
function clusterAlone({ namespace, name, dimensions }: Metric): string | undefined {
  const [only, ...others] = dimensions;
  if (namespace !== elastiCacheNamespace || only?.name !== clusterId || others.length > 0) return undefined;
  return namesByCluster.has(name) ? only.value : undefined;
}

function withoutNode(metric: Metric): Metric | undefined {
  const { namespace, name, dimensions } = metric;
  if (namespace !== elastiCacheNamespace || !namesByCluster.has(name) || dimensions.length !== 2) {
    return undefined;
  }
  const cluster = dimensions.find((each) => each.name === clusterId);
  if (cluster === undefined || !dimensions.some((each) => each.name === nodeId)) return undefined;
  return { namespace, name, dimensions: [cluster] };
}

function fits({ dimensions }: Metric, filter: MetricFilter): boolean {
  return (filter.dimensions ?? []).every((wanted) =>
    dimensions.some(
      (has) => has.name === wanted.name && (wanted.value === undefined || has.value === wanted.value),
    ),
  );
}
