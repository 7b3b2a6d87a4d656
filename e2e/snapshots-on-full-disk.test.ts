/** The promise: on a full disk nothing is saved or fetched by halves; it fails with a reason, and works when there is room. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CopySnapshotCommand, DeleteSnapshotCommand } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGroup, describeGroup, eventsOf, groupAvailable } from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { startS3, type TestS3 } from '../testing/s3-server.ts';
import { expectTidy, filesOf, gone, reached, take } from '../testing/snapshots.ts';
import { waitFor } from '../testing/wait-for.ts';

const asRoot = process.getuid?.() === 0;
if (!asRoot)
  console.warn('SKIPPED: snapshots on a full disk are tested as root only, on a disk of their own.');

const clients = redisClients();
const mib = 2 ** 20;
let disk: string;
let elsewhere: string;
let s3: TestS3;
let larder: TestLarder;

/** Leaves room for the service's own notes, and for no data file. */
async function fillDisk(): Promise<() => void> {
  const file = join(disk, 'filler');
  const { bavail, bsize } = await statfs(disk);
  writeFileSync(file, Buffer.alloc(bavail * bsize - 4 * mib));
  return () => rmSync(file);
}

const tried = (id: string, text: string) =>
  waitFor(
    () => eventsOf(larder, id),
    (all) => all.some((message) => message.includes(text)),
    { what: `an event: ${text}` },
  );

beforeAll(async () => {
  if (!asRoot) return;
  disk = mkdtempSync(join(tmpdir(), 'larder-small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', disk]);
  elsewhere = await mkdtemp(join(tmpdir(), 'larder-small-'));
  s3 = await startS3();
  await s3.makeBucket('backups');
  const credentials = join(elsewhere, 'credentials');
  writeFileSync(credentials, 'aws_access_key_id = a\naws_secret_access_key = b\n');
  larder = await startLarder({
    parentFolder: disk,
    flags: ['--s3-endpoint', s3.access.endpoint!, '--s3-path-style', '--s3-credentials-file', credentials],
  });
  await createGroup(larder, 'shop');
  await groupAvailable(larder, 'shop');
  const client = clients.to((await describeGroup(larder, 'shop')).NodeGroups![0]!.PrimaryEndpoint!);
  for (let index = 0; index < 10; index += 1) await client.set(`key:${index}`, randomBytes(mib));
});

afterAll(async () => {
  if (!asRoot) return;
  clients.close();
  await larder?.remove();
  await s3?.close();
  execFileSync('umount', ['-l', disk]);
  await rm(disk, { recursive: true, force: true });
  await rm(elsewhere, { recursive: true, force: true });
});

test.skipIf(!asRoot)('a save fails with a reason and leaves nothing; the next one succeeds', async () => {
  const makeRoom = await fillDisk();
  await take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'no-room' });
  await reached(larder, 'no-room', 'failed');
  await tried('shop', "Snapshot failed for snapshot with ID 'no-room'");
  expect(filesOf(larder, 'no-room')).toEqual([]);
  await groupAvailable(larder, 'shop');
  await expectTidy(larder);
  makeRoom();
  await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'no-room' }));
  await gone(larder, 'no-room');
  await take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'kept' });
  await reached(larder, 'kept', 'available');
});

test.skipIf(!asRoot)('a download fails with a reason and leaves nothing; the next one succeeds', async () => {
  await larder.client.send(
    new CopySnapshotCommand({
      SourceSnapshotName: 'kept',
      TargetSnapshotName: 'out',
      TargetBucket: 'backups',
    }),
  );
  await tried('shop', 'Export succeeded');
  const makeRoom = await fillDisk();
  const SnapshotArns = ['arn:aws:s3:::backups/out-0001.rdb'];
  await createGroup(larder, 'seeded', { SnapshotArns });
  await waitFor(
    async () => (await describeGroup(larder, 'seeded')).Status,
    (status) => status === 'create-failed',
    { what: 'the group to have failed', limitMs: 50_000 },
  );
  await tried('seeded', 'the disk is full');
  await expectTidy(larder);
  makeRoom();
  await createGroup(larder, 'again', { SnapshotArns });
  await groupAvailable(larder, 'again');
  const client = clients.to((await describeGroup(larder, 'again')).NodeGroups![0]!.PrimaryEndpoint!);
  expect(await client.dbsize()).toBe(10);
  expect(existsSync(join(larder.dataDirectory, 'snapshots', 'kept'))).toBe(true);
});
