/** Replicas that come and go, tests of a failover, and which node types fit, as engines and clients see them. */
import {
  CreateCacheClusterCommand,
  DecreaseReplicaCountCommand,
  DeleteCacheClusterCommand,
  DescribeEventsCommand,
  IncreaseReplicaCountCommand,
  ListAllowedNodeTypeModificationsCommand,
  ModifyReplicationGroupCommand,
  type ReplicationGroup,
  TestFailoverCommand,
} from '@aws-sdk/client-elasticache';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
  primaryOf,
} from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { infoField, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { pidOf, rejectedCombination, rejectedValue, runningNodes } from './looks.test-support.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
  await Promise.all([
    createGroup(larder, 'plain', { NumCacheClusters: 2, AutomaticFailoverEnabled: true }),
    createGroup(larder, 'shards', { NumNodeGroups: 2, ReplicasPerNodeGroup: 0 }),
  ]);
  await Promise.all([groupAvailable(larder, 'plain'), groupAvailable(larder, 'shards')]);
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

const membersOf = (group: ReplicationGroup) => group.NodeGroups!.flatMap((each) => each.NodeGroupMembers!);
const zonesOf = (group: ReplicationGroup) => membersOf(group).map((each) => each.PreferredAvailabilityZone);

describe('without cluster mode', () => {
  const id = 'plain';
  const increase = (input: object) =>
    larder.client.send(
      new IncreaseReplicaCountCommand({ ReplicationGroupId: id, ApplyImmediately: true, ...input }),
    );
  const decrease = (input: object) =>
    larder.client.send(
      new DecreaseReplicaCountCommand({ ReplicationGroupId: id, ApplyImmediately: true, ...input }),
    );
  const primaryClient = async () =>
    clients.to((await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!);

  test('more replicas, in the zones asked for', async () => {
    await (await primaryClient()).set('kept', 'yes');
    await increase({
      ReplicaConfiguration: [
        {
          NodeGroupId: '0001',
          NewReplicaCount: 3,
          PreferredAvailabilityZones: ['us-east-1a', 'us-east-1b', 'us-east-1b', 'us-east-1c'],
        },
      ],
    });
    const group = await groupAvailable(larder, id);
    await effect(
      'IncreaseReplicaCount',
      'the new replicas run, and the primary counts them among its own by ROLE',
      async () => {
        expect(runningNodes(larder, id)).toHaveLength(4);
        const [role, , replicas] = (await (await primaryClient()).role()) as [string, number, unknown[]];
        expect([role, replicas.length]).toEqual(['master', 3]);
        for (const { ReadEndpoint } of membersOf(group)) {
          expect(await clients.to(ReadEndpoint!).get('kept')).toBe('yes');
        }
      },
    );
    expect(zonesOf(group).toSorted()).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1b', 'us-east-1c']);
  });

  test('one more by CreateCacheCluster, under a name of its own, and gone again by DeleteCacheCluster', async () => {
    await larder.client.send(
      new CreateCacheClusterCommand({
        CacheClusterId: 'Guest',
        ReplicationGroupId: id,
        PreferredAvailabilityZone: 'us-east-1c',
      }),
    );
    await groupAvailable(larder, id);
    const guest = await describeCluster(larder, 'guest');
    await effect(
      'CreateCacheCluster',
      'with ReplicationGroupId: a replica of the group with its data, by ROLE',
      async () => {
        const client = clients.to(guest.CacheNodes![0]!.Endpoint!);
        expect((await client.role())[0]).toBe('slave');
        expect(await client.get('kept')).toBe('yes');
      },
    );
    expect(guest).toMatchObject({
      ReplicationGroupId: id,
      CacheClusterStatus: 'available',
      PreferredAvailabilityZone: 'us-east-1c',
    });
    await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: 'guest' }));
    await waitFor(
      () => errorName(describeCluster(larder, 'guest')),
      (name) => name === 'CacheClusterNotFoundFault',
      { what: 'the member to be gone' },
    );
    await effect(
      'DeleteCacheCluster',
      'of a member: its process is gone, and the primary has one replica less by ROLE',
      async () => {
        expect(pidOf(larder, 'guest')).toBeUndefined();
        const [, , replicas] = (await (await primaryClient()).role()) as [string, number, unknown[]];
        expect(replicas).toHaveLength(3);
      },
    );
    await groupAvailable(larder, id);
  });

  test('fewer: by count, and by name', async () => {
    await decrease({ NewReplicaCount: 2 });
    await groupAvailable(larder, id);
    const before = await describeGroup(larder, id);
    const removed = membersOf(before).find(({ CurrentRole }) => CurrentRole === 'replica')!.CacheClusterId!;
    await decrease({ ReplicasToRemove: [removed] });
    const group = await groupAvailable(larder, id);
    await effect(
      'DecreaseReplicaCount',
      'the removed replicas have no process, the primary none but the rest by ROLE',
      async () => {
        expect(runningNodes(larder, id)).toEqual(
          membersOf(group).map(({ CacheClusterId }) => `${CacheClusterId}.0001`),
        );
        expect(pidOf(larder, removed)).toBeUndefined();
        const [, , replicas] = (await (await primaryClient()).role()) as [string, number, unknown[]];
        expect(replicas).toHaveLength(1);
      },
    );
    expect(membersOf(group)).toHaveLength(2);
    expect((await larder.nodeFolders()).filter((name) => name.startsWith(id))).toHaveLength(2);
  });

  test('what may not be is refused', async () => {
    const primary = primaryOf(await describeGroup(larder, id));
    expect(await errorName(increase({ NewReplicaCount: 1 }))).toBe('NoOperationFault');
    expect(await errorName(decrease({ NewReplicaCount: 1 }))).toBe('NoOperationFault');
    expect(await errorName(increase({ NewReplicaCount: 6 }))).toBe(rejectedValue);
    expect(await errorName(increase({}))).toBe(rejectedCombination);
    expect(await errorName(increase({ NewReplicaCount: 2, ApplyImmediately: false }))).toBe(rejectedValue);
    expect(await errorName(decrease({ NewReplicaCount: 0 }))).toBe(rejectedCombination);
    expect(await errorName(decrease({ ReplicasToRemove: [primary] }))).toBe('InvalidCacheClusterStateFault');
    await expect(
      larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: primary })),
    ).rejects.toThrow('serving as primary');
    expect(runningNodes(larder, id)).toHaveLength(2);
  });
});

describe('with cluster mode', () => {
  const id = 'shards';

  test('replicas of single shards come and go', async () => {
    const group = await describeGroup(larder, id);
    const endpoint = group.ConfigurationEndpoint!;
    const client = new Cluster([{ host: endpoint.Address!, port: endpoint.Port! }]);
    client.on('error', () => {});
    try {
      for (let index = 0; index < 100; index += 1) await client.set(`key:${index}`, String(index));
      const count = (shard: string) =>
        runningNodes(larder, `${id}-${shard}`).map((nodeId) => nodeId.slice(`${id}-`.length));

      await larder.client.send(
        new IncreaseReplicaCountCommand({
          ReplicationGroupId: id,
          ApplyImmediately: true,
          ReplicaConfiguration: [{ NodeGroupId: '0002', NewReplicaCount: 1 }],
        }),
      );
      await groupAvailable(larder, id);
      await effect(
        'IncreaseReplicaCount',
        'with cluster mode: the new replica holds the keys of its shard, by CLUSTER NODES and DBSIZE',
        async () => {
          expect([count('0001'), count('0002')]).toEqual([
            ['0001-001.0001'],
            ['0002-001.0001', '0002-002.0001'],
          ]);
          const [primary, replica] = await Promise.all(
            ['shards-0002-001', 'shards-0002-002'].map(async (member) =>
              clients.to((await describeCluster(larder, member)).CacheNodes![0]!.Endpoint!),
            ),
          );
          expect(await infoField(replica!, 'role')).toBe('slave');
          expect(await replica!.dbsize()).toBe(await primary!.dbsize());
          const nodes = String(await primary!.call('CLUSTER', 'NODES'));
          expect(nodes.match(/ slave /g)).toHaveLength(1);
        },
      );

      await larder.client.send(
        new DecreaseReplicaCountCommand({
          ReplicationGroupId: id,
          ApplyImmediately: true,
          ReplicaConfiguration: [{ NodeGroupId: '0002', NewReplicaCount: 0 }],
        }),
      );
      await groupAvailable(larder, id);
      await effect(
        'DecreaseReplicaCount',
        'with cluster mode: the others forgot the node, by CLUSTER NODES',
        async () => {
          expect([count('0001'), count('0002')]).toEqual([['0001-001.0001'], ['0002-001.0001']]);
          for (const member of ['shards-0001-001', 'shards-0002-001']) {
            const place = (await describeCluster(larder, member)).CacheNodes![0]!.Endpoint!;
            const nodes = String(await clients.to(place).call('CLUSTER', 'NODES'));
            expect(nodes.trim().split('\n')).toHaveLength(2);
          }
        },
      );
      for (let index = 0; index < 100; index += 1)
        expect(await client.get(`key:${index}`)).toBe(String(index));
    } finally {
      client.disconnect();
    }
    const foreign = { NodeGroupId: '0009', NewReplicaCount: 1 };
    const bad = new IncreaseReplicaCountCommand({
      ReplicationGroupId: id,
      ApplyImmediately: true,
      ReplicaConfiguration: [foreign],
    });
    expect(await errorName(larder.client.send(bad))).toBe(rejectedValue);
    const single = new DeleteCacheClusterCommand({ CacheClusterId: 'shards-0001-001' });
    expect(await errorName(larder.client.send(single))).toBe(rejectedCombination);
  });
});

describe('TestFailover', () => {
  const id = 'plain';
  const failover = (NodeGroupId = '0001', ReplicationGroupId = id) =>
    larder.client.send(new TestFailoverCommand({ ReplicationGroupId, NodeGroupId }));

  /** Both nodes as they say themselves: the primary has a replica that is online. */
  async function whole(): Promise<string> {
    const { group } = await waitFor(
      async () => {
        const group = await describeGroup(larder, id);
        const primary = membersOf(group).find(({ CurrentRole }) => CurrentRole === 'primary')!;
        const client = clients.to(primary.ReadEndpoint!);
        const [role, , replicas] = (await client.role()) as [string, number, unknown[]];
        client.disconnect();
        return { group, role, replicas: replicas.length };
      },
      ({ role, replicas }) => role === 'master' && replicas === 1,
      { what: 'a primary with its replica' },
    );
    return primaryOf(group);
  }

  test('roles change, the old primary is started anew, and events tell of it in their order', async () => {
    const from = await whole();
    const pid = pidOf(larder, from);
    const answer = await failover();
    expect(answer.ReplicationGroup!.Status).toBe('available');
    await waitFor(
      async () => primaryOf(await describeGroup(larder, id)),
      (primary) => primary !== from,
      { what: 'another primary' },
    );
    const to = await whole();
    await waitFor(
      () => eventsOf(larder, from),
      (events) => events.includes('Finished recovery for cache nodes 0001'),
      { what: 'the end of the recovery' },
    );
    await effect(
      'TestFailover',
      'roles of both nodes by ROLE; another process for the old primary, which follows the new one',
      async () => {
        const group = await describeGroup(larder, id);
        const clientOf = (member: string) =>
          clients.to(membersOf(group).find(({ CacheClusterId }) => CacheClusterId === member)!.ReadEndpoint!);
        expect([(await clientOf(to).role())[0], (await clientOf(from).role())[0]]).toEqual([
          'master',
          'slave',
        ]);
        expect(pidOf(larder, from)).not.toBe(pid);
        expect(await clientOf(from).get('kept')).toBe('yes');
      },
    );
    const text = `Failover from primary node ${from} to replica node ${to} completed`;
    // In the order that ElastiCache documents, across the group and both clusters.
    const { Events } = await larder.client.send(new DescribeEventsCommand({}));
    const told = Events!
      .map(({ SourceIdentifier, Message }) => `${SourceIdentifier}: ${Message}`)
      .filter((each) => /ailover|ecover/.test(each));
    expect(told).toEqual([
      `${id}: Test Failover API called for node group 0001`,
      `${to}: ${text}`,
      `${id}: ${text}`,
      `${from}: Recovering cache nodes 0001`,
      `${from}: Finished recovery for cache nodes 0001`,
    ]);
  });

  test('refused where there is nothing to fail over', async () => {
    expect(await errorName(failover('0002'))).toBe('NodeGroupNotFoundFault');
    expect(await errorName(failover('one'))).toBe(rejectedValue);
    expect(await errorName(failover('0001', 'nobody'))).toBe('ReplicationGroupNotFoundFault');
    expect(await errorName(failover('0001', 'shards'))).toBe('InvalidReplicationGroupStateFault');
  });

  test('15 times in 24 hours, and no more', async () => {
    for (let count = 1; count < 15; count += 1) {
      await waitFor(
        () => errorName(failover()),
        (name) => name === 'no error',
        { what: `failover ${count + 1}`, everyMs: 50 },
      );
    }
    await whole();
    const refused = await waitFor(
      () => failover().then(String, (error: Error) => error),
      (error) => error instanceof Error && error.name !== 'InvalidReplicationGroupStateFault',
      { what: 'the sixteenth to be refused' },
    );
    expect(refused).toMatchObject({
      name: 'APICallRateForCustomerExceededFault',
      $metadata: { httpStatusCode: 400 },
    });
    expect(
      await clients.to((await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!).get('kept'),
    ).toBe('yes');
  });
});

describe('node types', () => {
  const id = 'plain';
  const allowed = () =>
    larder.client.send(new ListAllowedNodeTypeModificationsCommand({ ReplicationGroupId: id }));
  const modify = (CacheNodeType: string) =>
    larder.client.send(
      new ModifyReplicationGroupCommand({ ReplicationGroupId: id, CacheNodeType, ApplyImmediately: true }),
    );

  test('those that would not hold the data are not allowed', async () => {
    await modify('cache.t4g.small');
    await groupAvailable(larder, id);
    const empty = await allowed();
    expect(empty.ScaleDownModifications).toContain('cache.t4g.micro');
    expect(empty.ScaleUpModifications).toContain('cache.m6g.large');
    expect(empty.ScaleUpModifications).not.toContain('cache.t4g.small');

    const endpoint = (await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!;
    const client = clients.to(endpoint, { commandTimeout: 30_000 });
    // Memory that is touched, without sending it.
    const fill = "for i = 1, 40 do redis.call('SET', 'fill:' .. i, string.rep('x', 16 * 1024 * 1024)) end";
    await client.call('EVAL', fill, '0');
    const used = Number(await infoField(client, 'used_memory'));
    const full = await allowed();
    await effect(
      'ListAllowedNodeTypeModifications',
      'types smaller than used_memory by INFO are left out',
      () => {
        expect(used).toBeGreaterThan(536_870_912);
        expect(full.ScaleDownModifications).not.toContain('cache.t4g.micro');
        expect(full.ScaleUpModifications).toEqual(empty.ScaleUpModifications);
      },
    );
    expect(await errorName(modify('cache.t4g.micro'))).toBe(rejectedCombination);
    await client.call('FLUSHALL', 'ASYNC');
    expect(await errorName(allowed())).toBe('no error');
    const both = { ReplicationGroupId: id, CacheClusterId: 'plain-001' };
    expect(await errorName(larder.client.send(new ListAllowedNodeTypeModificationsCommand(both)))).toBe(
      rejectedCombination,
    );
  });
});
