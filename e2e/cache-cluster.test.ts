/** The promise: cache clusters outside replication groups are real engines too, Memcached among them. */
import { connect } from 'node:net';
import {
  CreateCacheClusterCommand,
  type CreateCacheClusterCommandInput,
  DeleteCacheClusterCommand,
  DescribeCacheClustersCommand,
  waitUntilCacheClusterAvailable,
  waitUntilCacheClusterDeleted,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createGroup,
  describeCluster,
  errorName,
  eventsOf,
  groupAvailable,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, type Place, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

function create(input: CreateCacheClusterCommandInput) {
  return larder.client.send(new CreateCacheClusterCommand({ NumCacheNodes: 1, ...input }));
}

function remove(id: string) {
  return larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: id }));
}

const sdkWaiting = { maxWaitTime: 60, minDelay: 0.05, maxDelay: 0.1 };
const untilAvailable = (id: string) =>
  waitUntilCacheClusterAvailable({ client: larder.client, ...sdkWaiting }, { CacheClusterId: id });
const untilDeleted = (id: string) =>
  waitUntilCacheClusterDeleted({ client: larder.client, ...sdkWaiting }, { CacheClusterId: id });

/** One exchange with a Memcached node. */
function memcached({ Address, Port }: Place, request: string, ending: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Port!, Address!);
    let reply = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error(`No answer to ${request}.`)));
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      reply += chunk.toString();
      if (!ending.test(reply)) return;
      socket.destroy();
      resolve(reply);
    });
    socket.write(request);
  });
}

test.each([
  ['valkey', '9.1', 'valkey_version'],
  ['redis', '7.0', 'redis_version'],
] as const)('one %s node: created, restarted when it dies, deleted', async (engine, line, field) => {
  const id = `one-${engine}`;
  const { CacheCluster } = await create({ CacheClusterId: id, Engine: engine });
  expect(CacheCluster).toMatchObject({ CacheClusterStatus: 'creating', NumCacheNodes: 1 });
  await untilAvailable(id);
  const cluster = await describeCluster(larder, id);
  expect(cluster).toMatchObject({ Engine: engine, EngineVersion: line });
  expect(cluster.ReplicationGroupId).toBeUndefined();
  const [node] = cluster.CacheNodes!;
  expect(node).toMatchObject({
    CacheNodeId: '0001',
    CacheNodeStatus: 'available',
    CustomerAvailabilityZone: cluster.PreferredAvailabilityZone!,
  });
  const client = clients.to(node!.Endpoint!);
  expect(await infoField(client, field)).toMatch(new RegExp(`^${line.replace('.', '\\.')}\\.`));
  await client.set('a', '1');

  const before = larder.processes().find(({ nodeId }) => nodeId.startsWith(id))!;
  endProcess(before.pid);
  await waitFor(
    () => larder.processes().find(({ nodeId }) => nodeId.startsWith(id))?.pid,
    (pid) => pid !== undefined && pid !== before.pid,
    { what: 'another process' },
  );
  // A cache of one node has nobody to copy from.
  await waitFor(
    () => client.dbsize(),
    (keys) => keys === 0,
    { what: 'the node to answer, empty' },
  );

  expect((await remove(id)).CacheCluster?.CacheClusterStatus).toBe('deleting');
  await untilDeleted(id);
  expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith(id))).toEqual([]);
  expect((await larder.nodeFolders()).filter((name) => name.startsWith(id))).toEqual([]);
  expect(await eventsOf(larder, id)).toEqual([
    'Cache cluster created',
    `Deleting cache cluster ${id}`,
    `Cache cluster ${id} deleted`,
  ]);
});

test('Memcached of three nodes across zones: each answers for itself', async () => {
  await create({ CacheClusterId: 'memo', Engine: 'memcached', NumCacheNodes: 3, AZMode: 'cross-az' });
  await untilAvailable('memo');
  const cluster = await describeCluster(larder, 'memo');
  expect(cluster.PreferredAvailabilityZone).toBe('Multiple');
  const nodes = cluster.CacheNodes!;
  expect(nodes.map(({ CacheNodeId }) => CacheNodeId)).toEqual(['0001', '0002', '0003']);
  expect(new Set(nodes.map(({ CustomerAvailabilityZone }) => CustomerAvailabilityZone)).size).toBe(3);
  for (const { Endpoint } of nodes) {
    expect(Endpoint?.Port).toBe(11211);
    expect(await memcached(Endpoint!, 'version\r\n', /\r\n$/)).toBe(`VERSION ${cluster.EngineVersion}\r\n`);
  }
  expect(await memcached(nodes[0]!.Endpoint!, 'set a 0 0 1\r\n1\r\n', /\r\n$/)).toBe('STORED\r\n');
  expect(await memcached(nodes[1]!.Endpoint!, 'get a\r\n', /END\r\n$/)).toBe('END\r\n');

  const killed = larder.processes().find(({ nodeId }) => nodeId === 'memo.0002')!;
  endProcess(killed.pid);
  await waitFor(
    () => larder.processes().find(({ nodeId }) => nodeId === 'memo.0002')?.pid,
    (pid) => pid !== undefined && pid !== killed.pid,
    { what: 'the second node to be started again' },
  );
  await waitFor(
    () => memcached(nodes[1]!.Endpoint!, 'version\r\n', /\r\n$/),
    (reply) => reply.startsWith('VERSION'),
    { what: 'the second node to answer' },
  );
  expect(await memcached(nodes[0]!.Endpoint!, 'get a\r\n', /END\r\n$/)).toContain('VALUE a');

  await remove('memo');
  await untilDeleted('memo');
  expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith('memo.'))).toEqual([]);
});

describe('refused, with nothing changed', () => {
  const value = 'InvalidParameterValueException';
  const combination = 'InvalidParameterCombinationException';
  const bad: [string, Partial<CreateCacheClusterCommandInput>][] = [
    [value, { Engine: undefined }],
    [value, { Engine: 'oracle' }],
    [value, { CacheClusterId: '-a' }],
    [value, { CacheClusterId: 'a'.repeat(51) }],
    [value, { NumCacheNodes: 0 }],
    [value, { NumCacheNodes: 2 }],
    [value, { Engine: 'memcached', NumCacheNodes: 61 }],
    [combination, { Engine: 'memcached', AZMode: 'cross-az' }],
    [value, { PreferredAvailabilityZone: 'mars-1a' }],
    [combination, { PreferredAvailabilityZones: ['us-east-1a', 'us-east-1b'] }],
    [value, { EngineVersion: '1.2.3' }],
    [value, { CacheNodeType: 'cache.none' }],
    [value, { Port: 80 }],
    [combination, { ReplicationGroupId: 'some' }],
    ['ReplicationGroupNotFoundFault', { ReplicationGroupId: 'some', Engine: undefined }],
    ['SnapshotNotFoundFault', { SnapshotName: 'yesterday' }],
    [combination, { AuthToken: 'a-secret-of-sixteen' }],
  ];
  test.each(
    bad.map(([error, input]) => ({ error, input, what: JSON.stringify(input) })),
  )('$what: $error', async ({ error, input }) => {
    const work = create({ CacheClusterId: 'refused', Engine: 'valkey', ...input });
    expect(await errorName(work)).toBe(error);
  });

  test('nothing came of them', async () => {
    const { CacheClusters } = await larder.client.send(new DescribeCacheClustersCommand({}));
    expect(CacheClusters).toEqual([]);
    expect(await larder.nodeFolders()).toEqual([]);
    expect(await errorName(describeCluster(larder, 'refused'))).toBe('CacheClusterNotFoundFault');
    expect(await errorName(remove('refused'))).toBe('CacheClusterNotFoundFault');
  });
});

describe('ids of clusters and of group members are one set of names', () => {
  beforeAll(async () => {
    await createGroup(larder, 'shop', {});
    await create({ CacheClusterId: 'bar-002', Engine: 'valkey' });
    await groupAvailable(larder, 'shop');
  });

  test('a cluster may not be named like a member', async () => {
    expect(await errorName(create({ CacheClusterId: 'SHOP-001', Engine: 'valkey' }))).toBe(
      'CacheClusterAlreadyExistsFault',
    );
  });

  test('a group may not have a member named like a cluster', async () => {
    expect(await errorName(createGroup(larder, 'bar', { NumCacheClusters: 2 }))).toBe(
      'InvalidParameterValueException',
    );
    // Its first member's name is free.
    expect(await errorName(createGroup(larder, 'bar', {}))).toBe('no error');
  });

  test('a member is not deleted as a cluster', async () => {
    expect(await errorName(remove('shop-001'))).toBe('InvalidCacheClusterStateFault');
    expect((await describeCluster(larder, 'shop-001')).CacheClusterStatus).toBe('available');
  });

  test('lists them together or without members', async () => {
    const ids = async (input: object) => {
      const { CacheClusters } = await larder.client.send(new DescribeCacheClustersCommand(input));
      return CacheClusters!.map(({ CacheClusterId }) => CacheClusterId);
    };
    expect(await ids({})).toEqual(['bar-001', 'bar-002', 'shop-001']);
    expect(await ids({ ShowCacheClustersNotInReplicationGroups: true })).toEqual(['bar-002']);
  });
});
