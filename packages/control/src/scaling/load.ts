/** A policy's metric, from what is measured of the nodes. */
import { elastiCacheNamespace } from '@larder/metrics/metric';
import type { MetricReader } from '@larder/metrics/metric-store';
import { type Member, nodeIdOf, type ReplicationGroup } from '../replication-group/replication-group.ts';
import { type Datapoint, inPoints } from './plan.ts';
import type { TrackedMetric } from './scaling.ts';

const names = {
  'engine-cpu': 'EngineCPUUtilization',
  memory: 'DatabaseMemoryUsageCountedForEvictPercentage',
  connections: 'CurrConnections',
} as const;

/** How many periods are read: more than a decision needs. */
const periodsRead = 2 * inPoints;

/** From one look to the next, in the whole seconds that metrics are read by. */
export function lookPeriodMs(periodMs: number): number {
  return Math.max(1, Math.round(periodMs / 1_000)) * 1_000;
}

/**
 * A point for every period that is over and in which the group was measured, oldest first, dated by its end. The busiest
 * shard counts, not the shards' mean: a hot shard behind idle ones is still hot.
 */
export async function metricPoints(
  metric: TrackedMetric,
  group: ReplicationGroup,
  reader: MetricReader,
  { nowMs, periodMs }: { readonly nowMs: number; readonly periodMs: number },
): Promise<Datapoint[]> {
  const endMs = nowMs - (nowMs % periodMs);
  const query = { startMs: endMs - periodsRead * periodMs, endMs, periodSeconds: periodMs / 1_000 };

  async function meansOf(member: Member): Promise<Map<number, number>> {
    const [, cacheNodeId] = nodeIdOf(member).split('.');
    const points = await reader.read({
      ...query,
      metric: {
        namespace: elastiCacheNamespace,
        name: names[metric.measure],
        dimensions: [
          { name: 'CacheClusterId', value: member.id },
          { name: 'CacheNodeId', value: cacheNodeId! },
        ],
      },
    });
    return new Map(points.map(({ startMs, summary }) => [startMs, summary.sum / summary.sampleCount]));
  }

  const shards = await Promise.all(
    group.nodeGroups.map(({ primary, members }) =>
      Promise.all(
        members
          .filter(
            ({ id, status }) => (id === primary) === (metric.role === 'primary') && status === 'available',
          )
          .map(meansOf),
      ),
    ),
  );
  const moments = new Set(shards.flatMap((nodes) => nodes.flatMap((means) => [...means.keys()])));
  return [...moments]
    .sort((a, b) => a - b)
    .map((startMs) => {
      const ofShards = shards.map((nodes) => {
        const known = nodes.flatMap((means) => means.get(startMs) ?? []);
        if (known.length === 0) return { value: undefined, complete: false };
        const value =
          metric.statistic === 'highest'
            ? Math.max(...known)
            : known.reduce((sum, each) => sum + each, 0) / known.length;
        return { value, complete: known.length === nodes.length };
      });
      const values = ofShards.flatMap(({ value }) => value ?? []);
      return {
        atMs: startMs + periodMs,
        value: values.length === 0 ? undefined : Math.max(...values),
        complete: ofShards.every(({ complete }) => complete),
      };
    });
}
