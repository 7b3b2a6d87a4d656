import { afterEach, beforeEach, expect, test } from 'vitest';
import { observe, replicatedGroup } from '../replication-group/group.test-support.ts';
import type { ReplicationGroup } from '../replication-group/replication-group.ts';
import { insertReplicationGroup, readReplicationGroup } from '../replication-group/store.ts';
import { type TestControl, testControl } from '../user/control.test-support.ts';
import { beginAutomaticSnapshot } from './automatic.ts';
import { sourceOfGroup } from './origin.ts';
import { type ReconcileDeps, reconcileSnapshot } from './reconcile.ts';
import { saved } from './snapshot.test-support.ts';
import { readSnapshot, readSnapshots } from './store.ts';

const dayMs = 24 * 3_600_000;
let control: TestControl;
let nowMs: number;
let removed: string[];
let deps: ReconcileDeps;

beforeEach(async () => {
  control = testControl();
  nowMs = Date.UTC(2030, 0, 1, 3, 30);
  removed = [];
  const host: ReconcileDeps['host'] = {
    observe: async () => observe(replicatedGroup()),
    saveSnapshot: async () => saved,
    copySnapshot: async () => undefined,
    removeSnapshot: async (name) => void removed.push(name),
    importSnapshot: async () => saved,
  };
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  deps = {
    database: control.database,
    host,
    buckets: undefined,
    nowMs: () => nowMs,
    wake: () => undefined,
    logger: quiet,
    stopping: new AbortController().signal,
  };
  await insert(replicatedGroup());
});

afterEach(() => control.close());

function insert(group: ReplicationGroup): Promise<void> {
  return control.database.transaction().execute((transaction) => insertReplicationGroup(transaction, group));
}

const statusOfGroup = async (id = 'shop') => (await readReplicationGroup(control.database, id))?.status;
const take = (name: string) =>
  control.call('CreateSnapshot', { ReplicationGroupId: 'shop', SnapshotName: name });

/** Passes until nothing is left to do. @returns its status then; undefined when it is gone. */
async function through(name: string): Promise<string | undefined> {
  let outcome: string;
  do outcome = await reconcileSnapshot(deps, name);
  while (outcome === 'again');
  return (await readSnapshot(control.database, name))?.status;
}

test('its source reads snapshotting until it is taken, and takes no second one', async () => {
  await take('kept');
  expect(await statusOfGroup()).toBe('snapshotting');
  expect(control.woken).toEqual(['snapshot:kept', 'replication-group:shop']);
  await expect(take('second')).rejects.toThrow('snapshotting');
  expect(await through('kept')).toBe('available');
  expect(await statusOfGroup()).toBe('available');
  await expect(take('kept')).rejects.toThrow('already exists');
});

test('twenty a day', async () => {
  for (let count = 0; count < 20; count += 1) {
    await take(`kept-${count}`);
    expect(await through(`kept-${count}`)).toBe('available');
  }
  const quota = { code: 'SnapshotQuotaExceededFault' };
  await expect(take('kept-20')).rejects.toMatchObject(quota);
  const copy = { SourceSnapshotName: 'kept-0', TargetSnapshotName: 'copy' };
  await expect(control.call('CopySnapshot', copy)).rejects.toMatchObject(quota);
  expect(await statusOfGroup()).toBe('available');
});

test('a page has fifty, and the next begins after it', async () => {
  await take('kept');
  await through('kept');
  const [kept] = await control.database.selectFrom('snapshot').selectAll().execute();
  for (let index = 100; index < 160; index += 1) {
    await control.database
      .insertInto('snapshot')
      .values({ ...kept!, name: `many-${index}` })
      .execute();
  }
  const first = await control.call('DescribeSnapshots', {});
  expect(first.Snapshots).toHaveLength(50);
  const second = await control.call('DescribeSnapshots', { Marker: first.Marker! });
  expect(second.Snapshots).toHaveLength(11);
  expect(second.Marker).toBeUndefined();
});

test('what is taken, restored or copied is not deleted meanwhile', async () => {
  const remove = () => control.call('DeleteSnapshot', { SnapshotName: 'kept' });
  await take('kept');
  await expect(remove()).rejects.toMatchObject({ code: 'InvalidSnapshotState' });
  await through('kept');
  const base = replicatedGroup();
  const intent = { ...base.intent, restoreFrom: 'kept' };
  await insert({ ...base, id: 'copy', status: 'creating', nodeGroups: [], intent });
  const shown = await control.call('DescribeSnapshots', { SnapshotName: 'kept' });
  expect(shown.Snapshots?.[0]?.SnapshotStatus).toBe('restoring');
  await expect(remove()).rejects.toThrow('is restoring');
  await control.database
    .updateTable('replication_group')
    .set({ status: 'available' })
    .where('id', '=', 'copy')
    .execute();
  await control.call('CopySnapshot', { SourceSnapshotName: 'kept', TargetSnapshotName: 'twin' });
  await expect(remove()).rejects.toThrow('copied to twin');
  expect(await through('twin')).toBe('available');
  await remove();
  expect(await through('kept')).toBeUndefined();
  expect(removed).toEqual(['kept']);
});

test('a snapshot of what was deleted is not taken of what has its name by then', async () => {
  await take('kept');
  await control.database.updateTable('replication_group').set({ created_at: 5 }).execute();
  expect(await through('kept')).toBe('failed');
  expect(removed).toEqual(['kept']);
  // The other's status is another snapshot's business.
  expect(await statusOfGroup()).toBe('snapshotting');
});

test('the daily ones: once in a window, for as many days as are asked for, and with their group', async () => {
  const group: ReplicationGroup = {
    ...replicatedGroup(),
    intent: { ...replicatedGroup().intent, snapshotRetentionDays: 2 },
  };
  await control.database
    .updateTable('replication_group')
    .set({ intent: JSON.stringify(group.intent) })
    .execute();
  const begin = () => beginAutomaticSnapshot(deps, sourceOfGroup(group), 'shop-002');
  const names = async () => (await readSnapshots(control.database)).map(({ name }) => name);
  const days = ['01', '02', '03'].map((day) => `automatic.shop-002-2030-01-${day}-03-30`);

  expect(await begin()).toBe(true);
  expect(await statusOfGroup()).toBe('snapshotting');
  expect(await through(days[0]!)).toBe('available');
  expect(await begin()).toBe(false);
  nowMs += 3_600_000;
  expect(await begin()).toBe(false);
  nowMs += dayMs - 3_600_000;
  expect(await begin()).toBe(true);
  await through(days[1]!);
  expect(await names()).toEqual(days.slice(0, 2));
  nowMs += dayMs;
  expect(await begin()).toBe(true);
  for (const day of days) await through(day);
  expect(await names()).toEqual(days.slice(1));
  await control.database.deleteFrom('member').execute();
  await control.database.deleteFrom('node_group').execute();
  await control.database.deleteFrom('replication_group').execute();
  for (const day of days) await through(day);
  expect(await names()).toEqual([]);
});
