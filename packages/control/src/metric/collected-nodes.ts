/** Which nodes are read, and what is known of each besides what it counts. */
import { networkBaselineBytesPerSecond } from '@larder/engine/network-baseline';
import { nodeTypes } from '@larder/engine/node-type';
import type { NodeFacts } from '@larder/metrics/elasticache/look';
import { nodeIdOf } from '../cache-cluster/cache-cluster.ts';
import { readCacheClusters } from '../cache-cluster/store.ts';
import type { Database } from '../database/connect.ts';
import type { ServiceIntent } from '../node/service-intent.ts';
import { nodeIdOf as memberNodeId } from '../replication-group/replication-group.ts';
import { readReplicationGroups } from '../replication-group/store.ts';

export interface CollectedNode {
  readonly nodeId: string;
  readonly clusterId: string;
  /** `0001`, ... */
  readonly cacheNodeId: string;
  /** Of members of a group. */
  readonly shard?: { readonly groupId: string; readonly nodeGroupId: string };
  /** It is to serve: when it is not read that is a gap. */
  readonly serves: boolean;
  readonly facts: NodeFacts;
}

export async function readCollectedNodes(database: Database): Promise<CollectedNode[]> {
  const groups = await readReplicationGroups(database);
  const clusters = await readCacheClusters(database);
  return [
    ...groups.flatMap(({ id, intent, nodeGroups }) =>
      nodeGroups.flatMap((nodeGroup) =>
        nodeGroup.members.map((member) => ({
          nodeId: memberNodeId(member),
          clusterId: member.id,
          cacheNodeId: '0001',
          shard: { groupId: id, nodeGroupId: nodeGroup.id },
          serves: member.status === 'available',
          facts: factsOf(intent),
        })),
      ),
    ),
    ...clusters.flatMap((cluster) =>
      cluster.nodes.map((node) => ({
        nodeId: nodeIdOf(cluster, node),
        clusterId: cluster.id,
        cacheNodeId: node.id,
        serves: node.status === 'available',
        facts: factsOf(cluster.intent),
      })),
    ),
  ];
}

function factsOf({ engine, nodeType }: Pick<ServiceIntent, 'engine' | 'nodeType'>): NodeFacts {
  const type = nodeTypes.get(nodeType)!;
  return {
    engine,
    vcpus: type.vcpus,
    memoryBytes: type.maxmemoryBytes,
    baselineBytesPerSecond: networkBaselineBytesPerSecond(nodeType),
  };
}
