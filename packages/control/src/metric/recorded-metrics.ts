/** (pure) What was derived of nodes, as data to record: by node, and of groups over their members. */
import { groupMetrics } from '@larder/metrics/elasticache/catalogue';
import type { DerivedValue } from '@larder/metrics/elasticache/derive';
import { rounded } from '@larder/metrics/elasticache/node-metric';
import { mergeSummaries } from '@larder/metrics/merge-summaries';
import { elastiCacheNamespace, type Metric } from '@larder/metrics/metric';
import type { RecordedData } from '@larder/metrics/metric-store';
import type { Summary } from '@larder/metrics/summary';
import type { CollectedNode } from './collected-nodes.ts';

/** A look inside a minute, or the minute itself. */
export type Grain = 'second' | 'minute';

export interface MetricNames {
  /** The same object for the same metric: the store knows it again. */
  ofNode(node: CollectedNode, name: string): Metric;
  ofGroup(
    groupId: string,
    name: string,
    dimension?: { readonly name: string; readonly value: string },
  ): Metric;
  /** Forgets nodes and groups that are not among these. */
  keepOnly(nodes: readonly CollectedNode[]): void;
}

export function metricNames(): MetricNames {
  const nodes = new Map<string, Map<string, Metric>>();
  const groups = new Map<string, Map<string, Metric>>();

  function named(
    kept: Map<string, Map<string, Metric>>,
    id: string,
    key: string,
    make: () => Metric,
  ): Metric {
    const own = kept.get(id) ?? new Map<string, Metric>();
    kept.set(id, own);
    const metric = own.get(key) ?? make();
    own.set(key, metric);
    return metric;
  }

  return {
    ofNode: ({ nodeId, clusterId, cacheNodeId }, name) =>
      named(nodes, nodeId, name, () => ({
        namespace: elastiCacheNamespace,
        name,
        dimensions: [
          { name: 'CacheClusterId', value: clusterId },
          { name: 'CacheNodeId', value: cacheNodeId },
        ],
      })),
    ofGroup: (groupId, name, dimension) =>
      named(groups, groupId, `${name} ${dimension?.name} ${dimension?.value}`, () => ({
        namespace: elastiCacheNamespace,
        name,
        dimensions: [
          { name: 'ReplicationGroupId', value: groupId },
          ...(dimension === undefined ? [] : [dimension]),
        ],
      })),
    keepOnly(all) {
      const ids = new Set(all.map(({ nodeId }) => nodeId));
      const groupIds = new Set(all.map(({ shard }) => shard?.groupId));
      for (const id of nodes.keys()) if (!ids.has(id)) nodes.delete(id);
      for (const id of groups.keys()) if (!groupIds.has(id)) groups.delete(id);
    },
  };
}

const grains = {
  second: { resolutionSeconds: 1, rollUp: 'within-minute' },
  minute: { resolutionSeconds: 60, rollUp: 'without-values' },
} as const;

export interface DerivedNode {
  readonly node: CollectedNode;
  readonly role: 'primary' | 'replica';
  readonly values: readonly DerivedValue[];
}

export function recordedOf(
  names: MetricNames,
  derived: readonly DerivedNode[],
  grain: Grain,
  atMs: number,
): RecordedData[] {
  const recorded: RecordedData[] = [];
  for (const { node, values } of derived) {
    for (const { metric, summary } of values) {
      recorded.push({
        metric: names.ofNode(node, metric.name),
        unit: metric.unit,
        ...(grain === 'minute' && summary.sampleCount > 1 ? { resolutionSeconds: 60 } : grains[grain]),
        data: [{ atMs, summary }],
      });
    }
  }
  return [...recorded, ...ofGroups(names, derived, grain, atMs)];
}

function ofGroups(
  names: MetricNames,
  derived: readonly DerivedNode[],
  grain: Grain,
  atMs: number,
): RecordedData[] {
  const wanted = new Map(groupMetrics.map((metric) => [metric.name, metric]));
  const parts = new Map<Metric, { readonly unit: RecordedData['unit']; readonly summaries: Summary[] }>();
  for (const { node, role, values } of derived) {
    if (node.shard === undefined) continue;
    const { groupId, nodeGroupId } = node.shard;
    for (const { metric, summary } of values) {
      const known = wanted.get(metric.name);
      if (known === undefined) continue;
      const sets = [
        names.ofGroup(groupId, known.name),
        ...known.by.map((name) => {
          const value = name === 'NodeGroupId' ? nodeGroupId : role === 'primary' ? 'Primary' : 'Replica';
          return names.ofGroup(groupId, known.name, { name, value });
        }),
      ];
      for (const each of sets) {
        const part = parts.get(each) ?? { unit: known.unit, summaries: [] };
        parts.set(each, part);
        part.summaries.push(summary);
      }
    }
  }
  return [...parts].map(([metric, { unit, summaries }]) => {
    const { values: _, ...merged } = mergeSummaries(summaries);
    const summary = { ...merged, sum: rounded(merged.sum) };
    return { metric, unit, ...grains[grain], data: [{ atMs, summary }] };
  });
}
