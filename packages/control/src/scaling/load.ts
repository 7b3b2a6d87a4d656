/** (pure) A policy's metric, from what was sampled of the nodes. */
import type { NodeSample } from '../metric/sampler.ts';
import { nodeIdOf, type ReplicationGroup } from '../replication-group/replication-group.ts';
import type { Datapoint } from './plan.ts';
import type { TrackedMetric } from './scaling.ts';

const memberOfSample = {
  'engine-cpu': 'engineCpuPercent',
  memory: 'memoryPercent',
  connections: 'connections',
} as const;

/**
 * A point for every moment at which the group was sampled, oldest first. The busiest shard counts, not the shards' mean:
 * a hot shard behind idle ones is still hot.
 */
export function metricPoints(
  metric: TrackedMetric,
  group: ReplicationGroup,
  samplesOf: (nodeId: string) => readonly NodeSample[],
): Datapoint[] {
  const field = memberOfSample[metric.measure];
  const shards = group.nodeGroups.map(({ primary, members }) =>
    members
      .filter(({ id, status }) => (id === primary) === (metric.role === 'primary') && status === 'available')
      .map((member) => new Map(samplesOf(nodeIdOf(member)).map((sample) => [sample.atMs, sample[field]]))),
  );
  const moments = new Set(shards.flatMap((nodes) => nodes.flatMap((values) => [...values.keys()])));
  return [...moments]
    .sort((a, b) => a - b)
    .map((atMs) => {
      const ofShards = shards.map((nodes) => {
        const known = nodes.flatMap((values) => values.get(atMs) ?? []);
        if (known.length === 0) return { value: undefined, complete: false };
        const value =
          metric.statistic === 'highest'
            ? Math.max(...known)
            : known.reduce((sum, each) => sum + each, 0) / known.length;
        return { value, complete: known.length === nodes.length };
      });
      const values = ofShards.flatMap(({ value }) => value ?? []);
      return {
        atMs,
        value: values.length === 0 ? undefined : Math.max(...values),
        complete: ofShards.every(({ complete }) => complete),
      };
    });
}
