/** Create and delete: check, write the intent, wake the reconciler. No engine is touched here. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { memberClusterId, nodeGroupIdOf, replicationGroupId } from '@larder/contract/ids';
import { engineTraits } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { takeAddresses } from '../placement/addresses.ts';
import { chooseEngine } from '../request/engine-choice.ts';
import { defaultMaintenanceWindow, maintenanceWindow } from '../request/maintenance-window.ts';
import { refuseNotYet } from '../request/not-yet.ts';
import { readTags } from '../request/tags.ts';
import type { NodeGroup, ReplicationGroup } from './replication-group.ts';
import { planShape, type Shape, type ShapedNodeGroup } from './shape.ts';
import { nextStatus } from './status.ts';
import { changeStatus, firstEpoch, insertReplicationGroup, readReplicationGroup } from './store.ts';

/**
 * Writes down a new group and returns it with status `creating`. No process has started yet; what is promised is
 * that it will be, even if the service is killed now.
 * @throws ServiceError for everything ElastiCache refuses, and for what has no effect here yet.
 */
export async function createReplicationGroup(
  context: ControlContext,
  region: string,
  input: Input<'CreateReplicationGroup'>,
): Promise<ReplicationGroup> {
  const id = replicationGroupId(input.ReplicationGroupId);
  refuseUnsupported(input);
  const choice = await chooseEngine(context.engines, input, 'valkey');
  if (!engineTraits[choice.engine].replicates) {
    throw serviceError(
      'InvalidParameterValueException',
      `${engineTraits[choice.engine].title} has no replication; use CreateCacheCluster.`,
    );
  }
  const shape = planShape(input, region);
  const intent = {
    description: input.ReplicationGroupDescription,
    ...choice,
    clusterEnabled: shape.clusterEnabled,
    automaticFailover: shape.automaticFailover,
    multiAz: shape.multiAz,
    autoMinorVersionUpgrade: input.AutoMinorVersionUpgrade ?? true,
    preferredMaintenanceWindow: maintenanceWindow(
      input.PreferredMaintenanceWindow ?? defaultMaintenanceWindow,
    ),
    tags: readTags(input.Tags),
  };

  const group = await context.database.transaction().execute(async (transaction) => {
    await refuseTaken(transaction, id, shape);
    const owners = addressOwners(id, shape.nodeGroups, shape.clusterEnabled);
    const addresses = await takeAddresses(transaction, {
      host: context.host,
      candidates: context.addresses(),
      port: choice.port,
      resource: 'replication-group',
      owners,
    }).catch((error: Error) => {
      throw serviceError('InsufficientCacheClusterCapacityFault', error.message);
    });
    const created: ReplicationGroup = {
      id,
      intent,
      status: 'creating',
      epoch: await firstEpoch(transaction, id),
      createdAtMs: context.nowMs(),
      ...(shape.clusterEnabled && { configurationAddress: addresses.get(`${id}/configuration`)! }),
      nodeGroups: shape.nodeGroups.map((each) => placeNodeGroup(id, each, addresses, shape.clusterEnabled)),
    };
    await insertReplicationGroup(transaction, created);
    return created;
  });
  context.wake('replication-group', id);
  return group;
}

/**
 * Begins the deletion; the group reads `deleting` until its nodes are gone.
 * @throws ServiceError ReplicationGroupNotFoundFault, InvalidReplicationGroupState
 */
export async function deleteReplicationGroup(
  context: ControlContext,
  input: Input<'DeleteReplicationGroup'>,
): Promise<ReplicationGroup> {
  const id = input.ReplicationGroupId.toLowerCase();
  refuseNotYet({
    RetainPrimaryCluster: input.RetainPrimaryCluster,
    FinalSnapshotIdentifier: input.FinalSnapshotIdentifier,
  });
  const group = await context.database.transaction().execute(async (transaction) => {
    const found = await readReplicationGroup(transaction, id);
    if (found === undefined) throw notFound(id);
    const status = nextStatus(found.status, 'delete-requested');
    if (status === 'refuse' || status === 'stay') {
      throw serviceError(
        'InvalidReplicationGroupStateFault',
        `Replication group ${id} is ${found.status} and can't be deleted now.`,
      );
    }
    await changeStatus(transaction, id, { from: found.status, to: status });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: `Deleting replication group ${id}`,
    });
    return { ...found, status };
  });
  context.wake('replication-group', id);
  return group;
}

export function notFound(id: string) {
  return serviceError('ReplicationGroupNotFoundFault', `Replication group ${id} not found.`);
}

function refuseUnsupported(input: Input<'CreateReplicationGroup'>): void {
  refuseNotYet({
    GlobalReplicationGroupId: input.GlobalReplicationGroupId,
    PrimaryClusterId: input.PrimaryClusterId,
    SnapshotArns: input.SnapshotArns,
    SnapshotName: input.SnapshotName,
    SnapshotRetentionLimit: input.SnapshotRetentionLimit,
    SnapshotWindow: input.SnapshotWindow,
    ServerlessCacheSnapshotName: input.ServerlessCacheSnapshotName,
    CacheSubnetGroupName: input.CacheSubnetGroupName,
    CacheSecurityGroupNames: input.CacheSecurityGroupNames,
    SecurityGroupIds: input.SecurityGroupIds,
    NotificationTopicArn: input.NotificationTopicArn,
    AuthToken: input.AuthToken,
    TransitEncryptionEnabled: input.TransitEncryptionEnabled,
    TransitEncryptionMode: input.TransitEncryptionMode,
    AtRestEncryptionEnabled: input.AtRestEncryptionEnabled,
    KmsKeyId: input.KmsKeyId,
    UserGroupIds: input.UserGroupIds,
    LogDeliveryConfigurations: input.LogDeliveryConfigurations,
    DataTieringEnabled: input.DataTieringEnabled,
    Durability:
      input.Durability === 'disabled' || input.Durability === 'default' ? undefined : input.Durability,
    NetworkType: input.NetworkType === 'ipv4' ? undefined : input.NetworkType,
    IpDiscovery: input.IpDiscovery === 'ipv4' ? undefined : input.IpDiscovery,
  });
}

async function refuseTaken(transaction: DatabaseTransaction, id: string, shape: Shape): Promise<void> {
  if ((await readReplicationGroup(transaction, id)) !== undefined) {
    throw serviceError(
      'ReplicationGroupAlreadyExistsFault',
      `Replication group with specified id already exists: ${id}.`,
    );
  }
  const members = shape.nodeGroups.flatMap(({ memberZones, index: shardIndex }) =>
    memberZones.map((_, index) => memberIdOf(id, shape.clusterEnabled, shardIndex, index)),
  );
  const taken = await transaction
    .selectFrom('cache_cluster')
    .select('id')
    .where('id', 'in', members)
    .executeTakeFirst();
  if (taken === undefined) return;
  throw serviceError(
    'InvalidParameterValueException',
    `The group's members would be named like cache cluster ${taken.id}, which exists.`,
  );
}

function addressOwners(
  id: string,
  nodeGroups: readonly ShapedNodeGroup[],
  clusterEnabled: boolean,
): string[] {
  const endpoints = clusterEnabled ? [`${id}/configuration`] : [`${id}/primary`, `${id}/reader`];
  const members = nodeGroups.flatMap((nodeGroup, shardIndex) =>
    nodeGroup.memberZones.map((_, index) => `${id}/${memberIdOf(id, clusterEnabled, shardIndex, index)}`),
  );
  return [...endpoints, ...members];
}

function memberIdOf(
  groupId: string,
  clusterEnabled: boolean,
  shardIndex: number,
  memberIndex: number,
): string {
  return memberClusterId(
    groupId,
    memberIndex + 1,
    clusterEnabled ? nodeGroupIdOf(shardIndex + 1) : undefined,
  );
}

function placeNodeGroup(
  groupId: string,
  shaped: ShapedNodeGroup,
  addresses: ReadonlyMap<string, string>,
  clusterEnabled: boolean,
): NodeGroup {
  const members = shaped.memberZones.map((zone, index) => {
    const id = memberIdOf(groupId, clusterEnabled, shaped.index, index);
    return { id, zone, address: addresses.get(`${groupId}/${id}`)!, status: 'creating' as const };
  });
  return {
    id: nodeGroupIdOf(shaped.index + 1),
    slots: shaped.slots,
    primary: members[0]!.id,
    formed: false,
    members,
    ...(!clusterEnabled && {
      primaryAddress: addresses.get(`${groupId}/primary`)!,
      readerAddress: addresses.get(`${groupId}/reader`)!,
    }),
  };
}
