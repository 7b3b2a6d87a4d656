/** ListAllowedNodeTypeModifications: which node types a group's or cluster's data fits into. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { nodeTypes } from '@larder/engine/node-type';
import { nodeIdOf } from '../cache-cluster/cache-cluster.ts';
import { notFound as clusterNotFound, groupOfMember } from '../cache-cluster/requests.ts';
import { readCacheCluster } from '../cache-cluster/store.ts';
import type { ControlContext } from '../control-context.ts';
import { nodeIdOf as memberNodeId, membersOf } from '../replication-group/replication-group.ts';
import { notFound as groupNotFound } from '../replication-group/requests.ts';
import { readReplicationGroup } from '../replication-group/store.ts';

/** @throws ServiceError ReplicationGroupNotFoundFault, CacheClusterNotFound, InvalidParameterCombination */
export async function listAllowedNodeTypes(
  context: ControlContext,
  input: Input<'ListAllowedNodeTypeModifications'>,
): Promise<Output<'ListAllowedNodeTypeModifications'>> {
  const { CacheClusterId: clusterId, ReplicationGroupId: groupId } = input;
  if ((clusterId === undefined) === (groupId === undefined)) {
    throw serviceError('InvalidParameterCombinationException', 'Give CacheClusterId or ReplicationGroupId.');
  }
  const { nodeType, nodeIds } =
    groupId === undefined ? await ofCluster(context, clusterId!) : await ofGroup(context, groupId);
  const now = nodeTypes.get(nodeType)!.maxmemoryBytes;
  const seen = await context.host.observe(nodeIds);
  const used = Math.max(0, ...[...seen.values()].map((each) => each.engine?.info.usedMemoryBytes ?? 0));
  const others = [...nodeTypes.values()].filter(({ name }) => name !== nodeType);
  return {
    ScaleUpModifications: others.filter((each) => each.maxmemoryBytes > now).map(({ name }) => name),
    ScaleDownModifications: others
      .filter((each) => each.maxmemoryBytes <= now && each.maxmemoryBytes >= used)
      .map(({ name }) => name),
  };
}

async function ofGroup({ database }: ControlContext, id: string) {
  const group = await readReplicationGroup(database, id.toLowerCase());
  if (group === undefined) throw groupNotFound(id);
  return { nodeType: group.intent.nodeType, nodeIds: membersOf(group).map(memberNodeId) };
}

async function ofCluster(context: ControlContext, id: string) {
  const cluster = await readCacheCluster(context.database, id.toLowerCase());
  if (cluster !== undefined) {
    return {
      nodeType: cluster.intent.nodeType,
      nodeIds: cluster.nodes.map((node) => nodeIdOf(cluster, node)),
    };
  }
  const group = await groupOfMember(context.database, id.toLowerCase());
  if (group === undefined) throw clusterNotFound(id);
  return ofGroup(context, group);
}
