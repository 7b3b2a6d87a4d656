/** Larder with three hosts, each in a network namespace of its own, clients on a fourth machine. Needs root. */

import type { ClientPlan } from '../../testing/cache-client.ts';
import { createGroup, describeCluster, groupAvailable } from '../../testing/elasticache-requests.ts';
import { type FleetOptions, startFleet, type TestFleet, type TestHost } from '../../testing/fleet.ts';
import { type LarderStage, shardTags } from './larder-stage.ts';
import { shardsWhole } from './node-look.ts';
import type { StageNode } from './stage.ts';

export interface FleetStage extends LarderStage {
  readonly fleet: TestFleet;
  hostOf(node: StageNode): TestHost;
}

export interface FleetStageOptions {
  /** More than one: cluster mode. */
  readonly shards?: number;
  readonly replicas: number;
  readonly fleet?: FleetOptions;
}

const groupId = 'chaos';
const clientMachine = 'c1';
const wholeLimitMs = 90_000;

export async function fleetStage({
  shards = 1,
  replicas,
  fleet: options,
}: FleetStageOptions): Promise<FleetStage> {
  const fleet = await startFleet({ ...options, clients: [clientMachine] });
  const { larder } = fleet;
  const clientPrefix = fleet.network.machines.find(({ name }) => name === clientMachine)!.prefix;
  try {
    await createGroup(larder, groupId, {
      AutomaticFailoverEnabled: true,
      ...(shards > 1
        ? { NumNodeGroups: shards, ReplicasPerNodeGroup: replicas }
        : { NumCacheClusters: replicas + 1 }),
    });
    const group = await groupAvailable(larder, groupId);
    const nodes: StageNode[] = [];
    const homes = new Map<string, TestHost>();
    for (const [shard, { NodeGroupMembers }] of group.NodeGroups!.entries()) {
      for (const { CacheClusterId } of NodeGroupMembers!) {
        const name = CacheClusterId!;
        const { Address, Port } = (await describeCluster(larder, name)).CacheNodes![0]!.Endpoint!;
        const home = fleet.hostOf(name)!;
        homes.set(name, home);
        const pid = () => home.processes().find(({ nodeId }) => nodeId === `${name}.0001`)?.pid;
        nodes.push({ name, shard, host: Address!, port: Port!, onHost: home.name, pid });
      }
    }
    const { Address, Port } = group.ConfigurationEndpoint ?? group.NodeGroups![0]!.PrimaryEndpoint!;
    const endpoint = { host: Address!, port: Port! };
    const tags = shardTags.slice(0, shards);
    const client: ClientPlan =
      shards > 1 ? { kind: 'ioredis-cluster', seeds: [endpoint] } : { kind: 'ioredis', place: endpoint };
    return {
      fleet,
      larder,
      groupId,
      endpoint,
      client,
      clientPrefix,
      tags,
      nodes,
      hostOf: ({ name }) => homes.get(name)!,
      async whole() {
        await shardsWhole({ nodes, tags }, wholeLimitMs);
        await groupAvailable(larder, groupId);
      },
      close: () => fleet.remove(),
    };
  } catch (error) {
    await fleet.remove();
    throw error;
  }
}
