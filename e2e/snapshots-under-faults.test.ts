/** The promise: a snapshot is taken whoever dies meanwhile, or fails and says so; and nothing half-written is left. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteReplicationGroupCommand, DeleteSnapshotCommand } from '@aws-sdk/client-elasticache';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  deleteGroup,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
  groupGone,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { execEngineCommand } from '../testing/service-user.ts';
import { expectFilled, expectTidy, filesOf, fill, gone, reached, take } from '../testing/snapshots.ts';
import { waitFor } from '../testing/wait-for.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
  await createGroup(larder, 'shop', { NumCacheClusters: 2 });
  await groupAvailable(larder, 'shop');
  const client = await primaryClient('shop');
  await fill(client);
  expect(await client.wait(1, 5_000)).toBe(1);
});

beforeEach(() => {
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-4_000)}`));
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

async function primaryClient(id: string): Promise<Redis> {
  return clients.to((await describeGroup(larder, id)).NodeGroups![0]!.PrimaryEndpoint!);
}

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
  const folders = ['shop-001.0001', 'shop-002.0001'];
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
    await groupAvailable(larder, 'shop');
    for (const folder of folders) await slowSaves(folder, 3_000);
    await take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'through-kill' });
    expect(await errorName(take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'second' }))).toBe(
      'InvalidReplicationGroupStateFault',
    );
    expect((await describeGroup(larder, 'shop')).Status).toBe('snapshotting');
    await dataBeingWritten();
    await larder.restart();
    expect((await describeGroup(larder, 'shop')).Status).toBe('snapshotting');
    for (const folder of folders) await slowSaves(folder, 0);
    await reached(larder, 'through-kill', 'available');
    await groupAvailable(larder, 'shop');
    await expectTidy(larder);
  });

  test('the service ends in an orderly way: it does not wait for an engine that saves', async () => {
    await slowSaves('shop-002.0001', 30_000_000);
    await take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'interrupted' });
    await saving('interrupted');
    expect(await larder.terminate()).toBe(0);
    const saver = larder.processes().find(({ nodeId }) => nodeId === 'shop-002.0001')!;
    endProcess(saver.pid);
    await larder.start();
    await reached(larder, 'interrupted', 'available');
    await groupAvailable(larder, 'shop');
    await expectTidy(larder);
    await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'interrupted' }));
    await gone(larder, 'interrupted');
  });

  test('the node that saves: another does it', async () => {
    for (const folder of folders) await slowSaves(folder, 3_000);
    await take(larder, { ReplicationGroupId: 'shop', SnapshotName: 'by-another' });
    await saving('by-another');
    const [folder] = await dataBeingWritten();
    endProcess(larder.processes().find(({ nodeId }) => nodeId === folder)!.pid);
    for (const each of folders) if (each !== folder) await slowSaves(each, 0);
    const kept = await reached(larder, 'by-another', 'available');
    expect(kept.NodeSnapshots![0]!.CacheClusterId).toBeDefined();
    await groupAvailable(larder, 'shop');
    await createGroup(larder, 'whole', { SnapshotName: 'by-another' });
    await groupAvailable(larder, 'whole');
    await expectFilled(await primaryClient('whole'));
    await deleteGroup(larder, 'whole');
    await expectTidy(larder);
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
    await expectTidy(larder);
    await deleteGroup(larder, 'restored');
  });

  test('a deletion comes: it wins, and the snapshot fails', async () => {
    await createGroup(larder, 'brief', { SnapshotName: 'by-another' });
    await groupAvailable(larder, 'brief');
    await slowSaves('brief-001.0001', 20_000);
    await take(larder, { ReplicationGroupId: 'brief', SnapshotName: 'cut-short' });
    await saving('cut-short');
    await deleteGroup(larder, 'brief');
    expect((await describeGroup(larder, 'brief')).Status).toBe('deleting');
    await groupGone(larder, 'brief');
    await reached(larder, 'cut-short', 'failed');
    expect(filesOf(larder, 'cut-short')).toEqual([]);
    await larder.client.send(new DeleteSnapshotCommand({ SnapshotName: 'cut-short' }));
    await gone(larder, 'cut-short');
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
    expect(await reached(larder, 'final-ending', 'available')).toMatchObject({
      ReplicationGroupId: 'ending',
    });
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
    await reached(larder, 'never', 'failed');
    await expectTidy(larder);
  });
});
