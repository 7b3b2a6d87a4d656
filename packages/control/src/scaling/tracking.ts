/** (pure) Which metric a policy's configuration means for its dimension, and which it may be. */
import { invalid } from './names.ts';
import type { Dimension, TrackedMetric, TrackingConfiguration } from './scaling.ts';

/** Metric -> what it is, by dimension: replicas share reads, shards share what primaries hold and do. */
const predefined: Readonly<Record<Dimension, Readonly<Record<string, TrackedMetric>>>> = {
  NodeGroups: {
    ElastiCachePrimaryEngineCPUUtilization: { measure: 'engine-cpu', role: 'primary', statistic: 'mean' },
    ElastiCacheDatabaseMemoryUsageCountedForEvictPercentage: {
      measure: 'memory',
      role: 'primary',
      statistic: 'mean',
    },
    // Without data tiering what a database may use is its memory.
    ElastiCacheDatabaseCapacityUsageCountedForEvictPercentage: {
      measure: 'memory',
      role: 'primary',
      statistic: 'mean',
    },
  },
  Replicas: {
    ElastiCacheReplicaEngineCPUUtilization: { measure: 'engine-cpu', role: 'replica', statistic: 'mean' },
  },
};

const longestCooldownSeconds = 7 * 24 * 3600;
const mostConnections = 1e9;

/** @throws ServiceError ValidationException for what can't be tracked. */
export function readTracking(
  groupId: string,
  dimension: Dimension,
  configuration: TrackingConfiguration,
): TrackedMetric {
  const { PredefinedMetricSpecification: known, CustomizedMetricSpecification: custom } = configuration;
  if ((known === undefined) === (custom === undefined)) {
    throw invalid('Give PredefinedMetricSpecification or CustomizedMetricSpecification, and not both.');
  }
  if (known?.ResourceLabel !== undefined) throw invalid('ResourceLabel is for load balancers; leave it out.');
  checkCooldown('ScaleOutCooldown', configuration.ScaleOutCooldown);
  checkCooldown('ScaleInCooldown', configuration.ScaleInCooldown);
  const metric =
    known !== undefined
      ? readPredefined(dimension, known.PredefinedMetricType)
      : readCustomized(groupId, dimension, custom!);
  const most = metric.measure === 'connections' ? mostConnections : 100;
  const { TargetValue: aim } = configuration;
  if (!(aim > 0 && aim <= most))
    throw invalid(`TargetValue must be above 0 and at most ${most}; it is ${aim}.`);
  return metric;
}

function readPredefined(dimension: Dimension, type: string): TrackedMetric {
  const metrics = predefined[dimension];
  if (Object.hasOwn(metrics, type)) return metrics[type]!;
  throw invalid(
    `PredefinedMetricType ${type.slice(0, 100)} can't scale ${dimension}; it may be ${Object.keys(metrics).join(', ')}.`,
  );
}

function readCustomized(
  groupId: string,
  dimension: Dimension,
  custom: NonNullable<TrackingConfiguration['CustomizedMetricSpecification']>,
): TrackedMetric {
  if (custom.Namespace !== 'AWS/ElastiCache' || custom.MetricName !== 'CurrConnections') {
    throw invalid('A customized metric can be CurrConnections of the namespace AWS/ElastiCache.');
  }
  if (custom.Statistic !== 'Average' && custom.Statistic !== 'Maximum') {
    throw invalid('Statistic must be Average or Maximum.');
  }
  if (custom.Unit !== undefined && custom.Unit !== 'Count')
    throw invalid('The Unit of CurrConnections is Count.');
  let role: TrackedMetric['role'] = dimension === 'NodeGroups' ? 'primary' : 'replica';
  for (const { Name: name, Value: value } of custom.Dimensions ?? []) {
    if (name === 'ReplicationGroupId' && value.toLowerCase() === groupId) continue;
    if (name === 'Role' && (value === 'Primary' || value === 'Replica')) {
      role = value === 'Primary' ? 'primary' : 'replica';
      continue;
    }
    throw invalid(
      `Dimensions can be ReplicationGroupId, of ${groupId} itself, and Role, Primary or Replica.`,
    );
  }
  return { measure: 'connections', role, statistic: custom.Statistic === 'Average' ? 'mean' : 'highest' };
}

function checkCooldown(name: string, seconds: number | undefined): void {
  if (seconds === undefined) return;
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= longestCooldownSeconds) return;
  throw invalid(`${name} must be a whole number of seconds from 0 to ${longestCooldownSeconds}.`);
}
