/** The state in a real PostgreSQL: the contract that SQLite's keeps too, and who leads. */
import { type MetricKeeper, metricKeeper } from '@larder/control/metric/metric-keeper';
import { summaryOf } from '@larder/metrics/summary';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { metricStoreContract } from '../../../../packages/metrics/src/metric-store.test-support.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { stateContract } from '../../../../testing/state-contract.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import type { HeldState } from './held-state.ts';
import { holdPostgres } from './postgres-state.ts';

const measuredMs = Date.UTC(2026, 10, 24, 12, 30);
let postgres: TestPostgres;
let admin: Client;
let url: string;
let count = 0;
const open: HeldState[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres();
  admin = new Client({ connectionString: urlOf('postgres') });
  await admin.connect();
});

afterAll(async () => {
  await admin?.end();
  await postgres?.remove();
});

beforeEach(async () => {
  count += 1;
  await admin.query(`create database larder_${count}`);
  url = urlOf(`larder_${count}`);
});

afterEach(async () => {
  for (const each of open.splice(0)) await each.release();
});

function urlOf(database: string): string {
  const { host, port, user, password } = postgres.address;
  const login = password === undefined ? user : `${user}:${encodeURIComponent(password)}`;
  return `postgres://${login}@${host}:${port}/${database}`;
}

async function hold(notices: string[] = [], stopping = new AbortController()): Promise<HeldState> {
  const held = await holdPostgres({ url, stopping: stopping.signal, onNotice: (text) => notices.push(text) });
  open.push(held!);
  return held!;
}

describe('the contract', () => {
  let state: HeldState;
  beforeEach(async () => {
    state = await hold();
  });
  stateContract(() => state.database);
});

describe('data of metrics', () => {
  metricStoreContract(async () => {
    const { metricDatabase } = await hold();
    return { store: metricKeeper({ database: metricDatabase, nowMs: () => measuredMs }), nowMs: measuredMs };
  });

  test('the next that leads has what was recorded, in the journal and in blocks', async () => {
    let nowMs = measuredMs;
    const metric = { namespace: 'Shop', name: 'orders', dimensions: [] };
    const atMs = nowMs - 60_000;
    const record = (keeper: MetricKeeper, value: number) =>
      keeper.record([
        { metric, unit: 'Count', resolutionSeconds: 60, data: [{ atMs, summary: summaryOf(value) }] },
      ]);
    const first = await hold();
    const keeper = metricKeeper({ database: first.metricDatabase, nowMs: () => nowMs });
    await record(keeper, 1);
    nowMs += 3_600_000;
    await keeper.maintain();
    await record(keeper, 2);
    await first.release();
    const second = await hold();
    const next = metricKeeper({ database: second.metricDatabase, nowMs: () => nowMs });
    const query = { metric, startMs: atMs - (atMs % 60_000), endMs: nowMs, periodSeconds: 60 };
    expect(await next.read(query)).toMatchObject([{ summary: { sampleCount: 2, sum: 3 } }]);
  });
});

describe('who leads', () => {
  const backend = async (state: HeldState) => {
    const row = await state.database.selectFrom('leadership').select('term').executeTakeFirst();
    return row?.term;
  };

  test('one at a time; the next when it lets go, in a later term', async () => {
    const first = await hold();
    const notices: string[] = [];
    const second = hold(notices);
    await waitFor(
      () => notices.length,
      (seen) => seen > 0,
      { what: 'the second to stand by' },
    );
    expect(await backend(first)).toBe(first.term);
    await first.release();
    expect((await second).term).toBe(first.term + 1);
  });

  test('one whose connection ends has lost it, and can write no more', async () => {
    const first = await hold();
    const second = hold();
    await admin.query(
      "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted",
    );
    expect(await first.lost).toMatch(/connection/);
    await expect(backend(first)).rejects.toThrow();
    expect((await second).term).toBe(first.term + 1);
  });

  test('one that stops beating is taken for dead: its connection ends before another leads', async () => {
    const first = await hold();
    // As long as nobody else asks on its connection, its heartbeat can't be sent.
    const connection = await first.database
      .transaction()
      .execute(async () => {
        const second = await hold();
        return second.term;
      })
      .catch((error: Error) => error);
    expect(connection).toBeInstanceOf(Error);
    expect(await first.lost).toMatch(/connection|renewed/);
    expect(open[1]!.term).toBe(first.term + 1);
  });

  test('who waits can give up', async () => {
    await hold();
    const stopping = new AbortController();
    const waiting = holdPostgres({ url, stopping: stopping.signal, onNotice: () => {} });
    stopping.abort();
    expect(await waiting).toBeUndefined();
  });

  test('a database that is not there yet is waited for', async () => {
    const notices: string[] = [];
    url = urlOf('later');
    const state = hold(notices);
    await waitFor(
      () => notices.length,
      (seen) => seen > 0,
      { what: 'a notice' },
    );
    expect(notices[0]).toContain('later');
    await admin.query('create database later');
    expect((await state).term).toBe(1);
  });
});
