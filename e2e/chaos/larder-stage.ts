/** Larder with one replication group, as its users have it. */

import type { ClientPlan, Place } from '../../testing/cache-client.ts';
import { createGroup, describeCluster, groupAvailable } from '../../testing/elasticache-requests.ts';
import { type LarderOptions, startLarder, type TestLarder } from '../../testing/larder.ts';
import { shardsWhole } from './node-look.ts';
import type { Stage, StageNode } from './stage.ts';

export interface LarderStage extends Stage {
  readonly larder: TestLarder;
  readonly groupId: string;
  /** Where clients go in. */
  readonly endpoint: Place;
}

export interface LarderStageOptions {
  /** More than one: cluster mode. */
  readonly shards?: number;
  readonly replicas: number;
  readonly nodeType?: string;
  /** A replica is promoted by hand only without it. */
  readonly automaticFailover?: boolean;
  /** Of cluster mode. */
  readonly clusterClient?: 'ioredis-cluster' | 'node-redis-cluster';
  readonly service?: LarderOptions;
}

/** In slots 3300, 7365 and 11298: one in each third of the slots, as three shards share them. */
export const shardTags = ['b', 'c', 'd'] as const;
const groupId = 'chaos';
const wholeLimitMs = 90_000;

export async function larderStage(options: LarderStageOptions): Promise<LarderStage> {
  const {
    shards = 1,
    replicas,
    nodeType,
    automaticFailover = true,
    clusterClient = 'ioredis-cluster',
  } = options;
  const larder = await startLarder(options.service);
  try {
    await createGroup(larder, groupId, {
      AutomaticFailoverEnabled: automaticFailover,
      ...(nodeType !== undefined && { CacheNodeType: nodeType }),
      ...(shards > 1
        ? { NumNodeGroups: shards, ReplicasPerNodeGroup: replicas }
        : { NumCacheClusters: replicas + 1 }),
    });
    const group = await groupAvailable(larder, groupId);
    const nodes: StageNode[] = [];
    for (const [shard, { NodeGroupMembers }] of group.NodeGroups!.entries()) {
      for (const { CacheClusterId } of NodeGroupMembers!) {
        const name = CacheClusterId!;
        const { Address, Port } = (await describeCluster(larder, name)).CacheNodes![0]!.Endpoint!;
        const pid = () => larder.processes().find(({ nodeId }) => nodeId === `${name}.0001`)?.pid;
        nodes.push({ name, shard, host: Address!, port: Port!, pid });
      }
    }
    const { Address, Port } = group.ConfigurationEndpoint ?? group.NodeGroups![0]!.PrimaryEndpoint!;
    const endpoint = { host: Address!, port: Port! };
    const tags = shardTags.slice(0, shards);
    const client: ClientPlan =
      shards > 1 ? { kind: clusterClient, seeds: [endpoint] } : { kind: 'ioredis', place: endpoint };
    return {
      larder,
      groupId,
      endpoint,
      client,
      tags,
      nodes,
      async whole() {
        await shardsWhole({ nodes, tags }, wholeLimitMs);
        await groupAvailable(larder, groupId);
      },
      close: () => larder.remove(),
    };
  } catch (error) {
    await larder.remove();
    throw error;
  }
}
