/** (pure) The nouns of autoscaling: what may be scaled, by what, and what was done. */
import type { ReplicationGroup } from '../replication-group/replication-group.ts';

export const dimensions = ['NodeGroups', 'Replicas'] as const;
/** What of a group is scaled: its shards, or the replicas of every shard. */
export type Dimension = (typeof dimensions)[number];

/** A dimension of a group that was registered. */
export interface ScalableTarget {
  readonly groupId: string;
  readonly dimension: Dimension;
  readonly minCapacity: number;
  readonly maxCapacity: number;
  readonly suspended: Suspended;
  /** Where new nodes are placed. */
  readonly region: string;
  readonly createdAtMs: number;
  /** A scheduled action set the capacities, and the group is to be brought between them also without a policy. */
  readonly boundsDue: boolean;
  /** When the last change ended that added capacity; likewise the others. */
  readonly lastOutAtMs?: number;
  readonly lastInAtMs?: number;
  readonly lastFailureAtMs?: number;
}

export interface Suspended {
  readonly scaleIn: boolean;
  readonly scaleOut: boolean;
  readonly scheduled: boolean;
}

export type TargetKey = Pick<ScalableTarget, 'groupId' | 'dimension'>;

/** As it was sent, so that it reads back so. */
export interface TrackingConfiguration {
  readonly TargetValue: number;
  readonly PredefinedMetricSpecification?: {
    readonly PredefinedMetricType: string;
    readonly ResourceLabel?: string | undefined;
  };
  readonly CustomizedMetricSpecification?: {
    readonly MetricName?: string | undefined;
    readonly Namespace?: string | undefined;
    readonly Statistic?: string | undefined;
    readonly Unit?: string | undefined;
    readonly Dimensions?: readonly { readonly Name: string; readonly Value: string }[] | undefined;
  };
  readonly ScaleOutCooldown?: number;
  readonly ScaleInCooldown?: number;
  readonly DisableScaleIn?: boolean;
}

export interface TrackedMetric {
  readonly measure: 'engine-cpu' | 'memory' | 'connections';
  /** Which nodes of a shard are looked at. */
  readonly role: 'primary' | 'replica';
  /** Over those nodes; of shards it always is the highest. */
  readonly statistic: 'mean' | 'highest';
}

export interface ScalingPolicy extends TargetKey {
  readonly id: string;
  readonly name: string;
  readonly configuration: TrackingConfiguration;
  readonly metric: TrackedMetric;
  readonly createdAtMs: number;
}

export interface ScheduledAction extends TargetKey {
  readonly id: string;
  readonly name: string;
  readonly schedule: string;
  readonly timezone?: string;
  readonly startAtMs?: number;
  readonly endAtMs?: number;
  readonly minCapacity?: number;
  readonly maxCapacity?: number;
  readonly createdAtMs: number;
  /** When it is to run next; missing when it never will again. */
  readonly nextAtMs?: number;
}

export type ActivityStatus = 'Pending' | 'InProgress' | 'Successful' | 'Failed' | 'Unfulfilled';

export interface ScalingActivity extends TargetKey {
  readonly id: string;
  readonly description: string;
  readonly cause: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly status: ActivityStatus;
  readonly statusMessage?: string;
  /** Missing for one that changed no capacity. */
  readonly change?: { readonly from: number; readonly to: number };
  /** Why nothing was scaled though a policy called for it. */
  readonly notScaled?: NotScaled;
}

export interface NotScaled {
  readonly code: 'AlreadyAtMaxCapacity' | 'AutoScalingAnticipatedFlapping';
  readonly capacity: number;
}

export const defaultOutCooldownSeconds = 600;
export const defaultInCooldownSeconds = 900;

/** How many it has, or is about to have: shards that leave and replicas that go no longer count. */
export function capacityOf(group: ReplicationGroup, dimension: Dimension): number {
  if (dimension === 'NodeGroups') {
    return group.nodeGroups.filter(({ resharding }) => resharding?.leaving !== true).length;
  }
  // Shards may differ; the one with the fewest is the one that is short first.
  return Math.min(...replicaCounts(group).map(({ replicas }) => replicas));
}

export function replicaCounts(
  group: ReplicationGroup,
): { readonly shard: string; readonly replicas: number }[] {
  return group.nodeGroups.map(({ id, primary, members }) => ({
    shard: id,
    replicas: members.filter((member) => member.id !== primary && member.status !== 'deleting').length,
  }));
}
