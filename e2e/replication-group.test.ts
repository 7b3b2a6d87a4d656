/** The promise: a replication group that the API calls available is one, and a deleted one leaves nothing. */
import {
  CreateCacheClusterCommand,
  type CreateReplicationGroupCommandInput,
  DescribeCacheClustersCommand,
  DescribeReplicationGroupsCommand,
  waitUntilReplicationGroupAvailable,
  waitUntilReplicationGroupDeleted,
} from '@aws-sdk/client-elasticache';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  eventsOf,
  groupAvailable,
  groupGone,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, type Place, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

const sdkWaiting = { maxWaitTime: 60, minDelay: 0.05, maxDelay: 0.1 };
const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

/** Runs a group for one test. */
async function withGroup(
  id: string,
  input: Partial<CreateReplicationGroupCommandInput>,
  body: () => Promise<void>,
): Promise<void> {
  const created = await createGroup(larder, id, input);
  expect(created.Status).toBe('creating');
  await groupAvailable(larder, id);
  await body();
  await deleteGroup(larder, id);
  await groupGone(larder, id);
}

describe('without cluster mode', () => {
  test('one node: both endpoints lead to it, and it is writable', () =>
    withGroup('single', {}, async () => {
      const group = await describeGroup(larder, 'single');
      expect(group).toMatchObject({
        MemberClusters: ['single-001'],
        AutomaticFailover: 'disabled',
        MultiAZ: 'disabled',
        ClusterEnabled: false,
        ClusterMode: 'disabled',
        Engine: 'valkey',
        ARN: 'arn:aws:elasticache:us-east-1:000000000000:replicationgroup:single',
      });
      expect(group.ConfigurationEndpoint).toBeUndefined();
      const shard = group.NodeGroups![0]!;
      await clients.to(shard.PrimaryEndpoint!).set('a', '1');
      expect(await clients.to(shard.ReaderEndpoint!).get('a')).toBe('1');
    }));

  test('1+2: roles, zones, replication, and the view through DescribeCacheClusters', () =>
    withGroup(
      'trio',
      { NumCacheClusters: 3, AutomaticFailoverEnabled: true, MultiAZEnabled: true },
      async () => {
        const group = await describeGroup(larder, 'trio');
        const [shard] = group.NodeGroups!;
        const members = shard!.NodeGroupMembers!;
        expect(members.map(({ CacheClusterId, CurrentRole }) => [CacheClusterId, CurrentRole])).toEqual([
          ['trio-001', 'primary'],
          ['trio-002', 'replica'],
          ['trio-003', 'replica'],
        ]);
        expect(new Set(members.map((each) => each.PreferredAvailabilityZone)).size).toBe(3);
        expect(group).toMatchObject({ AutomaticFailover: 'enabled', MultiAZ: 'enabled' });

        const primary = clients.to(shard!.PrimaryEndpoint!);
        expect(await infoField(primary, 'role')).toBe('master');
        expect(await infoField(clients.to(shard!.ReaderEndpoint!), 'role')).toBe('slave');
        await primary.set('price', '12.50');
        expect(await primary.wait(2, 5_000)).toBe(2);
        for (const { ReadEndpoint } of members.slice(1)) {
          const replica = clients.to(ReadEndpoint!);
          expect(await replica.get('price')).toBe('12.50');
          await expect(replica.set('price', '1')).rejects.toThrow('READONLY');
        }

        const { CacheClusters } = await larder.client.send(
          new DescribeCacheClustersCommand({ ShowCacheNodeInfo: true }),
        );
        for (const [index, cluster] of CacheClusters!.entries()) {
          expect(cluster).toMatchObject({
            CacheClusterId: members[index]!.CacheClusterId,
            ReplicationGroupId: 'trio',
            CacheClusterStatus: 'available',
            EngineVersion: '9.1',
            CacheNodes: [
              {
                CacheNodeStatus: 'available',
                Endpoint: members[index]!.ReadEndpoint!,
                CustomerAvailabilityZone: members[index]!.PreferredAvailabilityZone,
              },
            ],
          });
        }
        expect(larder.processes().map(({ nodeId }) => nodeId)).toEqual([
          'trio-001.0001',
          'trio-002.0001',
          'trio-003.0001',
        ]);
      },
    ));

  test('Redis 7.0, zones as asked for, another port', () =>
    withGroup(
      'redis',
      {
        Engine: 'redis',
        EngineVersion: '7.0',
        NumCacheClusters: 2,
        Port: 7000,
        PreferredCacheClusterAZs: ['us-east-1c', 'us-east-1a'],
      },
      async () => {
        const shard = (await describeGroup(larder, 'redis')).NodeGroups![0]!;
        expect(shard.NodeGroupMembers!.map((each) => each.PreferredAvailabilityZone)).toEqual([
          'us-east-1c',
          'us-east-1a',
        ]);
        expect(shard.PrimaryEndpoint!.Port).toBe(7000);
        const primary = clients.to(shard.PrimaryEndpoint!);
        expect(await infoField(primary, 'redis_version')).toMatch(/^7\.0\./);
        expect(await infoField(primary, 'connected_slaves')).toBe('1');
        expect((await describeCluster(larder, 'redis-001')).CacheParameterGroup).toMatchObject({
          CacheParameterGroupName: 'default.redis7',
        });
      },
    ));
});

describe('with cluster mode', () => {
  test('3 shards with a replica each: the engines agree with Describe, and any node serves every key', () =>
    withGroup('sharded', { NumNodeGroups: 3, ReplicasPerNodeGroup: 1 }, async () => {
      const group = await describeGroup(larder, 'sharded');
      expect(group).toMatchObject({ ClusterEnabled: true, AutomaticFailover: 'enabled' });
      expect(group.MemberClusters).toHaveLength(6);
      for (const shard of group.NodeGroups!) {
        expect(shard.PrimaryEndpoint).toBeUndefined();
        expect(shard.NodeGroupMembers!.map((each) => each.CurrentRole)).toEqual([undefined, undefined]);
      }
      // The engines show a replica to clients once gossip brought an offset of it.
      const slots = await waitFor(
        () => shownSlots(group.ConfigurationEndpoint!),
        (shown) => shown.every(({ addresses }) => addresses.length === 2),
        { what: 'CLUSTER SLOTS to show the replicas' },
      );
      expect(slots.map(({ range }) => range)).toEqual(group.NodeGroups!.map(({ Slots }) => Slots));
      // Each shard is its own members: the primary first, then the replica.
      for (const [index, { addresses }] of slots.entries()) {
        const ids = group.NodeGroups![index]!.NodeGroupMembers!.map(({ CacheClusterId }) => CacheClusterId!);
        const described = await Promise.all(ids.map((id) => describeCluster(larder, id)));
        expect(addresses).toEqual(described.map((each) => each.CacheNodes![0]!.Endpoint!.Address));
        expect(described[0]!.CacheParameterGroup?.CacheParameterGroupName).toBe('default.valkey9.cluster.on');
      }

      const cluster = new Cluster([
        { host: group.ConfigurationEndpoint!.Address!, port: group.ConfigurationEndpoint!.Port! },
      ]);
      try {
        await Promise.all(Array.from({ length: 100 }, (_, index) => cluster.set(`key:${index}`, index)));
        const values = await Promise.all(
          Array.from({ length: 100 }, (_, index) => cluster.get(`key:${index}`)),
        );
        expect(values).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
      } finally {
        cluster.disconnect();
      }
    }));

  test('slots and zones as asked for', () =>
    withGroup(
      'chosen',
      {
        NumNodeGroups: 2,
        NodeGroupConfiguration: [
          {
            NodeGroupId: '0002',
            Slots: '100-16383',
            PrimaryAvailabilityZone: 'us-east-1b',
            ReplicaAvailabilityZones: ['us-east-1c'],
          },
          { NodeGroupId: '0001', Slots: '0-99', ReplicaCount: 0 },
        ],
      },
      async () => {
        const group = await describeGroup(larder, 'chosen');
        expect(group.NodeGroups!.map(({ Slots }) => Slots)).toEqual(['0-99', '100-16383']);
        expect(group.NodeGroups![1]!.NodeGroupMembers!.map((each) => each.PreferredAvailabilityZone)).toEqual(
          ['us-east-1b', 'us-east-1c'],
        );
        await waitFor(
          () => shownSlots(group.ConfigurationEndpoint!),
          (slots) =>
            slots.map((each) => `${each.range} ${each.addresses.length}`).join() === '0-99 1,100-16383 2',
          { what: 'CLUSTER SLOTS to show what was asked for' },
        );
      },
    ));

  test('a single shard without replicas', () =>
    withGroup('lonely', { ClusterMode: 'enabled', NumNodeGroups: 1 }, async () => {
      const group = await describeGroup(larder, 'lonely');
      expect(group.MemberClusters).toEqual(['lonely-0001-001']);
      expect(await shownSlots(group.ConfigurationEndpoint!)).toMatchObject([{ range: '0-16383' }]);
      expect(await clients.to(group.ConfigurationEndpoint!).set('a', '1')).toBe('OK');
    }));
});

async function shownSlots(place: Place) {
  const reply = await clients.to(place).cluster('SLOTS');
  return reply
    .sort((a, b) => a[0] - b[0])
    .map(([first, last, ...nodes]) => ({ range: `${first}-${last}`, addresses: nodes.map(([ip]) => ip) }));
}

describe('from creation to deletion', () => {
  test("the SDK's waiters see it through, events tell of it, and nothing is left", async () => {
    await createGroup(larder, 'MIXED-case', { NumCacheClusters: 2 });
    await waitUntilReplicationGroupAvailable(
      { client: larder.client, ...sdkWaiting },
      { ReplicationGroupId: 'mixed-CASE' },
    );
    const { ReplicationGroups } = await larder.client.send(new DescribeReplicationGroupsCommand({}));
    expect(ReplicationGroups!.map((each) => each.ReplicationGroupId)).toContain('mixed-case');
    const address = ReplicationGroups!.find((each) => each.ReplicationGroupId === 'mixed-case')!
      .NodeGroups![0]!.PrimaryEndpoint!;
    await deleteGroup(larder, 'mixed-case');
    const deleting = await describeGroup(larder, 'mixed-case').catch(() => undefined);
    expect(['deleting', undefined]).toContain(deleting?.Status);
    await waitUntilReplicationGroupDeleted(
      { client: larder.client, ...sdkWaiting },
      { ReplicationGroupId: 'mixed-case' },
    );
    expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith('mixed'))).toEqual([]);
    expect((await larder.nodeFolders()).filter((name) => name.includes('mixed'))).toEqual([]);
    await expect(clients.to(address, { retryStrategy: () => null }).ping()).rejects.toThrow();
    expect(await eventsOf(larder, 'mixed-case')).toEqual([
      'Replication group mixed-case created',
      'Deleting replication group mixed-case',
      'Replication group mixed-case deleted',
    ]);
  });

  test('deleted while it is being created: the deletion is kept', async () => {
    for (const delayMs of [0, 5, 40, 120, 300]) {
      await createGroup(larder, 'brief', { NumCacheClusters: 3 });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await deleteGroup(larder, 'brief');
      await groupGone(larder, 'brief');
      expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith('brief'))).toEqual([]);
    }
    expect((await larder.nodeFolders()).filter((name) => name.includes('brief'))).toEqual([]);
  });
});

test('a group and a cache cluster of one name live and die apart', async () => {
  await createGroup(larder, 'namesake', { NumCacheClusters: 2 });
  await larder.client.send(
    new CreateCacheClusterCommand({ CacheClusterId: 'namesake', Engine: 'valkey', NumCacheNodes: 1 }),
  );
  await groupAvailable(larder, 'namesake');
  const cluster = await waitFor(
    () => describeCluster(larder, 'namesake'),
    ({ CacheClusterStatus }) => CacheClusterStatus === 'available',
    { what: 'the cluster to be available' },
  );
  await deleteGroup(larder, 'namesake');
  await groupGone(larder, 'namesake');
  const address = cluster.CacheNodes![0]!.Endpoint!;
  expect(await clients.to(address).ping()).toBe('PONG');
  expect((await describeCluster(larder, 'namesake')).CacheClusterStatus).toBe('available');
});
