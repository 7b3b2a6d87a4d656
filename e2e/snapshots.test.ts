/**
 * The promise: a snapshot is what a cache held at one moment, checked and kept; what is made from it has every key with
 * its life time.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CopySnapshotCommand,
  CreateCacheClusterCommand,
  CreateCacheParameterGroupCommand,
  CreateSnapshotCommand,
  DeleteCacheClusterCommand,
  DeleteReplicationGroupCommand,
  DeleteSnapshotCommand,
  ListTagsForResourceCommand,
  ModifyCacheParameterGroupCommand,
  ModifyReplicationGroupCommand,
  type Snapshot,
} from '@aws-sdk/client-elasticache';
import { Cluster, type Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
  groupGone,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { type Place, redisClients } from '../testing/redis-clients.ts';
import {
  expectFilled,
  expectTidy,
  filesOf,
  fill,
  gone,
  hourMs,
  reached,
  snapshots,
  take,
} from '../testing/snapshots.ts';
import { waitFor } from '../testing/wait-for.ts';

const clients = redisClients();
const clusters: Cluster[] = [];
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
});

beforeEach(() => {
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-4_000)}`));
});

afterAll(async () => {
  clients.close();
  for (const client of clusters) client.disconnect();
  await larder?.remove();
});

function cluster(place: Place): Cluster {
  const client = new Cluster([{ host: place.Address!, port: place.Port! }]);
  client.on('error', () => {});
  clusters.push(client);
  return client;
}

async function primaryClient(id: string): Promise<Redis> {
  return clients.to((await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!);
}

async function clusterClient(id: string): Promise<Cluster> {
  return cluster((await describeGroup(larder, id)).ConfigurationEndpoint!);
}

describe.each([
  { engine: 'valkey', version: '9.1' },
  { engine: 'redis', version: '7.0' },
])('$engine without cluster mode', ({ engine, version }) => {
  const id = `shop-${engine}`;
  const name = `kept-${engine}`;

  test('a snapshot is taken, checked and kept, encrypted where its source is', async () => {
    await createGroup(larder, id, {
      Engine: engine,
      EngineVersion: version,
      NumCacheClusters: 2,
      Port: 6400,
    });
    await groupAvailable(larder, id);
    const client = await primaryClient(id);
    await fill(client);
    expect(await client.wait(1, 5_000)).toBe(1);
    const { Snapshot: begun } = await larder.client.send(
      new CreateSnapshotCommand({
        ReplicationGroupId: id,
        SnapshotName: name,
        Tags: [{ Key: 'for', Value: 'a test' }],
      }),
    );
    expect(begun).toMatchObject({
      SnapshotStatus: 'creating',
      SnapshotSource: 'manual',
      ReplicationGroupId: id,
    });
    const kept = await reached(larder, name, 'available');
    expect(kept).toMatchObject({ Engine: engine, EngineVersion: version, NumNodeGroups: 1, Port: 6400 });
    expect(kept.NodeSnapshots).toEqual([
      expect.objectContaining({ CacheClusterId: `${id}-002`, NodeGroupId: '0001', CacheSize: '1 MB' }),
    ]);
    const sealed = engine === 'valkey';
    await effect('CreateSnapshot', 'the data file on disk', () => {
      expect(filesOf(larder, name)).toEqual([sealed ? '0001.rdb.sealed' : '0001.rdb']);
      const path = join(larder.dataDirectory, 'snapshots', name, filesOf(larder, name)[0]!);
      expect(readFileSync(path).includes('nobody is to read')).toBe(!sealed);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    });
    await groupAvailable(larder, id);
    await expectTidy(larder);
    expect(await eventsOf(larder, id)).toContain(
      `Snapshot succeeded for snapshot with ID '${name}' of replication group with ID '${id}'`,
    );
    const tags = await larder.client.send(new ListTagsForResourceCommand({ ResourceName: kept.ARN! }));
    expect(tags.TagList).toEqual([{ Key: 'for', Value: 'a test' }]);
  });

  test('a group made from it has its settings, every key and every life time', async () => {
    // What came after the snapshot is not in it.
    await (await primaryClient(id)).set('late', '1');
    await createGroup(larder, `${id}-b`, {
      SnapshotName: name,
      NumCacheClusters: 2,
      AutomaticFailoverEnabled: true,
    });
    const group = await groupAvailable(larder, `${id}-b`);
    expect(group).toMatchObject({ Engine: engine, AtRestEncryptionEnabled: engine === 'valkey' });
    expect(group.NodeGroups![0]!.PrimaryEndpoint!.Port).toBe(6400);
    const client = await primaryClient(`${id}-b`);
    await expectFilled(client);
    expect(await client.dbsize()).toBe(202);
    const replica = clients.to(group.NodeGroups![0]!.NodeGroupMembers![1]!.ReadEndpoint!);
    expect(await replica.dbsize()).toBe(202);
    await expectTidy(larder);
    await reached(larder, name, 'available');
  });

  test('the data is loaded once: a restored primary that dies does not come back with it', async () => {
    const client = await primaryClient(`${id}-b`);
    await client.set('after', '1');
    await client.del('key:0');
    expect(await client.wait(1, 5_000)).toBe(1);
    const before = (await describeGroup(larder, `${id}-b`)).NodeGroups![0]!.NodeGroupMembers!;
    const primary = before.find(({ CurrentRole }) => CurrentRole === 'primary')!.CacheClusterId!;
    endProcess(larder.processes().find(({ nodeId }) => nodeId === `${primary}.0001`)!.pid);
    await waitFor(
      async () => (await describeGroup(larder, `${id}-b`)).NodeGroups![0]!.NodeGroupMembers!,
      (members) => members.some((each) => each.CurrentRole === 'primary' && each.CacheClusterId !== primary),
      { what: 'another primary' },
    );
    const after = await primaryClient(`${id}-b`);
    expect(await after.get('after')).toBe('1');
    expect(await after.exists('key:0')).toBe(0);
    await deleteGroup(larder, `${id}-b`);
    await groupGone(larder, `${id}-b`);
  });
});

describe('cluster mode', () => {
  test.each(['valkey', 'redis'])('%s: every shard is saved and restored', async (engine) => {
    const id = `ring-${engine}`;
    await createGroup(larder, id, {
      Engine: engine,
      NumNodeGroups: 2,
      ReplicasPerNodeGroup: engine === 'valkey' ? 1 : 0,
    });
    await groupAvailable(larder, id);
    await fill(await clusterClient(id));
    expect(await errorName(take(larder, { CacheClusterId: `${id}-0001-001`, SnapshotName: 'none' }))).toBe(
      'InvalidParameterCombinationException',
    );
    await take(larder, { ReplicationGroupId: id, SnapshotName: `kept-${id}` });
    const kept = await reached(larder, `kept-${id}`, 'available');
    expect(kept.NodeSnapshots?.map(({ NodeGroupConfiguration: shard }) => shard?.Slots)).toEqual([
      '0-8191',
      '8192-16383',
    ]);
    await groupAvailable(larder, id);
    await createGroup(larder, `${id}-b`, { SnapshotName: `kept-${id}` });
    const group = await groupAvailable(larder, `${id}-b`);
    expect(group.NodeGroups?.map(({ Slots }) => Slots)).toEqual(['0-8191', '8192-16383']);
    await effect(
      'CreateReplicationGroup',
      "a snapshot's keys in every shard of the restored cluster",
      async () => {
        await expectFilled(await clusterClient(`${id}-b`));
      },
    );
    for (const each of [id, `${id}-b`]) await deleteGroup(larder, each);
    await expectTidy(larder);
  });

  test('one shard of a group without it becomes a cluster of one shard; Redis becomes Valkey', async () => {
    await createGroup(larder, 'moved', {
      SnapshotName: 'kept-redis',
      Engine: 'valkey',
      ClusterMode: 'enabled',
    });
    expect(await groupAvailable(larder, 'moved')).toMatchObject({ Engine: 'valkey', ClusterEnabled: true });
    await expectFilled(await clusterClient('moved'));
    await deleteGroup(larder, 'moved');
  });
});

describe('a cache cluster of its own', () => {
  test('is restored, saved, and saved once more before it goes', async () => {
    await larder.client.send(
      new CreateCacheClusterCommand({ CacheClusterId: 'solo', SnapshotName: 'kept-redis' }),
    );
    const solo = await waitFor(
      () => describeCluster(larder, 'solo'),
      ({ CacheClusterStatus }) => CacheClusterStatus === 'available',
      { what: 'the cluster to be available' },
    );
    const client = clients.to(solo.CacheNodes![0]!.Endpoint!);
    await effect('CreateCacheCluster', "a snapshot's keys at the restored node", () => expectFilled(client));
    await client.set('own', '1');
    await take(larder, { CacheClusterId: 'solo', SnapshotName: 'of-solo' });
    expect(await reached(larder, 'of-solo', 'available')).toMatchObject({
      CacheClusterId: 'solo',
      NumCacheNodes: 1,
    });
    await client.set('last', '1');
    const statuses = new Set<string>();
    await larder.client.send(
      new DeleteCacheClusterCommand({ CacheClusterId: 'solo', FinalSnapshotIdentifier: 'last-of-solo' }),
    );
    await waitFor(
      async () => {
        const error = await errorName(
          describeCluster(larder, 'solo').then(({ CacheClusterStatus }) => statuses.add(CacheClusterStatus!)),
        );
        return error;
      },
      (error) => error === 'CacheClusterNotFoundFault',
      { what: 'the cluster to be gone', everyMs: 2 },
    );
    expect([...statuses]).toEqual(['deleting']);
    await effect('DeleteCacheCluster', 'the final snapshot restored', async () => {
      await createGroup(larder, 'solo-again', { SnapshotName: 'last-of-solo' });
      await groupAvailable(larder, 'solo-again');
      expect(await (await primaryClient('solo-again')).mget('own', 'last')).toEqual(['1', '1']);
    });
    await deleteGroup(larder, 'solo-again');
  });
});

describe('copies, filters and deletion', () => {
  test('a copy has files of its own; the first may go', async () => {
    const { Snapshot: copy } = await larder.client.send(
      new CopySnapshotCommand({ SourceSnapshotName: 'kept-valkey', TargetSnapshotName: 'copied' }),
    );
    expect(copy?.SnapshotStatus).toBe('copying');
    await reached(larder, 'copied', 'available');
    await effect('DeleteSnapshot', 'its files gone from disk', async () => {
      await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'kept-valkey' }));
      await gone(larder, 'kept-valkey');
      expect(filesOf(larder, 'kept-valkey')).toEqual([]);
    });
    await effect('CopySnapshot', 'the copy restored after its source was deleted', async () => {
      await createGroup(larder, 'from-copy', { SnapshotName: 'copied', EngineVersion: '9' });
      await groupAvailable(larder, 'from-copy');
      await expectFilled(await primaryClient('from-copy'));
    });
    await deleteGroup(larder, 'from-copy');
  });

  test('they are found by name, source and kind, page by page', async () => {
    const names = (all: Snapshot[]) => all.map(({ SnapshotName }) => SnapshotName);
    await effect('DescribeSnapshots', 'the same names as the folders on disk', async () => {
      expect(names(await snapshots(larder))).toEqual(
        readdirSync(join(larder.dataDirectory, 'snapshots')).sort(),
      );
    });
    expect(names(await snapshots(larder, { CacheClusterId: 'solo' }))).toEqual(['last-of-solo', 'of-solo']);
    expect(names(await snapshots(larder, { ReplicationGroupId: 'shop-redis' }))).toEqual(['kept-redis']);
    expect(await snapshots(larder, { SnapshotSource: 'system' })).toEqual([]);
    expect(names(await snapshots(larder, { SnapshotSource: 'user', SnapshotName: 'copied' }))).toEqual([
      'copied',
    ]);
    expect(await errorName(snapshots(larder, { MaxRecords: 51 }))).toBe('InvalidParameterValueException');
    expect(await errorName(snapshots(larder, { SnapshotSource: 'mine' }))).toBe(
      'InvalidParameterValueException',
    );
    expect(await errorName(snapshots(larder, { CacheClusterId: 'nobody' }))).toBe(
      'CacheClusterNotFoundFault',
    );
  });

  test('refused', async () => {
    const copyAs = (name: string, input: { SourceSnapshotName: string; TargetBucket?: string }) =>
      errorName(larder.client.send(new CopySnapshotCommand({ ...input, TargetSnapshotName: name })));
    const refused: [string, Promise<string>][] = [
      [
        'SnapshotAlreadyExistsFault',
        errorName(take(larder, { ReplicationGroupId: 'shop-redis', SnapshotName: 'copied' })),
      ],
      [
        'ReplicationGroupNotFoundFault',
        errorName(take(larder, { ReplicationGroupId: 'nobody', SnapshotName: 'x' })),
      ],
      ['CacheClusterNotFoundFault', errorName(take(larder, { CacheClusterId: 'nobody', SnapshotName: 'x' }))],
      ['InvalidParameterCombinationException', errorName(take(larder, { SnapshotName: 'x' }))],
      [
        'InvalidParameterValueException',
        errorName(take(larder, { CacheClusterId: 'solo', SnapshotName: '1x' })),
      ],
      [
        'SnapshotNotFoundFault',
        errorName(larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'nothing' }))),
      ],
      ['SnapshotNotFoundFault', copyAs('x', { SourceSnapshotName: 'nothing' })],
      [
        'InvalidParameterValueException',
        copyAs('x', { SourceSnapshotName: 'copied', TargetBucket: 'unknown' }),
      ],
      ['SnapshotNotFoundFault', errorName(createGroup(larder, 'x', { SnapshotName: 'nothing' }))],
      [
        'InvalidParameterValueException',
        errorName(createGroup(larder, 'x', { SnapshotArns: ['arn:aws:s3:::bucket/file.rdb'] })),
      ],
      [
        'InvalidParameterCombinationException',
        errorName(createGroup(larder, 'x', { SnapshotName: 'copied', EngineVersion: '8.1' })),
      ],
      [
        'SnapshotAlreadyExistsFault',
        errorName(
          larder.client.send(
            new DeleteReplicationGroupCommand({
              ReplicationGroupId: 'shop-redis',
              FinalSnapshotIdentifier: 'copied',
            }),
          ),
        ),
      ],
    ];
    for (const [expected, actual] of refused) expect(await actual).toBe(expected);
    expect((await describeGroup(larder, 'shop-redis')).Status).toBe('available');
    await larder.client.send(
      new CreateCacheClusterCommand({ CacheClusterId: 'memo', Engine: 'memcached', NumCacheNodes: 1 }),
    );
    expect(await errorName(take(larder, { CacheClusterId: 'memo', SnapshotName: 'x' }))).toBe(
      'SnapshotFeatureNotSupportedFault',
    );
    await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: 'memo' }));
  });

  test('a file that is not what was saved is not loaded: the group says why', async () => {
    const path = join(larder.dataDirectory, 'snapshots', 'of-solo', '0001.rdb');
    const bytes = readFileSync(path);
    bytes[bytes.length - 20]! ^= 1;
    writeFileSync(path, bytes);
    await createGroup(larder, 'broken', { SnapshotName: 'of-solo' });
    await waitFor(
      () => describeGroup(larder, 'broken'),
      ({ Status }) => Status === 'create-failed',
      { what: 'the group to fail' },
    );
    expect((await eventsOf(larder, 'broken')).at(-1)).toContain('it is not what was saved');
    await deleteGroup(larder, 'broken');
    await groupGone(larder, 'broken');
  });
});

test('what does not fit into a node is not restored: the cluster says why', async () => {
  const group = { CacheParameterGroupName: 'tiny' };
  await larder.client.send(
    new CreateCacheParameterGroupCommand({
      ...group,
      CacheParameterGroupFamily: 'redis7',
      Description: 'a test',
    }),
  );
  await larder.client.send(
    new ModifyCacheParameterGroupCommand({
      ...group,
      ParameterNameValues: [{ ParameterName: 'reserved-memory-percent', ParameterValue: '99' }],
    }),
  );
  const big = await primaryClient('shop-redis');
  for (let index = 0; index < 16; index += 1) await big.set(`big:${index}`, 'x'.repeat(2 ** 19));
  await take(larder, { ReplicationGroupId: 'shop-redis', SnapshotName: 'big' });
  await reached(larder, 'big', 'available');
  await groupAvailable(larder, 'shop-redis');
  await larder.client.send(
    new CreateCacheClusterCommand({ CacheClusterId: 'cramped', SnapshotName: 'big', ...group }),
  );
  await waitFor(
    () => describeCluster(larder, 'cramped'),
    ({ CacheClusterStatus }) => CacheClusterStatus === 'restore-failed',
    { what: 'the restore to fail' },
  );
  expect((await eventsOf(larder, 'cramped')).at(-1)).toMatch(/could not be restored .* bytes of memory/);
  expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith('cramped.'))).toEqual([]);
  await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: 'cramped' }));
  await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'big' }));
  await gone(larder, 'big');
});

test('automatic snapshots: one in the window of the day, gone with its group', async () => {
  const now = new Date();
  const clock = (hours: number) => new Date(now.getTime() + hours * hourMs).toISOString().slice(11, 16);
  await larder.client.send(
    new ModifyReplicationGroupCommand({
      ReplicationGroupId: 'shop-redis',
      SnapshotRetentionLimit: 2,
      SnapshottingClusterId: 'shop-redis-002',
      SnapshotWindow: `${clock(-1)}-${clock(2)}`,
      ApplyImmediately: true,
    }),
  );
  const [automatic] = await waitFor(
    () => snapshots(larder, { SnapshotSource: 'system', CacheClusterId: 'shop-redis-002' }),
    (all) => all[0]?.SnapshotStatus === 'available',
    { what: 'the automatic snapshot' },
  );
  expect(automatic).toMatchObject({
    SnapshotName: expect.stringMatching(/^automatic\.shop-redis-002-\d{4}-\d\d-\d\d-\d\d-\d\d$/),
    SnapshotSource: 'automated',
    CacheClusterId: 'shop-redis-002',
    SnapshotRetentionLimit: 2,
  });
  expect(filesOf(larder, automatic!.SnapshotName!)).toEqual(['0001.rdb']);
  // A service that is restarted in the same window takes no second one.
  await larder.restart();
  await groupAvailable(larder, 'shop-redis');
  expect((await snapshots(larder, { SnapshotSource: 'system' })).length).toBe(1);
  await deleteGroup(larder, 'shop-redis');
  await groupGone(larder, 'shop-redis');
  await gone(larder, automatic!.SnapshotName!);
  expect(filesOf(larder, automatic!.SnapshotName!)).toEqual([]);
  expect(
    (await snapshots(larder, { ReplicationGroupId: 'shop-redis' })).map((each) => each.SnapshotName),
  ).toEqual(['kept-redis']);
});
