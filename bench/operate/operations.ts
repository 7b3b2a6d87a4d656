/** What is done to groups that serve. */
import {
  BatchApplyUpdateActionCommand,
  DecreaseReplicaCountCommand,
  DescribeServiceUpdatesCommand,
  DescribeUpdateActionsCommand,
  IncreaseReplicaCountCommand,
  ModifyReplicationGroupCommand,
  ModifyReplicationGroupShardConfigurationCommand,
} from '@aws-sdk/client-elasticache';
import { groupAvailable } from '../../testing/elasticache-requests.ts';
import type { TestLarder } from '../../testing/larder.ts';
import { rebuiltRedis } from '../../testing/rebuilt-engine.ts';
import { waitFor } from '../../testing/wait-for.ts';
import type { Operation } from './operation.ts';

const applied = { ApplyImmediately: true } as const;
const threeShards = { NumNodeGroups: 3, ReplicasPerNodeGroup: 1 } as const;
const pair = { NumCacheClusters: 2, AutomaticFailoverEnabled: true } as const;
const million = { keys: 1_000_000, valueBytes: 200, operationsPerSecond: 1_000 } as const;
const some = { keys: 100_000, valueBytes: 200, operationsPerSecond: 1_000 } as const;
const updateLimitMs = 180_000;

async function addShard(larder: TestLarder, group: string): Promise<void> {
  await larder.client.send(
    new ModifyReplicationGroupShardConfigurationCommand({
      ReplicationGroupId: group,
      NodeGroupCount: 4,
      ...applied,
    }),
  );
  await groupAvailable(larder, group);
}

async function modify(
  larder: TestLarder,
  group: string,
  change: { readonly CacheNodeType?: string; readonly EngineVersion?: string },
): Promise<void> {
  await larder.client.send(
    new ModifyReplicationGroupCommand({ ReplicationGroupId: group, ...applied, ...change }),
  );
  await groupAvailable(larder, group);
}

/** The newest build of the engine that the store has, by its service update. */
async function patch(larder: TestLarder, group: string): Promise<void> {
  const { ServiceUpdates } = await larder.client.send(new DescribeServiceUpdatesCommand({}));
  const { UpdateActions } = await larder.client.send(
    new DescribeUpdateActionsCommand({ ReplicationGroupIds: [group] }),
  );
  const name = UpdateActions![0]?.ServiceUpdateName;
  if (name === undefined) {
    throw new Error(`No update fits ${group} of ${ServiceUpdates!.map((each) => each.ServiceUpdateName)}.`);
  }
  await larder.client.send(
    new BatchApplyUpdateActionCommand({ ServiceUpdateName: name, ReplicationGroupIds: [group] }),
  );
  await waitFor(
    async () => {
      const actions = await larder.client.send(
        new DescribeUpdateActionsCommand({ ReplicationGroupIds: [group], ServiceUpdateName: name }),
      );
      return actions.UpdateActions![0]!.UpdateActionStatus;
    },
    (status) => status === 'complete',
    { what: `${name} to be applied`, limitMs: updateLimitMs },
  );
}

export const operations: readonly Operation[] = [
  {
    name: 'reshard-valkey',
    title: '3 → 4 shards, Valkey 9.1',
    group: { Engine: 'valkey', EngineVersion: '9.1', ...threeShards },
    load: million,
    run: addShard,
    limits: { tookMs: 5_000, p99Ratio: 3 },
  },
  {
    name: 'reshard-redis',
    title: '3 → 4 shards, Redis OSS 7.0',
    group: { Engine: 'redis', EngineVersion: '7.0', ...threeShards },
    load: million,
    run: addShard,
    limits: { tookMs: 15_000 },
  },
  {
    name: 'replicas',
    title: 'a replica added and removed',
    group: pair,
    load: some,
    async run(larder, group) {
      const id = { ReplicationGroupId: group, ...applied };
      await larder.client.send(new IncreaseReplicaCountCommand({ ...id, NewReplicaCount: 2 }));
      await groupAvailable(larder, group);
      await larder.client.send(new DecreaseReplicaCountCommand({ ...id, NewReplicaCount: 1 }));
      await groupAvailable(larder, group);
    },
    limits: {},
  },
  {
    name: 'node-type',
    title: 'cache.t4g.micro → small → micro',
    group: { ...pair, CacheNodeType: 'cache.t4g.micro' },
    load: some,
    async run(larder, group) {
      await modify(larder, group, { CacheNodeType: 'cache.t4g.small' });
      await modify(larder, group, { CacheNodeType: 'cache.t4g.micro' });
    },
    limits: {},
  },
  {
    name: 'upgrade',
    title: 'Valkey 8.0 → 9.1, 3 shards of two nodes',
    group: { Engine: 'valkey', EngineVersion: '8.0', ...threeShards },
    load: some,
    run: (larder, group) => modify(larder, group, { EngineVersion: '9.1' }),
    limits: { worstMs: 100 },
  },
  {
    name: 'patch',
    title: 'a newer build of Valkey 8.0, 3 shards of two nodes',
    group: { Engine: 'valkey', EngineVersion: '8.0', ...threeShards },
    load: some,
    run: patch,
    limits: { worstMs: 100 },
  },
  {
    name: 'patch-redis',
    title: 'a newer package of Redis OSS 7.0.15, 3 shards of two nodes',
    group: async () => ({
      Engine: 'redis',
      EngineVersion: (await rebuiltRedis()).older.version,
      ...threeShards,
    }),
    load: some,
    run: patch,
    limits: { worstMs: 100 },
  },
];
