/** Snapshots as ElastiCache shows them. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { cacheNodeIdOf, formatArn } from '@larder/contract/ids';
import { versionLine } from '@larder/engine/engine';
import { formatSlots } from '@larder/engine/slots';
import { groupOfMember } from '../cache-cluster/requests.ts';
import { readCacheCluster } from '../cache-cluster/store.ts';
import type { ControlContext } from '../control-context.ts';
import type { Owner } from '../replication-group/describe.ts';
import { pageOf } from '../request/page.ts';
import { defaultSnapshotWindow } from '../request/snapshot-window.ts';
import { exportingNames } from '../snapshot-export/store.ts';
import { defaultSubnetGroup } from '../subnet-group/subnet-group.ts';
import { notFound } from './find.ts';
import type { Snapshot, SnapshotShard } from './snapshot.ts';
import { readSnapshots, restoringNames } from './store.ts';

type Shown = NonNullable<Output<'DescribeSnapshots'>['Snapshots']>[number];
type ShownNode = NonNullable<Shown['NodeSnapshots']>[number];

/** This operation's own: other pages are larger. */
const pageSize = { default: 50, most: 50 };
const kinds: Readonly<Record<string, Snapshot['kind']>> = {
  system: 'automated',
  automated: 'automated',
  user: 'manual',
  manual: 'manual',
};

/** @throws ServiceError SnapshotNotFoundFault, CacheClusterNotFound, InvalidParameterValue for a source that is none */
export async function describeSnapshots(
  { database }: ControlContext,
  owner: Owner,
  input: Input<'DescribeSnapshots'>,
): Promise<Output<'DescribeSnapshots'>> {
  const kind = input.SnapshotSource === undefined ? undefined : kinds[input.SnapshotSource.toLowerCase()];
  if (input.SnapshotSource !== undefined && kind === undefined) {
    throw serviceError('InvalidParameterValueException', 'SnapshotSource must be system or user.');
  }
  const [groupId, clusterId, name] = [input.ReplicationGroupId, input.CacheClusterId, input.SnapshotName].map(
    (each) => each?.toLowerCase(),
  );
  const found = (await readSnapshots(database, name === undefined ? {} : { name })).filter(
    (each) =>
      each.kind !== 'seed' &&
      (kind === undefined || each.kind === kind) &&
      (groupId === undefined || shownGroup(each) === groupId) &&
      (clusterId === undefined || shownCluster(each) === clusterId),
  );
  if (name !== undefined && found.length === 0) throw notFound(name);
  // A deleted cluster's snapshots outlive it.
  if (clusterId !== undefined && found.length === 0) {
    const known = (await readCacheCluster(database, clusterId)) ?? (await groupOfMember(database, clusterId));
    if (known === undefined) {
      throw serviceError('CacheClusterNotFoundFault', `Cache cluster ${clusterId.slice(0, 60)} not found.`);
    }
  }
  const restoring = await restoringNames(database);
  const exporting = await exportingNames(database);
  const withConfiguration = input.ShowNodeGroupConfig ?? false;
  const { items, ...marker } = pageOf(found, input, (each) => each.name, pageSize);
  return {
    Snapshots: items.map((each) =>
      showSnapshot(each, owner, {
        withConfiguration,
        ...(restoring.has(each.name) && { use: 'restoring' }),
        ...(exporting.has(each.name) && { use: 'copying' }),
      }),
    ),
    ...marker,
  };
}

export function showSnapshot(
  snapshot: Snapshot,
  owner: Owner,
  { withConfiguration = false, use }: { withConfiguration?: boolean; use?: 'restoring' | 'copying' } = {},
): Shown {
  const { name, settings, shards } = snapshot;
  const groupId = shownGroup(snapshot);
  const clusterId = shownCluster(snapshot);
  return {
    SnapshotName: name,
    ...(groupId !== undefined && {
      ReplicationGroupId: groupId,
      ReplicationGroupDescription: settings.group?.description ?? '',
    }),
    ...(clusterId !== undefined && { CacheClusterId: clusterId }),
    SnapshotStatus: snapshot.status === 'available' ? (use ?? 'available') : snapshot.status,
    SnapshotSource: snapshot.kind,
    CacheNodeType: settings.nodeType,
    Engine: settings.engine,
    EngineVersion: versionLine(settings.engineVersion),
    NumCacheNodes: clusterId === undefined ? undefined : 1,
    PreferredAvailabilityZone: clusterId === undefined ? undefined : shards[0]?.zones[0],
    CacheClusterCreateTime: new Date(settings.createdAtMs),
    PreferredMaintenanceWindow: settings.preferredMaintenanceWindow,
    ...(settings.topicArn !== undefined && { TopicArn: settings.topicArn }),
    Port: settings.port,
    CacheParameterGroupName: settings.parameterGroup,
    CacheSubnetGroupName: settings.subnetGroup ?? defaultSubnetGroup,
    AutoMinorVersionUpgrade: settings.autoMinorVersionUpgrade,
    SnapshotRetentionLimit: settings.snapshotRetentionDays,
    SnapshotWindow: settings.snapshotWindow ?? defaultSnapshotWindow,
    NumNodeGroups: shards.length,
    ...(settings.group !== undefined && {
      AutomaticFailover: settings.group.automaticFailover ? 'enabled' : 'disabled',
    }),
    NodeSnapshots: shards.map((shard) => showShard(snapshot, shard, withConfiguration)),
    ARN: formatArn({ ...owner, resourceType: 'snapshot', name }),
    DataTiering: 'disabled',
  };
}

function showShard({ settings }: Snapshot, shard: SnapshotShard, withConfiguration: boolean): ShownNode {
  const { saved, zones } = shard;
  return {
    NodeGroupId: shard.id,
    ...(withConfiguration && {
      NodeGroupConfiguration: {
        NodeGroupId: shard.id,
        ...(settings.clusterEnabled && { Slots: formatSlots(shard.slots) }),
        ReplicaCount: Math.max(0, zones.length - 1),
        ...(zones[0] !== undefined && { PrimaryAvailabilityZone: zones[0] }),
        ReplicaAvailabilityZones: zones.slice(1),
      },
    }),
    ...(saved !== undefined && {
      CacheClusterId: saved.clusterId,
      CacheNodeId: cacheNodeIdOf(1),
      CacheSize: `${Math.ceil(saved.sizeBytes / 2 ** 20)} MB`,
      CacheNodeCreateTime: new Date(saved.nodeCreatedAtMs),
      SnapshotCreateTime: new Date(saved.savedAtMs),
    }),
  };
}

function shownGroup({ origin }: Snapshot): string | undefined {
  return origin.resource === 'replication-group' && origin.member === undefined ? origin.id : undefined;
}

function shownCluster({ origin }: Snapshot): string | undefined {
  return origin.resource === 'cache-cluster' ? origin.id : origin.member;
}
