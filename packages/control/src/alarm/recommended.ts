/** (pure) The alarms that a cache should have, with the thresholds that ElastiCache's documentation recommends. */
import type { MetricAlarmRequest } from './alarm.ts';

export interface WatchedCache {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
  readonly isMemcached: boolean;
  readonly vcpus: number;
  readonly maxConnections: number;
  readonly nodes: readonly { readonly clusterId: string; readonly nodeId: string }[];
}

/** In percent: of the one thread that serves, of a machine, and of what data may fill. */
const busyPercent = 90;
const fullPercent = 80;
/** Of the connections that a node takes. */
const manyConnections = 0.9;
const lateSeconds = 10;

interface Recommendation {
  readonly metric: string;
  readonly because: string;
  readonly threshold: number;
  readonly periods: number;
  readonly statistic?: 'Average' | 'Sum';
  readonly treatMissingData?: 'notBreaching';
}

function recommendationsFor({ isMemcached, vcpus, maxConnections }: WatchedCache): readonly Recommendation[] {
  const connections: Recommendation = {
    metric: 'CurrConnections',
    because: `a node of this type takes ${maxConnections}`,
    threshold: Math.floor(maxConnections * manyConnections),
    periods: 10,
  };
  if (isMemcached) {
    const cpu = {
      metric: 'CPUUtilization',
      because: 'its threads use all processors',
      threshold: busyPercent,
    };
    return [{ ...cpu, periods: 5 }, connections];
  }
  return [
    {
      metric: 'CPUUtilization',
      because: `commands run in one thread, of ${vcpus} processors`,
      threshold: busyPercent / vcpus,
      periods: 5,
    },
    {
      metric: 'EngineCPUUtilization',
      because: 'the thread that runs commands is nearly busy',
      threshold: busyPercent,
      periods: 5,
    },
    {
      metric: 'DatabaseMemoryUsagePercentage',
      because: 'beyond maxmemory entries are evicted, or writes refused',
      threshold: fullPercent,
      periods: 5,
    },
    connections,
    {
      metric: 'ReplicationLag',
      because: 'a replica falls behind; what it lacks is lost with the primary',
      threshold: lateSeconds,
      periods: 15,
      // A primary has none.
      treatMissingData: 'notBreaching',
    },
    {
      metric: 'AuthenticationFailures',
      because: 'somebody has a wrong password',
      threshold: 0,
      periods: 1,
      statistic: 'Sum',
      treatMissingData: 'notBreaching',
    },
  ];
}

/** @param topic that is told when one goes off, and when it is over. */
export function recommendedAlarms(
  cache: WatchedCache,
  topic: string | undefined,
): readonly MetricAlarmRequest[] {
  const actions = topic === undefined ? {} : { AlarmActions: [topic], OKActions: [topic] };
  return cache.nodes.flatMap(({ clusterId, nodeId }) =>
    recommendationsFor(cache).map(
      ({
        metric,
        because,
        threshold,
        periods,
        statistic = 'Average',
        treatMissingData,
      }): MetricAlarmRequest => ({
        AlarmName: [clusterId, ...(cache.isMemcached ? [nodeId] : []), metric].join('-'),
        AlarmDescription: `Recommended for ${cache.id}: ${because}.`,
        Namespace: 'AWS/ElastiCache',
        MetricName: metric,
        Dimensions: [
          { Name: 'CacheClusterId', Value: clusterId },
          { Name: 'CacheNodeId', Value: nodeId },
        ],
        Statistic: statistic,
        Period: 60,
        EvaluationPeriods: periods,
        Threshold: threshold,
        ComparisonOperator: 'GreaterThanThreshold',
        ...(treatMissingData !== undefined && { TreatMissingData: treatMissingData }),
        ...actions,
      }),
    ),
  );
}
