/** Cache cluster operations on a member of a replication group: the group's own requests, under the member's name. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { cacheClusterId } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import { addReplica, rebootMember, removeReplica } from '../replication-group/replicas.ts';
import type { ReplicationGroup } from '../replication-group/replication-group.ts';
import { refuseNotYet } from '../request/not-yet.ts';

/** @returns the group with the new member. @throws ServiceError */
export async function createMember(
  context: ControlContext,
  region: string,
  input: Input<'CreateCacheCluster'>,
): Promise<{ readonly group: ReplicationGroup; readonly id: string }> {
  const id = cacheClusterId(input.CacheClusterId);
  const decided = [
    ...([
      'Engine',
      'EngineVersion',
      'CacheNodeType',
      'Port',
      'CacheParameterGroupName',
      'AuthToken',
    ] as const),
    ...(['CacheSubnetGroupName', 'SecurityGroupIds', 'TransitEncryptionEnabled', 'SnapshotName'] as const),
  ];
  const surplus = decided.find((name) => input[name] !== undefined);
  if (surplus !== undefined || (input.NumCacheNodes ?? 1) !== 1) {
    throw serviceError(
      'InvalidParameterCombinationException',
      `With ReplicationGroupId, ${surplus ?? 'NumCacheNodes'} is the group's own; leave it out.`,
    );
  }
  refuseNotYet({ SnapshotArns: input.SnapshotArns, Tags: input.Tags });
  return { group: await addReplica(context, region, input, id), id };
}

export async function deleteMember(
  context: ControlContext,
  groupId: string,
  input: Input<'DeleteCacheCluster'>,
): Promise<{ readonly group: ReplicationGroup; readonly id: string }> {
  refuseNotYet({ FinalSnapshotIdentifier: input.FinalSnapshotIdentifier });
  const id = input.CacheClusterId.toLowerCase();
  return { group: await removeReplica(context, groupId, id), id };
}

export async function rebootMemberCluster(
  context: ControlContext,
  groupId: string,
  input: Input<'RebootCacheCluster'>,
): Promise<{ readonly group: ReplicationGroup; readonly id: string }> {
  const id = input.CacheClusterId.toLowerCase();
  if (input.CacheNodeIdsToReboot.length === 0 || input.CacheNodeIdsToReboot.some((each) => each !== '0001')) {
    throw serviceError('InvalidParameterValueException', `Cache cluster ${id} has the node 0001; name it.`);
  }
  return { group: await rebootMember(context, groupId, id), id };
}
