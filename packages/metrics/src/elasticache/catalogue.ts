/** (pure) The whole list of the namespace AWS/ElastiCache: what is measured of a node and of a group, and what is left out and why. */
import type { Unit } from '../metric.ts';
import { engineMetrics } from './engine-metrics.ts';
import { familyMetrics } from './family-metrics.ts';
import { engineTraffic, hostMetrics, memcachedTraffic } from './host-metrics.ts';
import type { NodeFacts } from './look.ts';
import { memcachedMetrics } from './memcached-metrics.ts';
import type { NodeMetric } from './node-metric.ts';

const ofEngine: readonly NodeMetric[] = [...hostMetrics(engineTraffic), ...engineMetrics, ...familyMetrics];
const ofMemcached: readonly NodeMetric[] = [...hostMetrics(memcachedTraffic), ...memcachedMetrics];

export function nodeMetrics(engine: NodeFacts['engine']): readonly NodeMetric[] {
  return engine === 'memcached' ? ofMemcached : ofEngine;
}

export function trafficOf(engine: NodeFacts['engine']) {
  return engine === 'memcached' ? memcachedTraffic : engineTraffic;
}

/** Names of those that are asked for by the cluster alone too. */
export const namesByCluster: ReadonlySet<string> = new Set(
  [...ofEngine, ...ofMemcached].filter(({ dimensions }) => dimensions === 'both').map(({ name }) => name),
);

export interface GroupMetric {
  readonly name: string;
  readonly unit: Unit;
  /** Besides `ReplicationGroupId` alone. */
  readonly by: readonly ('NodeGroupId' | 'Role')[];
}

/** Of a replication group: the statistics are over its members. */
export const groupMetrics: readonly GroupMetric[] = [
  { name: 'EngineCPUUtilization', unit: 'Percent', by: ['NodeGroupId', 'Role'] },
  { name: 'DatabaseMemoryUsageCountedForEvictPercentage', unit: 'Percent', by: ['NodeGroupId'] },
  { name: 'DatabaseCapacityUsageCountedForEvictPercentage', unit: 'Percent', by: ['NodeGroupId'] },
];

/** What AWS lists besides, and why it is not here. */
export const leftOut: readonly { readonly names: readonly string[]; readonly because: string }[] = [
  { names: ['CPUCreditBalance', 'CPUCreditUsage'], because: 'Nodes are not throttled by credits.' },
  {
    names: ['BytesReadFromDisk', 'BytesWrittenToDisk', 'NumItemsReadFromDisk', 'NumItemsWrittenToDisk'],
    because: 'There is no data tiering; neither is the dimension Tier.',
  },
  { names: ['GlobalDatastoreReplicationLag'], because: 'There is no global datastore.' },
  {
    names: ['IamAuthenticationExpirations', 'IamAuthenticationThrottling', 'CmdConfigGet'],
    because: 'The router, which would count them, does not.',
  },
  {
    names: ['SearchNumberOfIndexes', 'SearchTotalIndexedDocuments', 'SearchUsedMemoryBytes'],
    because: 'No engine here has the search module.',
  },
  {
    names: ['DurabilityLag', 'DurabilityBufferExceededErrorCount'],
    because: 'No engine here has the durable mode.',
  },
  {
    names: ['ElastiCacheProcessingUnits', 'ThrottledCmds', 'TotalCmdsCount'],
    because: 'There are no serverless caches.',
  },
];
