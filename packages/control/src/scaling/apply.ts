/** Changes a group's capacity, by the requests that customers make for it. */
import { nodeGroupId } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import { decreaseReplicaCount, increaseReplicaCount } from '../replication-group/replicas.ts';
import type { ReplicationGroup } from '../replication-group/replication-group.ts';
import { modifyShardConfiguration } from '../replication-group/reshard.ts';
import { capacityOf, replicaCounts, type ScalableTarget } from './scaling.ts';

/** @throws ServiceError as those requests do: while the group does something else, without room, … */
export async function applyCapacity(
  context: ControlContext,
  target: Pick<ScalableTarget, 'dimension' | 'region'>,
  group: ReplicationGroup,
  to: number,
): Promise<void> {
  const out = to > capacityOf(group, target.dimension);
  if (target.dimension === 'NodeGroups') {
    await modifyShardConfiguration(context, target.region, {
      ReplicationGroupId: group.id,
      NodeGroupCount: to,
      ApplyImmediately: true,
      // The newest go: as the slots are spread, each holds as much as another.
      ...(!out && { NodeGroupsToRemove: newestShards(group, group.nodeGroups.length - to) }),
    });
    return;
  }
  const counts = replicaCounts(group).filter(({ replicas }) => (out ? replicas < to : replicas > to));
  const input = {
    ReplicationGroupId: group.id,
    ApplyImmediately: true,
    ReplicaConfiguration: counts.map(({ shard }) => ({ NodeGroupId: shard, NewReplicaCount: to })),
  };
  if (out) await increaseReplicaCount(context, target.region, input);
  else await decreaseReplicaCount(context, input);
}

function newestShards({ nodeGroups }: ReplicationGroup, count: number): string[] {
  return nodeGroups
    .map(({ id }) => nodeGroupId(id))
    .sort()
    .slice(-count);
}
