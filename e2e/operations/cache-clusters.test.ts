/** Create, Modify, Reboot and Delete of clusters outside groups, and the move from one engine to another. */
import {
  CreateCacheClusterCommand,
  type CreateCacheClusterCommandInput,
  CreateCacheParameterGroupCommand,
  DeleteCacheClusterCommand,
  DescribeCacheClustersCommand,
  ModifyCacheClusterCommand,
  type ModifyCacheClusterCommandInput,
  ModifyCacheParameterGroupCommand,
  ModifyReplicationGroupCommand,
  RebootCacheClusterCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  errorName,
  groupAvailable,
} from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { memcached } from '../../testing/memcached-text.ts';
import { infoField, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';
import {
  clusterAvailable,
  pidOf,
  rejectedCombination,
  rejectedValue,
  runningNodes,
  settingsOf,
  windowAround,
} from './looks.test-support.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

const create = (input: CreateCacheClusterCommandInput) =>
  larder.client.send(new CreateCacheClusterCommand({ NumCacheNodes: 1, ...input }));

async function modify(id: string, input: Partial<ModifyCacheClusterCommandInput>) {
  const command = new ModifyCacheClusterCommand({ CacheClusterId: id, ApplyImmediately: true, ...input });
  return (await larder.client.send(command)).CacheCluster!;
}

const nodeOf = async (id: string) => (await describeCluster(larder, id)).CacheNodes![0]!.Endpoint!;

async function ask(id: string, field: string): Promise<string | undefined> {
  const client = clients.to(await nodeOf(id));
  try {
    return await infoField(client, field);
  } finally {
    client.disconnect();
  }
}

async function gone(id: string): Promise<void> {
  await waitFor(
    () => errorName(describeCluster(larder, id)),
    (name) => name === 'CacheClusterNotFoundFault',
    { what: `${id} to be gone` },
  );
}

describe('one node of Valkey', () => {
  const id = 'solo';
  const input: CreateCacheClusterCommandInput = {
    CacheClusterId: id,
    Engine: 'valkey',
    EngineVersion: '8.1',
    CacheNodeType: 'cache.t4g.small',
    Port: 7100,
    PreferredAvailabilityZone: 'us-east-1b',
    CacheParameterGroupName: 'solo',
    SecurityGroupIds: ['sg-1'],
    PreferredMaintenanceWindow: windowAround(new Date(), false),
    NotificationTopicArn: 'arn:aws:sns:us-east-1:123456789012:cache',
    AutoMinorVersionUpgrade: false,
    SnapshotWindow: '02:00-03:00',
  };

  beforeAll(async () => {
    for (const [name, family] of [
      ['solo', 'valkey8'],
      ['solo9', 'valkey9'],
    ] as const) {
      await larder.client.send(
        new CreateCacheParameterGroupCommand({
          CacheParameterGroupName: name,
          CacheParameterGroupFamily: family,
          Description: 'of a test',
        }),
      );
      await larder.client.send(
        new ModifyCacheParameterGroupCommand({
          CacheParameterGroupName: name,
          ParameterNameValues: [
            { ParameterName: 'maxmemory-policy', ParameterValue: 'allkeys-random' },
            { ParameterName: 'databases', ParameterValue: name === 'solo' ? '4' : '6' },
          ],
        }),
      );
    }
    await create(input);
    await clusterAvailable(larder, id);
  });

  test('is created with every input, and read back as it was sent', async () => {
    const cluster = await describeCluster(larder, id);
    await effect(
      'CreateCacheCluster',
      'version, maxmemory and policy of its engine by INFO, its port by connecting',
      async () => {
        expect((await nodeOf(id)).Port).toBe(7100);
        expect(await ask(id, 'valkey_version')).toMatch(/^8\.1\./);
        expect(await ask(id, 'maxmemory')).toBe(String(Math.floor(1_471_026_299 * 0.75)));
        expect(await ask(id, 'maxmemory_policy')).toBe('allkeys-random');
      },
    );
    expect(cluster).toMatchObject({
      EngineVersion: '8.1',
      CacheNodeType: 'cache.t4g.small',
      PreferredAvailabilityZone: 'us-east-1b',
      PreferredMaintenanceWindow: input.PreferredMaintenanceWindow,
      NotificationConfiguration: { TopicArn: input.NotificationTopicArn, TopicStatus: 'active' },
      AutoMinorVersionUpgrade: false,
      SnapshotWindow: '02:00-03:00',
      SecurityGroups: [{ SecurityGroupId: 'sg-1', Status: 'active' }],
      CacheParameterGroup: { CacheParameterGroupName: 'solo', ParameterApplyStatus: 'in-sync' },
    });
    const { CacheClusters } = await larder.client.send(
      new DescribeCacheClustersCommand({ ShowCacheNodeInfo: true }),
    );
    await effect(
      'DescribeCacheClusters',
      'the address and port it tells lead to the engine of that version, by INFO',
      async () => {
        const { Endpoint } = CacheClusters!.find((each) => each.CacheClusterId === id)!.CacheNodes![0]!;
        expect(await infoField(clients.to(Endpoint!), 'valkey_version')).toMatch(/^8\.1\./);
      },
    );
  });

  test('another node type and other settings, in the same process', async () => {
    const pid = pidOf(larder, id);
    const client = clients.to(await nodeOf(id));
    await client.set('kept', 'yes');
    await modify(id, {
      CacheNodeType: 'cache.t4g.medium',
      SecurityGroupIds: ['sg-2'],
      NotificationTopicStatus: 'inactive',
    });
    const cluster = await clusterAvailable(larder, id);
    await effect(
      'ModifyCacheCluster',
      'CacheNodeType: maxmemory by INFO, in the same process with its keys',
      async () => {
        expect(await ask(id, 'maxmemory')).toBe(String(Math.floor(3_317_862_236 * 0.75)));
        expect(pidOf(larder, id)).toBe(pid);
        expect(await client.get('kept')).toBe('yes');
      },
    );
    expect(cluster).toMatchObject({
      CacheNodeType: 'cache.t4g.medium',
      SecurityGroups: [{ SecurityGroupId: 'sg-2' }],
      NotificationConfiguration: { TopicStatus: 'inactive' },
    });
  });

  test('what may wait for the maintenance window waits', async () => {
    await modify(id, { ApplyImmediately: false, CacheNodeType: 'cache.t4g.small' });
    expect((await describeCluster(larder, id)).PendingModifiedValues).toEqual({
      CacheNodeType: 'cache.t4g.small',
    });
    expect(await ask(id, 'maxmemory')).toBe(String(Math.floor(3_317_862_236 * 0.75)));
    await modify(id, { PreferredMaintenanceWindow: windowAround(new Date(), true) });
    await waitFor(
      () => ask(id, 'maxmemory'),
      (seen) => seen === String(Math.floor(1_471_026_299 * 0.75)),
      { what: 'the window to have its effect' },
    );
    const cluster = await clusterAvailable(larder, id);
    expect(cluster.PendingModifiedValues).toEqual({});
    await modify(id, { PreferredMaintenanceWindow: windowAround(new Date(), false) });
    await clusterAvailable(larder, id);
  });

  test('a reboot empties it, as on ElastiCache', async () => {
    const pid = pidOf(larder, id);
    const reboot = (CacheNodeIdsToReboot: string[]) =>
      larder.client.send(new RebootCacheClusterCommand({ CacheClusterId: id, CacheNodeIdsToReboot }));
    expect(await errorName(reboot(['0002']))).toBe(rejectedValue);
    const { CacheCluster } = await reboot(['0001']);
    expect(CacheCluster!.CacheClusterStatus).toBe('rebooting cluster nodes');
    await clusterAvailable(larder, id);
    await effect(
      'RebootCacheCluster',
      'another process without the keys of the last, by DBSIZE',
      async () => {
        expect(pidOf(larder, id)).not.toBe(pid);
        expect(await clients.to(await nodeOf(id)).dbsize()).toBe(0);
      },
    );
  });

  test('upgraded to another version', async () => {
    expect(await errorName(modify(id, { EngineVersion: '9.1' }))).toBe(rejectedCombination);
    await modify(id, { EngineVersion: '9.1', CacheParameterGroupName: 'solo9' });
    const cluster = await clusterAvailable(larder, id);
    await effect(
      'ModifyCacheCluster',
      'EngineVersion and CacheParameterGroupName: version by INFO, what takes a start by CONFIG GET',
      async () => {
        expect(await ask(id, 'valkey_version')).toMatch(/^9\.1\./);
        expect(await settingsOf(larder, id, ['databases'])).toEqual({ databases: '6' });
      },
    );
    expect(cluster.EngineVersion).toBe('9.1');
    expect(cluster.CacheParameterGroup).toMatchObject({
      CacheParameterGroupName: 'solo9',
      ParameterApplyStatus: 'in-sync',
    });
  });

  test('what may not be is refused, and changes nothing', async () => {
    const before = await describeCluster(larder, id);
    expect(await errorName(modify(id, {}))).toBe(rejectedCombination);
    expect(await errorName(modify(id, { NumCacheNodes: 2 }))).toBe(rejectedValue);
    expect(await errorName(modify(id, { Engine: 'redis' }))).toBe(rejectedCombination);
    expect(await errorName(modify(id, { PreferredMaintenanceWindow: 'never' }))).toBe(rejectedValue);
    expect(await errorName(modify('nobody', { NumCacheNodes: 2 }))).toBe('CacheClusterNotFoundFault');
    expect(await errorName(create(input))).toBe('CacheClusterAlreadyExistsFault');
    expect(await describeCluster(larder, id)).toEqual(before);
  });

  test('deleted: nothing is left', async () => {
    const address = await nodeOf(id);
    await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: id }));
    await gone(id);
    await effect(
      'DeleteCacheCluster',
      'no process, no folder, and nobody answers at its address',
      async () => {
        expect(runningNodes(larder, id)).toEqual([]);
        expect((await larder.nodeFolders()).filter((name) => name.startsWith(id))).toEqual([]);
        await expect(clients.to(address, { retryStrategy: () => null }).ping()).rejects.toThrow();
      },
    );
    expect(await errorName(larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: id })))).toBe(
      'CacheClusterNotFoundFault',
    );
  });
});

test('Memcached: nodes come and go, in the zones asked for, and fewer wait for the window', async () => {
  const id = 'memo';
  await create({
    CacheClusterId: id,
    Engine: 'memcached',
    NumCacheNodes: 2,
    CacheNodeType: 'cache.t4g.small',
    PreferredMaintenanceWindow: windowAround(new Date(), false),
  });
  const first = await clusterAvailable(larder, id);
  await effect('CreateCacheCluster', 'Memcached: limit_maxbytes of every node by stats', async () => {
    for (const { Endpoint } of first.CacheNodes!) {
      const stats = await memcached(Endpoint!, 'stats\r\n', /END\r\n$/);
      const megabytes = Math.floor(1_471_026_299 / 2 ** 20);
      expect(stats).toContain(`STAT limit_maxbytes ${megabytes * 2 ** 20}\r\n`);
    }
  });
  const kept = first.CacheNodes![0]!.Endpoint!;
  expect(await memcached(kept, 'set a 0 0 1\r\n1\r\n')).toBe('STORED\r\n');
  const pid = pidOf(larder, id);
  await modify(id, { NumCacheNodes: 3, AZMode: 'cross-az', NewAvailabilityZones: ['us-east-1c'] });
  const grown = await clusterAvailable(larder, id);
  await effect(
    'ModifyCacheCluster',
    'NumCacheNodes: one more node answers, the others keep their processes and values',
    async () => {
      expect(runningNodes(larder, id)).toEqual(['memo.0001', 'memo.0002', 'memo.0003']);
      const added = grown.CacheNodes![2]!;
      expect(added.CustomerAvailabilityZone).toBe('us-east-1c');
      expect(await memcached(added.Endpoint!, 'version\r\n')).toMatch(/^VERSION 1\.6/);
      expect(pidOf(larder, id)).toBe(pid);
      expect(await memcached(kept, 'get a\r\n', /END\r\n$/)).toContain('VALUE a');
    },
  );
  expect(await errorName(modify(id, { NumCacheNodes: 2 }))).toBe(rejectedValue);
  const waiting = await modify(id, {
    NumCacheNodes: 2,
    CacheNodeIdsToRemove: ['0002'],
    ApplyImmediately: false,
  });
  expect(waiting.PendingModifiedValues).toEqual({ NumCacheNodes: 2, CacheNodeIdsToRemove: ['0002'] });
  expect(runningNodes(larder, id)).toHaveLength(3);
  await modify(id, { PreferredMaintenanceWindow: windowAround(new Date(), true) });
  await waitFor(
    () => runningNodes(larder, id),
    (nodes) => nodes.length === 2,
    { what: 'the node to go in the maintenance window' },
  );
  const left = await clusterAvailable(larder, id);
  await effect(
    'ModifyCacheCluster',
    'ApplyImmediately=false: the named node ends in the maintenance window, not before',
    () => {
      expect(runningNodes(larder, id)).toEqual(['memo.0001', 'memo.0003']);
    },
  );
  expect(left.NumCacheNodes).toBe(2);
  expect(await errorName(modify(id, { CacheNodeType: 'cache.t4g.medium' }))).toBe(rejectedCombination);
});

test('Redis OSS becomes Valkey, with its data and at its endpoint', async () => {
  await createGroup(larder, 'cross', { Engine: 'redis', NumCacheClusters: 2 });
  const before = (await groupAvailable(larder, 'cross')).NodeGroups![0]!.PrimaryEndpoint!;
  const client = clients.to(before, { retryStrategy: () => 5 });
  await client.set('kept', 'yes');
  expect(await infoField(client, 'valkey_version')).toBeUndefined();
  await larder.client.send(
    new ModifyReplicationGroupCommand({
      ReplicationGroupId: 'cross',
      Engine: 'valkey',
      EngineVersion: '8.1',
      ApplyImmediately: true,
    }),
  );
  await groupAvailable(larder, 'cross');
  await effect(
    'ModifyReplicationGroup',
    'Engine: the endpoint leads to Valkey by INFO, with the keys that Redis OSS held',
    async () => {
      const after = (await describeGroup(larder, 'cross')).NodeGroups![0]!.PrimaryEndpoint!;
      expect(after).toEqual(before);
      const another = clients.to(after);
      expect(await infoField(another, 'valkey_version')).toMatch(/^8\.1\./);
      expect(await another.get('kept')).toBe('yes');
    },
  );
  expect(await describeCluster(larder, 'cross-001')).toMatchObject({
    Engine: 'valkey',
    EngineVersion: '8.1',
    CacheParameterGroup: { CacheParameterGroupName: 'default.valkey8' },
  });
});
