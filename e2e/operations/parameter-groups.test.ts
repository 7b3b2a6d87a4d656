/** Parameter groups, as the engines that run with them show their values. */
import {
  CreateCacheClusterCommand,
  CreateCacheParameterGroupCommand,
  DeleteCacheParameterGroupCommand,
  DescribeCacheParameterGroupsCommand,
  DescribeCacheParametersCommand,
  DescribeEngineDefaultParametersCommand,
  ModifyCacheParameterGroupCommand,
  type Parameter,
  paginateDescribeCacheParameters,
  paginateDescribeEngineDefaultParameters,
  RebootCacheClusterCommand,
  ResetCacheParameterGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
} from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { memcached } from '../../testing/memcached-text.ts';
import { infoField, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { atTheMachine, clusterAvailable, pidOf, rejectedValue, settingsOf } from './looks.test-support.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
  await Promise.all([
    createParameters('live', 'valkey9'),
    createParameters('sharded', 'valkey9'),
    createParameters('slabs', 'memcached1.6'),
  ]);
  await modify('live', { 'maxmemory-policy': 'allkeys-lru', 'hash-max-listpack-entries': '3' });
  await modify('sharded', { 'cluster-enabled': 'yes', 'slowlog-log-slower-than': '0' });
  await modify('slabs', { max_item_size: '2097152' });
  await Promise.all([
    createGroup(larder, 'live', { NumCacheClusters: 2, CacheParameterGroupName: 'live' }),
    createGroup(larder, 'sharded', {
      NumNodeGroups: 2,
      ReplicasPerNodeGroup: 0,
      CacheParameterGroupName: 'sharded',
    }),
    createGroup(larder, 'defaults', {}),
    larder.client.send(
      new CreateCacheClusterCommand({
        CacheClusterId: 'slabs',
        Engine: 'memcached',
        NumCacheNodes: 1,
        CacheParameterGroupName: 'slabs',
      }),
    ),
  ]);
  await Promise.all([
    ...['live', 'sharded', 'defaults'].map((id) => groupAvailable(larder, id)),
    clusterAvailable(larder, 'slabs'),
  ]);
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

function createParameters(name: string, family: string) {
  return larder.client.send(
    new CreateCacheParameterGroupCommand({
      CacheParameterGroupName: name,
      CacheParameterGroupFamily: family,
      Description: 'of a test',
    }),
  );
}

const named = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([ParameterName, ParameterValue]) => ({ ParameterName, ParameterValue }));

function modify(name: string, values: Readonly<Record<string, string>>) {
  return larder.client.send(
    new ModifyCacheParameterGroupCommand({
      CacheParameterGroupName: name,
      ParameterNameValues: named(values),
    }),
  );
}

/** The members of `live`, each by its own address. */
async function policies(): Promise<(string | undefined)[]> {
  const members = (await describeGroup(larder, 'live')).NodeGroups![0]!.NodeGroupMembers!;
  return Promise.all(
    members.map(async ({ ReadEndpoint }) => {
      const client = clients.to(ReadEndpoint!);
      try {
        return await infoField(client, 'maxmemory_policy');
      } finally {
        client.disconnect();
      }
    }),
  );
}

const statusOf = async (id: string) =>
  (await describeCluster(larder, id)).CacheParameterGroup!.ParameterApplyStatus;
const inSync = (id: string) =>
  waitFor(
    () => statusOf(id),
    (status) => status === 'in-sync',
    { what: `${id} to be in sync` },
  );

test('an engine begins with the values of its group', async () => {
  await effect(
    'CreateCacheParameterGroup',
    'engines made with the group show its values by INFO; a small hash by OBJECT ENCODING',
    async () => {
      expect(await policies()).toEqual(['allkeys-lru', 'allkeys-lru']);
      const client = clients.to((await describeGroup(larder, 'live')).NodeGroups![0]!.PrimaryEndpoint!);
      await client.hset('small', { a: 1, b: 2, c: 3 });
      await client.hset('large', { a: 1, b: 2, c: 3, d: 4 });
      expect(await client.object('ENCODING', 'small')).toBe('listpack');
      expect(await client.object('ENCODING', 'large')).toBe('hashtable');
      expect(
        await settingsOf(larder, 'sharded-0002-001', ['slowlog-log-slower-than', 'cluster-enabled']),
      ).toEqual({
        'slowlog-log-slower-than': '0',
        'cluster-enabled': 'yes',
      });
      const node = (await describeCluster(larder, 'slabs')).CacheNodes![0]!.Endpoint!;
      const large = 'x'.repeat(1_500_000);
      expect(await memcached(node, `set large 0 0 ${large.length}\r\n${large}\r\n`)).toBe('STORED\r\n');
    },
  );
});

test('a change reaches every node of every user of the group, live; a reset takes it back', async () => {
  const pids = larder.processes();
  await modify('live', { 'maxmemory-policy': 'volatile-ttl', 'notify-keyspace-events': 'KEA' });
  await waitFor(policies, (seen) => seen.every((each) => each === 'volatile-ttl'), {
    what: 'every member to have the new policy',
  });
  await Promise.all([inSync('live-001'), inSync('live-002')]);
  await effect(
    'ModifyCacheParameterGroup',
    "every node's maxmemory-policy by INFO, in the same process; a subscriber hears of keys",
    async () => {
      expect(await policies()).toEqual(['volatile-ttl', 'volatile-ttl']);
      const endpoint = (await describeGroup(larder, 'live')).NodeGroups![0]!.PrimaryEndpoint!;
      const subscriber = clients.to(endpoint);
      const heard = new Promise<string>((resolve) =>
        subscriber.once('message', (_, message) => resolve(message)),
      );
      await subscriber.subscribe('__keyspace@0__:noticed');
      await clients.to(endpoint).set('noticed', '1');
      expect(await heard).toBe('set');
      expect(larder.processes()).toEqual(pids);
    },
  );

  await larder.client.send(
    new ResetCacheParameterGroupCommand({
      CacheParameterGroupName: 'live',
      ParameterNameValues: [{ ParameterName: 'maxmemory-policy', ParameterValue: 'volatile-ttl' }],
    }),
  );
  await waitFor(policies, (seen) => seen.every((each) => each === 'volatile-lru'), {
    what: 'every member to have the default policy',
  });
  await larder.client.send(
    new ResetCacheParameterGroupCommand({ CacheParameterGroupName: 'live', ResetAllParameters: true }),
  );
  await effect(
    'ResetCacheParameterGroup',
    "every node's maxmemory-policy by INFO and the rest by CONFIG GET are the family's",
    async () => {
      await waitFor(
        () => settingsOf(larder, 'live-002', ['notify-keyspace-events', 'maxmemory-policy']),
        (seen) => seen['notify-keyspace-events'] === '' && seen['maxmemory-policy'] === 'volatile-lru',
        { what: 'the replica to have every default' },
      );
      expect(larder.processes()).toEqual(pids);
    },
  );
});

test('what takes a start waits for the reboot of each node', async () => {
  await modify('live', { databases: '2' });
  const waiting = () =>
    waitFor(
      () => statusOf('live-001'),
      (status) => status === 'pending-reboot',
      {
        what: 'the reboot to be asked for',
      },
    );
  await waiting();
  expect((await describeCluster(larder, 'live-001')).CacheParameterGroup!.CacheNodeIdsToReboot).toEqual([
    '0001',
  ]);
  expect(await settingsOf(larder, 'live-001', ['databases'])).toEqual({ databases: '16' });
  await larder.restart();
  await waiting();
  const pids = [pidOf(larder, 'live-001'), pidOf(larder, 'live-002')];
  for (const id of ['live-002', 'live-001']) {
    await larder.client.send(
      new RebootCacheClusterCommand({ CacheClusterId: id, CacheNodeIdsToReboot: ['0001'] }),
    );
    await groupAvailable(larder, 'live');
  }
  await effect(
    'ModifyCacheParameterGroup',
    'what takes a start: CONFIG GET has it in the next process, after RebootCacheCluster',
    async () => {
      expect(await settingsOf(larder, 'live-001', ['databases'])).toEqual({ databases: '2' });
      expect(await settingsOf(larder, 'live-002', ['databases'])).toEqual({ databases: '2' });
      expect(pidOf(larder, 'live-001')).not.toBe(pids[0]);
      expect(pidOf(larder, 'live-002')).not.toBe(pids[1]);
    },
  );
  await Promise.all([inSync('live-001'), inSync('live-002')]);

  await modify('slabs', { max_item_size: '1048576' });
  await waitFor(
    () => statusOf('slabs'),
    (status) => status === 'pending-reboot',
    { what: 'Memcached to wait' },
  );
  await larder.client.send(
    new RebootCacheClusterCommand({ CacheClusterId: 'slabs', CacheNodeIdsToReboot: ['0001'] }),
  );
  const rebooted = await clusterAvailable(larder, 'slabs');
  const large = 'x'.repeat(1_500_000);
  await effect(
    'RebootCacheCluster',
    'Memcached: max_item_size of the group, by a value that is now too large',
    async () => {
      const answer = await memcached(
        rebooted.CacheNodes![0]!.Endpoint!,
        `set large 0 0 ${large.length}\r\n${large}\r\n`,
        /too large/,
      );
      expect(answer).toContain('SERVER_ERROR object too large');
    },
  );
  await inSync('slabs');
});

test('a node that was changed by hand is set back, and an event says so', async () => {
  // Nothing that was asked for by the API is taken for it.
  expect((await eventsOf(larder, 'live-002')).filter((each) => each.includes('by hand'))).toEqual([]);
  const engine = await atTheMachine(larder, 'live-002');
  try {
    await engine.config('SET', 'maxmemory-policy', 'noeviction');
    await waitFor(
      () => eventsOf(larder, 'live-002'),
      (events) => events.some((each) => each.includes('changed by hand in maxmemory-policy')),
      { what: 'an event about the change by hand' },
    );
    expect(await settingsOf(larder, 'live-002', ['maxmemory-policy'])).toEqual({
      'maxmemory-policy': 'volatile-lru',
    });
  } finally {
    engine.disconnect();
  }
});

test('what is told of a group and of a family is what an engine runs with', async () => {
  const told: Parameter[] = [];
  const ofFamily: Parameter[] = [];
  const client = larder.client;
  for await (const page of paginateDescribeCacheParameters(
    { client, pageSize: 20 },
    { CacheParameterGroupName: 'default.valkey9' },
  )) {
    told.push(...page.Parameters!);
  }
  for await (const page of paginateDescribeEngineDefaultParameters(
    { client, pageSize: 20 },
    { CacheParameterGroupFamily: 'valkey9' },
  )) {
    ofFamily.push(...page.EngineDefaults!.Parameters!);
  }
  const running = await settingsOf(larder, 'defaults-001', ['*']);
  const compare = (parameters: readonly Parameter[]) => {
    const known = parameters.filter(
      ({ ParameterName: name, IsModifiable }) => IsModifiable === true && running[name!] !== undefined,
    );
    expect(known.length).toBeGreaterThan(40);
    for (const { ParameterName: name, ParameterValue: value } of known) {
      expect([name, running[name!]]).toEqual([name, value]);
    }
  };
  await effect(
    'DescribeCacheParameters',
    'each value that can be changed is what CONFIG GET answers of a node with that group',
    () => compare(told),
  );
  await effect(
    'DescribeEngineDefaultParameters',
    'each default that can be changed is what CONFIG GET answers of a node with the default group',
    () => compare(ofFamily),
  );

  const { CacheParameterGroups } = await client.send(new DescribeCacheParameterGroupsCommand({}));
  await effect(
    'DescribeCacheParameterGroups',
    "a cluster's group is of the family whose version the engine tells by INFO",
    async () => {
      for (const [id, family] of [
        ['live', 'valkey9'],
        ['defaults', 'valkey9'],
      ] as const) {
        const cluster = await describeCluster(larder, `${id}-001`);
        const name = cluster.CacheParameterGroup!.CacheParameterGroupName;
        const group = CacheParameterGroups!.find((each) => each.CacheParameterGroupName === name)!;
        const version = await infoField(clients.to(cluster.CacheNodes![0]!.Endpoint!), 'valkey_version');
        expect(group.CacheParameterGroupFamily).toBe(family);
        expect(`valkey${version!.split('.')[0]}`).toBe(family);
      }
    },
  );
});

test('a group in use stays, one that is not goes, and nothing is made with it any more', async () => {
  const remove = (name: string) =>
    larder.client.send(new DeleteCacheParameterGroupCommand({ CacheParameterGroupName: name }));
  for (const name of ['live', 'default.valkey9']) {
    expect(await errorName(remove(name))).toBe('InvalidCacheParameterGroupStateFault');
  }
  expect(await errorName(remove('nothing'))).toBe('CacheParameterGroupNotFoundFault');
  await createParameters('unused', 'valkey9');
  expect(await errorName(createParameters('Unused', 'valkey9'))).toBe(
    'CacheParameterGroupAlreadyExistsFault',
  );
  await remove('unused');
  await larder.restart();
  await effect(
    'DeleteCacheParameterGroup',
    'a service that was killed since does not know it, and starts no engine with it',
    async () => {
      const pids = larder.processes();
      const wanted = createGroup(larder, 'late', { CacheParameterGroupName: 'unused' });
      expect(await errorName(wanted)).toBe('CacheParameterGroupNotFoundFault');
      expect(larder.processes()).toEqual(pids);
    },
  );
});

test('what is no value of a parameter is refused, and changes nothing', async () => {
  const before = await settingsOf(larder, 'live-001', ['maxmemory-policy', 'timeout']);
  expect(await errorName(modify('live', { timeout: '60', 'maxmemory-policy': 'never' }))).toBe(rejectedValue);
  expect(await errorName(modify('live', {}))).toBe(rejectedValue);
  expect(await errorName(modify('default.valkey9', { timeout: '60' }))).toBe(
    'InvalidCacheParameterGroupStateFault',
  );
  expect(await errorName(modify('sharded', { 'cluster-enabled': 'no' }))).toBe(
    'InvalidCacheParameterGroupStateFault',
  );
  expect(await errorName(createParameters('x', 'valkey0'))).toBe(rejectedValue);
  const reset = new ResetCacheParameterGroupCommand({ CacheParameterGroupName: 'live' });
  expect(await errorName(larder.client.send(reset))).toBe('InvalidParameterCombinationException');
  const source = new DescribeCacheParametersCommand({ CacheParameterGroupName: 'live', Source: 'mine' });
  expect(await errorName(larder.client.send(source))).toBe(rejectedValue);
  const family = new DescribeEngineDefaultParametersCommand({ CacheParameterGroupFamily: 'valkey0' });
  expect(await errorName(larder.client.send(family))).toBe(rejectedValue);
  expect(await settingsOf(larder, 'live-001', ['maxmemory-policy', 'timeout'])).toEqual(before);
});

test('at most 300 parameter groups', async () => {
  const made = Array.from({ length: 300 }, (_, index) => createParameters(`many-${index}`, 'valkey9'));
  const names = await Promise.all(made.map(errorName));
  expect(names).toContain('CacheParameterGroupQuotaExceededFault');
  expect(new Set(names)).toEqual(new Set(['no error', 'CacheParameterGroupQuotaExceededFault']));
});
