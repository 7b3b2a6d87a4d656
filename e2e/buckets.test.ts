/**
 * The promise: snapshots go to a bucket and come from one whole, or not at all and with a reason; and what is kept is
 * loaded now and then to see that it can be.
 */
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CopySnapshotCommand,
  CreateCacheClusterCommand,
  DeleteSnapshotCommand,
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
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { startS3, type TestS3 } from '../testing/s3-server.ts';
import { expectFilled, expectTidy, fill, gone, reached, snapshots, take } from '../testing/snapshots.ts';
import { waitFor } from '../testing/wait-for.ts';

const clients = redisClients();
const sharded = {
  CacheParameterGroupName: 'default.valkey9.cluster.on',
  NumNodeGroups: 2,
  ReplicasPerNodeGroup: 0,
};
let s3: TestS3;
let larder: TestLarder;
let folder: string;

beforeAll(async () => {
  s3 = await startS3();
  await s3.makeBucket('backups');
  folder = await mkdtemp(join(tmpdir(), 'larder-buckets-'));
  const credentialsFile = join(folder, 'credentials');
  const { accessKeyId, secretAccessKey } = s3.access.credentials;
  await writeFile(
    credentialsFile,
    `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
  );
  larder = await startLarder({
    logLevel: 'info',
    flags: [
      '--s3-endpoint',
      s3.access.endpoint!,
      '--s3-path-style',
      '--s3-credentials-file',
      credentialsFile,
    ],
  });
  await createGroup(larder, 'shop', { NumCacheClusters: 2 });
  await createGroup(larder, 'wide', sharded);
  await groupAvailable(larder, 'shop');
  await groupAvailable(larder, 'wide');
  await fill(await primaryOf('shop'));
  const wide = await clusterOf('wide');
  await fill(wide);
  wide.disconnect();
  for (const id of ['shop', 'wide']) {
    await take(larder, { ReplicationGroupId: id, SnapshotName: `${id}-kept` });
    await reached(larder, `${id}-kept`, 'available');
    await groupAvailable(larder, id);
  }
});

beforeEach(() => {
  s3.fault = () => undefined;
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-4_000)}`));
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
  await s3?.close();
  await rm(folder, { recursive: true, force: true });
});

async function primaryOf(id: string): Promise<Redis> {
  return clients.to((await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!);
}

async function clusterOf(id: string): Promise<Cluster> {
  const { Address, Port } = (await describeGroup(larder, id)).ConfigurationEndpoint!;
  const client = new Cluster([{ host: Address!, port: Port! }]);
  client.on('error', () => {});
  return client;
}

const exportAs = (source: string, name: string, bucket = 'backups') =>
  larder.client.send(
    new CopySnapshotCommand({ SourceSnapshotName: source, TargetSnapshotName: name, TargetBucket: bucket }),
  );

const told = (id: string, text: string) =>
  waitFor(
    () => eventsOf(larder, id),
    (all) => all.some((message) => message.includes(text)),
    { what: `an event: ${text}` },
  );

const arn = (key: string) => `arn:aws:s3:::backups/${key}`;

async function failed(id: string, because: string): Promise<void> {
  await waitFor(
    async () => (await describeGroup(larder, id)).Status,
    (status) => status === 'create-failed',
    { what: `${id} to have failed` },
  );
  await told(id, because);
  await nothingLeft();
  await deleteGroup(larder, id);
  await groupGone(larder, id);
}

/** No seed's files, no half file. */
async function nothingLeft(): Promise<void> {
  await waitFor(
    () => readdirSync(join(larder.dataDirectory, 'snapshots')).filter((name) => !name.endsWith('-kept')),
    (names) => names.length === 0,
    { what: 'no files of seeds' },
  );
  await expectTidy(larder);
}

describe('exports', () => {
  test('a snapshot that is kept encrypted goes in plain, and is no snapshot of the service', async () => {
    const { Snapshot: begun } = await exportAs('shop-kept', 'out');
    expect(begun).toMatchObject({ SnapshotName: 'out', SnapshotStatus: 'copying' });
    await told('shop', "Export succeeded for snapshot with ID 'shop-kept'");
    await reached(larder, 'shop-kept', 'available');
    await effect('CopySnapshot', 'the object in the bucket', async () => {
      const data = await s3.read('backups', 'out-0001.rdb');
      expect(data.subarray(0, 6).toString()).toMatch(/^(VALKEY|REDIS0)/);
    });
    expect((await snapshots(larder)).map(({ SnapshotName }) => SnapshotName)).toEqual([
      'shop-kept',
      'wide-kept',
    ]);
  });

  test('with cluster mode there is an object for each shard, through a kill of the service', async () => {
    s3.fault = (asked) =>
      asked.startsWith('PUT') ? { kind: 'answer', status: 503, code: 'SlowDown' } : undefined;
    const seen = s3.asked.length;
    await exportAs('wide-kept', 'wide-out');
    await waitFor(
      () => s3.asked.slice(seen),
      (asked) => asked.some((each) => each.startsWith('PUT')),
      { what: 'an upload' },
    );
    expect((await snapshots(larder, { SnapshotName: 'wide-kept' }))[0]!.SnapshotStatus).toBe('copying');
    expect(
      await errorName(larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'wide-kept' }))),
    ).toBe('InvalidSnapshotStateFault');
    await larder.kill();
    s3.fault = () => undefined;
    await larder.start();
    await told('wide', 'Export succeeded');
    expect(await s3.keys('backups')).toEqual(['out-0001.rdb', 'wide-out-0001.rdb', 'wide-out-0002.rdb']);
  });

  test('refused at once: no such bucket, a name that is taken, no right, a store that is away', async () => {
    expect(await errorName(exportAs('shop-kept', 'x', 'nowhere'))).toBe('InvalidParameterValueException');
    await expect(exportAs('shop-kept', 'out')).rejects.toThrow(/already has an object out-0001.rdb/);
    await expect(exportAs('shop-kept', 'x', 'Not_A_Bucket')).rejects.toThrow(/TargetBucket/);
    s3.fault = () => ({ kind: 'answer', status: 403, code: 'AccessDenied' });
    await expect(exportAs('shop-kept', 'x')).rejects.toThrow(/denied/);
    s3.fault = () => ({ kind: 'hang-up' });
    await expect(exportAs('shop-kept', 'x')).rejects.toThrow(/can't be reached/);
    await reached(larder, 'shop-kept', 'available');
  });

  test('a bucket that is gone half-way: it fails with a reason, and nothing half is left', async () => {
    s3.fault = (asked) =>
      /^PUT .*half-0002/.test(asked) ? { kind: 'answer', status: 404, code: 'NoSuchBucket' } : undefined;
    await exportAs('wide-kept', 'half');
    await told('wide', "to bucket backups as 'half': There is no bucket backups");
    await waitFor(
      () => s3.keys('backups'),
      (keys) => !keys.some((key) => key.startsWith('half')),
      { what: 'the first shard to be taken away' },
    );
    expect(s3.openUploads()).toEqual([]);
    await reached(larder, 'wide-kept', 'available');
  });
});

describe('seeds', () => {
  test('a group begins with a file', async () => {
    await createGroup(larder, 'seeded', { SnapshotArns: [arn('out-0001.rdb')], NumCacheClusters: 2 });
    await groupAvailable(larder, 'seeded');
    await effect('CreateReplicationGroup', 'the data of a file in a bucket', async () =>
      expectFilled(await primaryOf('seeded')),
    );
    await told('seeded', 'with the data of the files of SnapshotArns');
    await nothingLeft();
    await deleteGroup(larder, 'seeded');
  });

  test('a group with cluster mode, a file for each shard, through a kill of the service', async () => {
    s3.fault = (asked) => (asked.startsWith('GET') ? { kind: 'cut-answer', afterBytes: 100 } : undefined);
    const seen = s3.asked.length;
    await createGroup(larder, 'seeded-wide', {
      ...sharded,
      SnapshotArns: [arn('wide-out-0001.rdb'), arn('wide-out-0002.rdb')],
    });
    await waitFor(
      () => s3.asked.slice(seen),
      (asked) => asked.some((each) => each.startsWith('GET')),
      { what: 'a download' },
    );
    await larder.kill();
    s3.fault = () => undefined;
    await larder.start();
    await groupAvailable(larder, 'seeded-wide');
    const client = await clusterOf('seeded-wide');
    await expectFilled(client);
    client.disconnect();
    await nothingLeft();
    await deleteGroup(larder, 'seeded-wide');
  });

  test('a cache cluster of another engine line', async () => {
    const made = (id: string, key: string, version: string) =>
      larder.client.send(
        new CreateCacheClusterCommand({
          CacheClusterId: id,
          Engine: 'valkey',
          EngineVersion: version,
          CacheNodeType: 'cache.t4g.micro',
          SnapshotArns: [arn(key)],
        }),
      );
    await made('single', 'out-0001.rdb', '9.1');
    await waitFor(
      async () => (await describeCluster(larder, 'single')).CacheClusterStatus,
      (status) => status === 'available',
      { what: 'the cluster' },
    );
    const { Address, Port } = (await describeCluster(larder, 'single')).CacheNodes![0]!.Endpoint!;
    await expectFilled(clients.to({ Address, Port }));
    await s3.put('backups', 'bad.rdb', Buffer.from('REDIS0011 but not really'));
    await made('broken', 'bad.rdb', '9.1');
    await waitFor(
      async () => (await describeCluster(larder, 'broken')).CacheClusterStatus,
      (status) => status === 'restore-failed',
      { what: 'it to have failed' },
    );
    await told('broken', "can't read bad.rdb of bucket backups");
    await nothingLeft();
  });

  test('a newer format, a damaged file, foreign slots, other databases: the group fails and says why', async () => {
    await createGroup(larder, 'older', {
      Engine: 'redis',
      EngineVersion: '7.0',
      SnapshotArns: [arn('out-0001.rdb')],
    });
    await failed('older', 'damaged, or of a newer version');
    const whole = await s3.read('backups', 'out-0001.rdb');
    await s3.put('backups', 'cut.rdb', whole.subarray(0, whole.length - 20));
    await createGroup(larder, 'damaged', { SnapshotArns: [arn('cut.rdb')] });
    await failed('damaged', "can't read cut.rdb");
    await createGroup(larder, 'swapped', {
      ...sharded,
      SnapshotArns: [arn('wide-out-0002.rdb'), arn('wide-out-0001.rdb')],
    });
    await failed('swapped', 'which belongs to another shard');

    const shop = await primaryOf('shop');
    await shop.select(3);
    await shop.set('elsewhere', '1');
    await shop.select(0);
    await take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'many-kept' });
    await reached(larder, 'many-kept', 'available');
    await exportAs('many-kept', 'many');
    await told('shop', "to bucket backups as 'many'");
    await waitFor(
      () => s3.keys('backups'),
      (keys) => keys.includes('many-0001.rdb'),
      { what: 'the export' },
    );
    await createGroup(larder, 'other-db', {
      ...sharded,
      NumNodeGroups: 1,
      SnapshotArns: [arn('many-0001.rdb')],
    });
    await failed('other-db', 'keys in database 3');
  });

  test('a bucket that is gone half-way: the group fails and nothing is left', async () => {
    s3.fault = (asked) =>
      asked.startsWith('GET') ? { kind: 'answer', status: 404, code: 'NoSuchBucket' } : undefined;
    await createGroup(larder, 'bereft', { SnapshotArns: [arn('out-0001.rdb')] });
    await failed('bereft', 'There is no bucket backups');
  });

  test('refused at once', async () => {
    const asked = (input: Parameters<typeof createGroup>[2]) => errorName(createGroup(larder, 'x', input!));
    const value = 'InvalidParameterValueException';
    expect(await asked({ SnapshotArns: [`${arn('a.rdb')},${arn('b.rdb')}`] })).toBe(value);
    expect(await asked({ SnapshotArns: ['backups/out-0001.rdb'] })).toBe(value);
    expect(await asked({ SnapshotArns: [arn('missing.rdb')] })).toBe(value);
    expect(await asked({ ...sharded, SnapshotArns: [arn('out-0001.rdb')] })).toBe(
      'InvalidParameterCombinationException',
    );
    expect(await asked({ SnapshotArns: [arn('out-0001.rdb')], SnapshotName: 'shop-kept' })).toBe(
      'InvalidParameterCombinationException',
    );
  });
});

describe('restore drills', () => {
  const drill = (...more: string[]) =>
    larderCommand(['snapshots', 'drill', '--json', '--data-dir', larder.dataDirectory, ...more]);

  test("every source's last snapshot is loaded, its keys are counted, and nothing is left running", async () => {
    const before = larder.processes().length;
    const { code, stdout } = await drill();
    expect(code).toBe(0);
    const results = JSON.parse(stdout) as readonly Record<string, unknown>[];
    expect(results).toHaveLength(2);
    for (const each of results) {
      expect(each).toMatchObject({ outcome: 'passed' });
      expect(each.keysFound).toBe(each.keysRecorded);
      expect(each.keysFound).toBeGreaterThanOrEqual(202);
    }
    await told('shop', 'Restore drill passed');
    expect(larder.processes()).toHaveLength(before);
    const left = join(larder.dataDirectory, 'rehearsals');
    expect(existsSync(left) ? readdirSync(left) : []).toEqual([]);
  });

  test('a file that was damaged on disk is found', async () => {
    const kept = join(larder.dataDirectory, 'snapshots', 'wide-kept');
    const [file] = readdirSync(kept).sort();
    truncateSync(join(kept, file!), 100);
    const { code, stdout } = await drill('wide');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({ outcome: 'failed', snapshot: 'wide-kept', origin: expect.anything() }),
    ]);
    await told('wide', 'Restore drill failed');
    await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'wide-kept' }));
    await gone(larder, 'wide-kept');
  });
});
