/**
 * The promise: a snapshot is what a cache held at one moment, checked and kept; what is made from it has every key with
 * its life time. It is taken whoever dies meanwhile, or fails and says so.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CopySnapshotCommand,
  CreateCacheClusterCommand,
  CreateCacheParameterGroupCommand,
  CreateSnapshotCommand,
  DeleteCacheClusterCommand,
  DeleteReplicationGroupCommand,
  DeleteSnapshotCommand,
  DescribeSnapshotsCommand,
  type DescribeSnapshotsCommandInput,
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
import { execEngineCommand } from '../testing/service-user.ts';
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

const take = (input: { ReplicationGroupId?: string; CacheClusterId?: string; SnapshotName: string }) =>
  larder.client.send(new CreateSnapshotCommand(input));

async function snapshots(input: DescribeSnapshotsCommandInput = {}): Promise<Snapshot[]> {
  return (await larder.client.send(new DescribeSnapshotsCommand(input))).Snapshots!;
}

function reached(name: string, status: string): Promise<Snapshot> {
  return waitFor(
    async () => (await snapshots({ SnapshotName: name, ShowNodeGroupConfig: true }))[0]!,
    ({ SnapshotStatus }) => SnapshotStatus === status,
    { what: `snapshot ${name} to be ${status}` },
  );
}

function gone(name: string): Promise<unknown> {
  return waitFor(
    () => errorName(snapshots({ SnapshotName: name })),
    (error) => error === 'SnapshotNotFoundFault',
    { what: `snapshot ${name} to be gone` },
  );
}

const filesOf = (name: string) => {
  const folder = join(larder.dataDirectory, 'snapshots', name);
  return existsSync(folder) ? readdirSync(folder).sort() : [];
};

/** No data file lies in any node's folder, and no half one anywhere. */
async function expectTidy(): Promise<void> {
  const root = larder.dataDirectory;
  const leftovers = () =>
    [...readdirSync(join(root, 'nodes')).map((name) => `nodes/${name}`)]
      .concat(readdirSync(join(root, 'snapshots')).map((name) => `snapshots/${name}`))
      .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
      .filter((path) => /^nodes.*rdb|partial$|received$|removed-/.test(path));
  await waitFor(leftovers, (names) => names.length === 0, { what: 'no half-written file' });
}

const secret = 'a known value that nobody is to read';
const hourMs = 3_600_000;

async function fill(client: Redis | Cluster, count = 200): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    if (index % 2 === 0) await client.set(`key:${index}`, `${secret} ${index}`);
    else await client.set(`key:${index}`, `${secret} ${index}`, 'PX', hourMs);
  }
  await client.hset('hash', { a: '1', b: '2' });
  await client.zadd('board', 1.5, 'ann', 2, 'bob');
}

/** Every key with its value, and its life time to within what the test itself took. */
async function expectFilled(client: Redis | Cluster, count = 200): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    expect(await client.get(`key:${index}`)).toBe(`${secret} ${index}`);
    const leftMs = await client.pttl(`key:${index}`);
    if (index % 2 === 0) expect(leftMs).toBe(-1);
    else expect(Math.abs(leftMs - hourMs / 2)).toBeLessThanOrEqual(hourMs / 2);
  }
  expect(await client.hgetall('hash')).toEqual({ a: '1', b: '2' });
  expect(await client.zrange('board', '0', '-1', 'WITHSCORES')).toEqual(['ann', '1.5', 'bob', '2']);
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
    const kept = await reached(name, 'available');
    expect(kept).toMatchObject({ Engine: engine, EngineVersion: version, NumNodeGroups: 1, Port: 6400 });
    expect(kept.NodeSnapshots).toEqual([
      expect.objectContaining({ CacheClusterId: `${id}-002`, NodeGroupId: '0001', CacheSize: '1 MB' }),
    ]);
    const sealed = engine === 'valkey';
    await effect('CreateSnapshot', 'the data file on disk', () => {
      expect(filesOf(name)).toEqual([sealed ? '0001.rdb.sealed' : '0001.rdb']);
      const path = join(larder.dataDirectory, 'snapshots', name, filesOf(name)[0]!);
      expect(readFileSync(path).includes('nobody is to read')).toBe(!sealed);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    });
    await groupAvailable(larder, id);
    await expectTidy();
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
    await expectTidy();
    await reached(name, 'available');
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
    expect(await errorName(take({ CacheClusterId: `${id}-0001-001`, SnapshotName: 'none' }))).toBe(
      'InvalidParameterCombinationException',
    );
    await take({ ReplicationGroupId: id, SnapshotName: `kept-${id}` });
    const kept = await reached(`kept-${id}`, 'available');
    expect(kept.NodeSnapshots?.map(({ NodeGroupConfiguration: shard }) => shard?.Slots)).toEqual([
      '0-8191',
      '8192-16383',
    ]);
    await groupAvailable(larder, id);
    expect(await errorName(createGroup(larder, 'no', { SnapshotName: `kept-${id}`, NumNodeGroups: 3 }))).toBe(
      'InvalidParameterCombinationException',
    );
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
    await expectTidy();
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
    await take({ CacheClusterId: 'solo', SnapshotName: 'of-solo' });
    expect(await reached('of-solo', 'available')).toMatchObject({ CacheClusterId: 'solo', NumCacheNodes: 1 });
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
    await reached('copied', 'available');
    await effect('DeleteSnapshot', 'its files gone from disk', async () => {
      await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'kept-valkey' }));
      await gone('kept-valkey');
      expect(filesOf('kept-valkey')).toEqual([]);
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
      expect(names(await snapshots())).toEqual(readdirSync(join(larder.dataDirectory, 'snapshots')).sort());
    });
    expect(names(await snapshots({ CacheClusterId: 'solo' }))).toEqual(['last-of-solo', 'of-solo']);
    expect(names(await snapshots({ ReplicationGroupId: 'shop-redis' }))).toEqual(['kept-redis']);
    expect(await snapshots({ SnapshotSource: 'system' })).toEqual([]);
    expect(names(await snapshots({ SnapshotSource: 'user', SnapshotName: 'copied' }))).toEqual(['copied']);
    expect(await errorName(snapshots({ MaxRecords: 51 }))).toBe('InvalidParameterValueException');
    expect(await errorName(snapshots({ SnapshotSource: 'mine' }))).toBe('InvalidParameterValueException');
    expect(await errorName(snapshots({ CacheClusterId: 'nobody' }))).toBe('CacheClusterNotFoundFault');
  });

  test('refused', async () => {
    const copyAs = (name: string, input: { SourceSnapshotName: string; TargetBucket?: string }) =>
      errorName(larder.client.send(new CopySnapshotCommand({ ...input, TargetSnapshotName: name })));
    const refused: [string, Promise<string>][] = [
      [
        'SnapshotAlreadyExistsFault',
        errorName(take({ ReplicationGroupId: 'shop-redis', SnapshotName: 'copied' })),
      ],
      ['ReplicationGroupNotFoundFault', errorName(take({ ReplicationGroupId: 'nobody', SnapshotName: 'x' }))],
      ['CacheClusterNotFoundFault', errorName(take({ CacheClusterId: 'nobody', SnapshotName: 'x' }))],
      ['InvalidParameterCombinationException', errorName(take({ SnapshotName: 'x' }))],
      ['InvalidParameterValueException', errorName(take({ CacheClusterId: 'solo', SnapshotName: '1x' }))],
      [
        'SnapshotNotFoundFault',
        errorName(larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'nothing' }))),
      ],
      ['SnapshotNotFoundFault', copyAs('x', { SourceSnapshotName: 'nothing' })],
      [
        'InvalidParameterCombinationException',
        copyAs('x', { SourceSnapshotName: 'copied', TargetBucket: 'b' }),
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
    expect(await errorName(take({ CacheClusterId: 'memo', SnapshotName: 'x' }))).toBe(
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
  await take({ ReplicationGroupId: 'shop-redis', SnapshotName: 'big' });
  await reached('big', 'available');
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
  await gone('big');
});

/** Makes a save take its time: some milliseconds for each key. */
async function slowSaves(folder: string, delayUs: number): Promise<void> {
  await execEngineCommand(larder.dataDirectory, folder, [
    'CONFIG',
    'SET',
    'rdb-key-save-delay',
    String(delayUs),
  ]);
}

describe('while something dies', () => {
  const folders = ['shop-valkey-001.0001', 'shop-valkey-002.0001'];
  const saving = (name: string) =>
    waitFor(
      () => larder.log.includes(`"snapshot":"${name}","step":"save-shard"`),
      (seen) => seen,
      { what: `${name} to be saved` },
    );
  const dataBeingWritten = () =>
    waitFor(
      () =>
        folders.flatMap((folder) =>
          readdirSync(join(larder.dataDirectory, 'nodes', folder))
            .filter((name) => /^temp-.*rdb$/.test(name))
            .map(() => folder),
        ),
      (found) => found.length > 0,
      { what: 'an engine to be saving', everyMs: 2 },
    );

  test('the service, killed as an engine saves: it is taken after that', async () => {
    await groupAvailable(larder, 'shop-valkey');
    for (const folder of folders) await slowSaves(folder, 3_000);
    await take({ ReplicationGroupId: 'shop-valkey', SnapshotName: 'through-kill' });
    expect(await errorName(take({ ReplicationGroupId: 'shop-valkey', SnapshotName: 'second' }))).toBe(
      'InvalidReplicationGroupStateFault',
    );
    expect((await describeGroup(larder, 'shop-valkey')).Status).toBe('snapshotting');
    await dataBeingWritten();
    await larder.restart();
    expect((await describeGroup(larder, 'shop-valkey')).Status).toBe('snapshotting');
    for (const folder of folders) await slowSaves(folder, 0);
    await reached('through-kill', 'available');
    await groupAvailable(larder, 'shop-valkey');
    await expectTidy();
  });

  test('the service ends in an orderly way: it does not wait for an engine that saves', async () => {
    await slowSaves('shop-redis-002.0001', 30_000_000);
    await take({ ReplicationGroupId: 'shop-redis', SnapshotName: 'interrupted' });
    await saving('interrupted');
    expect(await larder.terminate()).toBe(0);
    const saver = larder.processes().find(({ nodeId }) => nodeId === 'shop-redis-002.0001')!;
    endProcess(saver.pid);
    await larder.start();
    await reached('interrupted', 'available');
    await groupAvailable(larder, 'shop-redis');
    await expectTidy();
    await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'interrupted' }));
    await gone('interrupted');
  });

  test('the node that saves: another does it', async () => {
    for (const folder of folders) await slowSaves(folder, 3_000);
    await take({ ReplicationGroupId: 'shop-valkey', SnapshotName: 'by-another' });
    await saving('by-another');
    const [folder] = await dataBeingWritten();
    endProcess(larder.processes().find(({ nodeId }) => nodeId === folder)!.pid);
    for (const each of folders) if (each !== folder) await slowSaves(each, 0);
    const kept = await reached('by-another', 'available');
    expect(kept.NodeSnapshots![0]!.CacheClusterId).toBeDefined();
    await groupAvailable(larder, 'shop-valkey');
    await createGroup(larder, 'whole', { SnapshotName: 'by-another' });
    await groupAvailable(larder, 'whole');
    await expectFilled(await primaryClient('whole'));
    await deleteGroup(larder, 'whole');
    await expectTidy();
  });

  test('the service, killed near each step of a restore', async () => {
    await createGroup(larder, 'restored', { SnapshotName: 'by-another', NumCacheClusters: 2 });
    for (let kills = 0; kills < 3; kills += 1) {
      const seen = larder.log.length;
      await waitFor(
        async () =>
          larder.log.slice(seen).includes('"group":"restored"') ||
          (await describeGroup(larder, 'restored')).Status === 'available',
        (over) => over,
        { what: 'a step of the restore', everyMs: 1 },
      );
      await larder.restart();
    }
    await groupAvailable(larder, 'restored');
    await expectFilled(await primaryClient('restored'));
    await expectTidy();
    await deleteGroup(larder, 'restored');
  });

  test('a deletion comes: it wins, and the snapshot fails', async () => {
    await createGroup(larder, 'brief', { SnapshotName: 'by-another' });
    await groupAvailable(larder, 'brief');
    await slowSaves('brief-001.0001', 20_000);
    await take({ ReplicationGroupId: 'brief', SnapshotName: 'cut-short' });
    await saving('cut-short');
    await deleteGroup(larder, 'brief');
    expect((await describeGroup(larder, 'brief')).Status).toBe('deleting');
    await groupGone(larder, 'brief');
    await reached('cut-short', 'failed');
    expect(filesOf('cut-short')).toEqual([]);
    await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'cut-short' }));
    await gone('cut-short');
  });
});

describe('final snapshots of groups', () => {
  test('taken while the group reads deleting, through a kill of the service', async () => {
    await createGroup(larder, 'ending', { SnapshotName: 'by-another', NumCacheClusters: 2 });
    await groupAvailable(larder, 'ending');
    const client = await primaryClient('ending');
    await client.set('last', '1');
    await slowSaves('ending-001.0001', 2_000);
    await larder.client.send(
      new DeleteReplicationGroupCommand({
        ReplicationGroupId: 'ending',
        FinalSnapshotIdentifier: 'final-ending',
      }),
    );
    await waitFor(
      () => larder.log.includes('"snapshot":"final-ending","step":"save-shard"'),
      (seen) => seen,
      { what: 'the final snapshot to be taken' },
    );
    await larder.restart();
    const statuses = new Set<string>();
    await waitFor(
      () => errorName(describeGroup(larder, 'ending').then(({ Status }) => statuses.add(Status!))),
      (error) => error === 'ReplicationGroupNotFoundFault',
      { what: 'the group to be gone', everyMs: 2 },
    );
    expect([...statuses]).toEqual(['deleting']);
    expect(await reached('final-ending', 'available')).toMatchObject({ ReplicationGroupId: 'ending' });
    await effect('DeleteReplicationGroup', 'the final snapshot restored', async () => {
      await createGroup(larder, 'ending-b', { SnapshotName: 'final-ending' });
      await groupAvailable(larder, 'ending-b');
      expect(await (await primaryClient('ending-b')).get('last')).toBe('1');
    });
  });

  test('one that can not be taken holds the deletion up, until it is asked for without', async () => {
    await waitFor(
      () => larder.processes().filter(({ nodeId }) => nodeId.startsWith('ending-b-')).length,
      (count) => count === 1,
      { what: 'the node' },
    );
    await slowSaves('ending-b-001.0001', 10_000_000);
    const deletion = { ReplicationGroupId: 'ending-b', FinalSnapshotIdentifier: 'never' };
    await larder.client.send(new DeleteReplicationGroupCommand(deletion));
    await waitFor(
      () => larder.log.includes('"snapshot":"never","step":"save-shard"'),
      (seen) => seen,
      { what: 'the save to begin' },
    );
    for (const { pid, nodeId } of larder.processes()) if (nodeId.startsWith('ending-b-')) endProcess(pid);
    const events = await waitFor(
      () => eventsOf(larder, 'ending-b'),
      (all) => all.some((message) => message.includes('no node of node group 0001')),
      { what: 'an event that says why' },
    );
    expect(events.join()).toContain("The deletion waits for the final snapshot 'never'");
    expect((await describeGroup(larder, 'ending-b')).Status).toBe('deleting');
    expect(await errorName(larder.client.send(new DeleteReplicationGroupCommand(deletion)))).toBe(
      'InvalidReplicationGroupStateFault',
    );
    await deleteGroup(larder, 'ending-b');
    await groupGone(larder, 'ending-b');
    await reached('never', 'failed');
    await expectTidy();
  });
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
    () => snapshots({ SnapshotSource: 'system', CacheClusterId: 'shop-redis-002' }),
    (all) => all[0]?.SnapshotStatus === 'available',
    { what: 'the automatic snapshot' },
  );
  expect(automatic).toMatchObject({
    SnapshotName: expect.stringMatching(/^automatic\.shop-redis-002-\d{4}-\d\d-\d\d-\d\d-\d\d$/),
    SnapshotSource: 'automated',
    CacheClusterId: 'shop-redis-002',
    SnapshotRetentionLimit: 2,
  });
  expect(filesOf(automatic!.SnapshotName!)).toEqual(['0001.rdb']);
  // A service that is restarted in the same window takes no second one.
  await larder.restart();
  await groupAvailable(larder, 'shop-redis');
  expect((await snapshots({ SnapshotSource: 'system' })).length).toBe(1);
  await deleteGroup(larder, 'shop-redis');
  await groupGone(larder, 'shop-redis');
  await gone(automatic!.SnapshotName!);
  expect(filesOf(automatic!.SnapshotName!)).toEqual([]);
  expect((await snapshots({ ReplicationGroupId: 'shop-redis' })).map((each) => each.SnapshotName)).toEqual([
    'kept-redis',
  ]);
});
