import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { invisibleUntil, parseSnapshot, startVisibilityClock } from './visibility-clock.ts';

let postgres: TestPostgres;
const clients: pg.Client[] = [];

async function connected(): Promise<pg.Client> {
  const client = new pg.Client(postgres.address);
  await client.connect();
  clients.push(client);
  return client;
}

beforeAll(async () => {
  // A commit that waits for a standby which never answers: durable, and not visible to anyone.
  postgres = await startTestPostgres({ track_commit_timestamp: 'on', synchronous_standby_names: 'nobody' });
});
afterAll(async () => {
  await Promise.allSettled(clients.map((client) => client.end()));
  await postgres.remove();
});

test('a commit that is held back is visible only once it is let go, whatever its commit time says', async () => {
  const [writer, reader, watcher] = [await connected(), await connected(), await connected()];
  await reader.query('SET synchronous_commit = local');
  await reader.query('CREATE TABLE held (id integer)');
  const clock = startVisibilityClock(watcher);
  const { rows } = await writer.query('SELECT pg_backend_pid() AS pid');
  await writer.query('BEGIN');
  await writer.query('INSERT INTO held VALUES (1)');
  const id = (await writer.query('SELECT pg_current_xact_id()::text AS id')).rows[0].id as string;
  const committing = writer.query('COMMIT');

  const commitTime = async (): Promise<number | null> => {
    const answer = await reader.query(
      'SELECT extract(epoch FROM pg_xact_commit_timestamp($1::text::xid))::float8 * 1000 AS at',
      [id],
    );
    return answer.rows[0].at;
  };
  const committedAtMs = await waitFor(commitTime, (at) => at !== null, { what: 'the commit record' });
  const heldUntilMs = committedAtMs! + 300;
  await waitFor(
    () => clock.invisibleUntilMs(id),
    (at) => at > heldUntilMs,
    { what: 'the clock to see it held' },
  );
  expect((await reader.query('SELECT * FROM held')).rows).toEqual([]);

  await reader.query('SELECT pg_cancel_backend($1)', [rows[0].pid]);
  await committing;
  const visibleAtMs = Date.now();
  expect((await reader.query('SELECT * FROM held')).rows).toHaveLength(1);
  await clock.stop();
  const invisibleUntilMs = clock.invisibleUntilMs(id);
  expect(invisibleUntilMs).toBeGreaterThan(heldUntilMs);
  expect(invisibleUntilMs).toBeLessThanOrEqual(visibleAtMs);
});

test('a transaction is invisible before it began and while it is under way', () => {
  const snapshots = [
    parseSnapshot('10:10:', 1_000),
    parseSnapshot('10:12:10,11', 1_020),
    parseSnapshot('11:12:11', 1_040),
    parseSnapshot('12:12:', 1_060),
  ];
  expect(invisibleUntil(snapshots, 9n)).toBe(Number.NEGATIVE_INFINITY);
  expect(invisibleUntil(snapshots, 10n)).toBe(1_020);
  expect(invisibleUntil(snapshots, 11n)).toBe(1_040);
  expect(invisibleUntil(snapshots, 12n)).toBe(1_060);
  expect(invisibleUntil([], 12n)).toBe(Number.NEGATIVE_INFINITY);
});
