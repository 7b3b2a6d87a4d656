/** Snapshots for tests: asked of the service, and looked at on its disk. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateSnapshotCommand,
  DescribeSnapshotsCommand,
  type DescribeSnapshotsCommandInput,
  type Snapshot,
} from '@aws-sdk/client-elasticache';
import type { Cluster, Redis } from 'ioredis';
import { expect } from 'vitest';
import { errorName } from './elasticache-requests.ts';
import type { TestLarder } from './larder.ts';
import { waitFor } from './wait-for.ts';

export const take = (
  larder: TestLarder,
  input: { ReplicationGroupId?: string; CacheClusterId?: string; SnapshotName: string },
) => larder.client.send(new CreateSnapshotCommand(input));

export async function snapshots(
  larder: TestLarder,
  input: DescribeSnapshotsCommandInput = {},
): Promise<Snapshot[]> {
  return (await larder.client.send(new DescribeSnapshotsCommand(input))).Snapshots!;
}

export function reached(larder: TestLarder, name: string, status: string): Promise<Snapshot> {
  return waitFor(
    async () => (await snapshots(larder, { SnapshotName: name, ShowNodeGroupConfig: true }))[0]!,
    ({ SnapshotStatus }) => SnapshotStatus === status,
    { what: `snapshot ${name} to be ${status}` },
  );
}

export function gone(larder: TestLarder, name: string): Promise<unknown> {
  return waitFor(
    () => errorName(snapshots(larder, { SnapshotName: name })),
    (error) => error === 'SnapshotNotFoundFault',
    { what: `snapshot ${name} to be gone` },
  );
}

export const filesOf = (larder: TestLarder, name: string) => {
  const folder = join(larder.dataDirectory, 'snapshots', name);
  return existsSync(folder) ? readdirSync(folder).sort() : [];
};

/** No data file lies in any node's folder, and no half one anywhere. */
export async function expectTidy(larder: TestLarder): Promise<void> {
  const root = larder.dataDirectory;
  const leftovers = () =>
    [...readdirSync(join(root, 'nodes')).map((name) => `nodes/${name}`)]
      .concat(readdirSync(join(root, 'snapshots')).map((name) => `snapshots/${name}`))
      .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
      .filter((path) => /^nodes.*rdb|partial$|received$|removed-/.test(path));
  await waitFor(leftovers, (names) => names.length === 0, { what: 'no half-written file' });
}

/** In every value that `fill` writes. */
export const secret = 'a known value that nobody is to read';
export const hourMs = 3_600_000;

export async function fill(client: Redis | Cluster, count = 200): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    if (index % 2 === 0) await client.set(`key:${index}`, `${secret} ${index}`);
    else await client.set(`key:${index}`, `${secret} ${index}`, 'PX', hourMs);
  }
  await client.hset('hash', { a: '1', b: '2' });
  await client.zadd('board', 1.5, 'ann', 2, 'bob');
}

/** Every key with its value, and its life time to within what the test itself took. */
export async function expectFilled(client: Redis | Cluster, count = 200): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    expect(await client.get(`key:${index}`)).toBe(`${secret} ${index}`);
    const leftMs = await client.pttl(`key:${index}`);
    if (index % 2 === 0) expect(leftMs).toBe(-1);
    else expect(Math.abs(leftMs - hourMs / 2)).toBeLessThanOrEqual(hourMs / 2);
  }
  expect(await client.hgetall('hash')).toEqual({ a: '1', b: '2' });
  expect(await client.zrange('board', '0', '-1', 'WITHSCORES')).toEqual(['ann', '1.5', 'bob', '2']);
}
