import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ControlContext } from '../control-context.ts';
import { describeEvents } from '../event-log/describe.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { releaseAddresses } from '../placement/addresses.ts';
import { oneMachine } from '../placement/placement.ts';
import { clusterGroup, replicatedGroup } from '../replication-group/group.test-support.ts';
import {
  changeStatus,
  decidePrimary,
  deleteReplicationGroup,
  firstEpoch,
  insertReplicationGroup,
  readReplicationGroup,
  readReplicationGroups,
} from '../replication-group/store.ts';
import { connectDatabase, type Database, type DatabaseTransaction, StateInUse } from './connect.ts';

let folder: string;
let database: Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-state-'));
  database = connectDatabase(join(folder, 'made', 'state.db'));
});

afterEach(async () => {
  await database.destroy();
  rmSync(folder, { recursive: true });
});

const write = <T>(work: (transaction: DatabaseTransaction) => Promise<T>) =>
  database.transaction().execute(work);

describe('the state', () => {
  // That the owner's end sets it free is seen in e2e/: libsql lets go of the file with the process.
  test('has one owner; a second is told so, and the first goes on', async () => {
    expect(() => connectDatabase(join(folder, 'made', 'state.db'))).toThrow(StateInUse);
    expect(await readReplicationGroups(database)).toEqual([]);
  });

  test.each([
    ['replicated', replicatedGroup()],
    ['with cluster mode', clusterGroup(9, 2)],
  ])('gives a group back as it was: %s', async (_, group) => {
    await write((transaction) => insertReplicationGroup(transaction, group));
    expect(await readReplicationGroup(database, group.id)).toEqual(group);
  });

  test('lists groups in the order of their ids, page by page', async () => {
    for (const id of ['c', 'a', 'b']) {
      const group = replicatedGroup(1, { id });
      const nodeGroups = group.nodeGroups.map((each) => ({
        ...each,
        members: each.members.map((member) => ({ ...member, id: `${id}-001` })),
      }));
      await write((transaction) => insertReplicationGroup(transaction, { ...group, nodeGroups }));
    }
    const ids = async (filter: object) => (await readReplicationGroups(database, filter)).map(({ id }) => id);
    expect(await ids({})).toEqual(['a', 'b', 'c']);
    expect(await ids({ limit: 2 })).toEqual(['a', 'b']);
    expect(await ids({ afterId: 'b', limit: 2 })).toEqual(['c']);
  });
});

describe('a decision', () => {
  beforeEach(() => write((transaction) => insertReplicationGroup(transaction, replicatedGroup())));

  test('is made once: the epoch it started from must still be the epoch', async () => {
    const group = replicatedGroup();
    expect(await write((transaction) => decidePrimary(transaction, group, '0001', 'shop-002'))).toBe(2);
    await expect(
      write((transaction) => decidePrimary(transaction, group, '0001', 'shop-003')),
    ).rejects.toThrow('no longer 1');
    expect((await readReplicationGroup(database, 'shop'))?.nodeGroups[0]?.primary).toBe('shop-002');
  });

  test('a pass that began before a deletion does not undo it', async () => {
    const change = (from: 'available' | 'deleting', to: 'available' | 'deleting') =>
      write((transaction) => changeStatus(transaction, 'shop', { from, to }));
    expect(await change('available', 'deleting')).toBe(true);
    expect(await change('available', 'available')).toBe(false);
    expect((await readReplicationGroup(database, 'shop'))?.status).toBe('deleting');
  });

  test('epochs go on when a name is used again', async () => {
    await write((transaction) => deleteReplicationGroup(transaction, { id: 'shop', epoch: 7 }));
    expect(await write((transaction) => firstEpoch(transaction, 'shop'))).toBe(8);
    await write((transaction) => deleteReplicationGroup(transaction, { id: 'shop', epoch: 9 }));
    expect(await write((transaction) => firstEpoch(transaction, 'shop'))).toBe(10);
    expect(await write((transaction) => firstEpoch(transaction, 'other'))).toBe(1);
  });
});

describe('addresses', () => {
  const take = (resource: 'replication-group' | 'cache-cluster', owners: string[], busy: string[] = []) =>
    write(async (transaction) => {
      const placement = oneMachine(
        () => ['127.64.0.1', '127.64.0.2', '127.64.0.3'],
        async (address) => !busy.includes(address),
      );
      const seats = owners.map((owner) => ({ owner, zone: 'us-east-1a' }));
      const places = await placement.take(transaction, { port: 6379, resource, seats });
      return new Map([...places].map(([owner, { address }]) => [owner, address]));
    });

  test('are given once each, and not while somebody listens there', async () => {
    expect([...(await take('replication-group', ['a/x'], ['127.64.0.1']))]).toEqual([['a/x', '127.64.0.2']]);
    expect([...(await take('replication-group', ['a/y'])).values()]).toEqual(['127.64.0.1']);
    await expect(take('replication-group', ['a/z', 'a/w'])).rejects.toThrow('used up');
    // What was refused took none.
    expect([...(await take('replication-group', ['a/z'])).values()]).toEqual(['127.64.0.3']);
  });

  test("a group's end frees its own, not those of a cluster of its name or of a longer name", async () => {
    await take('replication-group', ['a/x']);
    await take('cache-cluster', ['a/0001']);
    await take('replication-group', ['ab/x']);
    await write((transaction) => releaseAddresses(transaction, { resource: 'replication-group', id: 'a' }));
    const left = await database.selectFrom('address').select('owner').orderBy('owner').execute();
    expect(left.map(({ owner }) => owner)).toEqual(['cache-cluster:a/0001', 'replication-group:ab/x']);
  });
});

describe('events', () => {
  const nowMs = Date.UTC(2030, 0, 31);
  const hourMs = 3_600_000;
  const record = (atMs: number, sourceId: string) =>
    write((transaction) =>
      recordEvent(transaction, { atMs, sourceId, sourceType: 'replication-group', message: `${sourceId}!` }),
    );
  const ask = (input: object) =>
    describeEvents({ database, nowMs: () => nowMs } as unknown as ControlContext, input);

  test('the last hour unless asked for more; by source; gone after two weeks', async () => {
    await record(nowMs - 15 * 24 * hourMs, 'ancient');
    await record(nowMs - 2 * hourMs, 'old');
    await record(nowMs - 1_000, 'new');
    const messages = async (input: object) => (await ask(input)).Events?.map(({ Message }) => Message);
    expect(await messages({})).toEqual(['new!']);
    expect(await messages({ Duration: 180 })).toEqual(['old!', 'new!']);
    expect(await messages({ Duration: 20_160 * 2 })).toEqual(['old!', 'new!']);
    expect(
      await messages({ Duration: 180, SourceType: 'replication-group', SourceIdentifier: 'OLD' }),
    ).toEqual(['old!']);
    expect(await messages({ Duration: 180, SourceType: 'cache-cluster' })).toEqual([]);
  });

  test('come in pages, each once and in order', async () => {
    for (let index = 0; index < 45; index += 1) await record(nowMs - 1_000, `e${index}`);
    const seen: (string | undefined)[] = [];
    let marker: string | undefined;
    do {
      const page = await ask({ MaxRecords: 20, ...(marker !== undefined && { Marker: marker }) });
      seen.push(...(page.Events ?? []).map(({ SourceIdentifier }) => SourceIdentifier));
      marker = page.Marker;
    } while (marker !== undefined);
    expect(seen).toEqual(Array.from({ length: 45 }, (_, index) => `e${index}`));
  });

  test("another operation's marker, an id without its type and crossed times are refused", async () => {
    const foreign = Buffer.from('after:shop').toString('base64url');
    await expect(ask({ Marker: foreign })).rejects.toMatchObject({ error: 'InvalidParameterValueException' });
    for (const input of [
      { SourceIdentifier: 'shop' },
      { StartTime: new Date(nowMs), EndTime: new Date(nowMs - 1) },
    ]) {
      await expect(ask(input)).rejects.toMatchObject({ error: 'InvalidParameterCombinationException' });
    }
  });
});
