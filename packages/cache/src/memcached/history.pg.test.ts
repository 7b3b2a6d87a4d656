/** Random histories on memcached: see testing/history.ts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { recordHistory } from '../testing/history.ts';
import { PostgresShops } from '../testing/postgres-shop.ts';
import { randomOf } from '../testing/random.ts';
import { memcached } from './memcached.ts';
import { MetaClient } from './meta-client.ts';
import { deleteCommand } from './meta-command.ts';

const durationMs = 6_000;
const boundMs = 250;
const keys = 12;

let engines: TestEngine[];
let postgres: TestPostgres;
beforeAll(async () => {
  [engines, postgres] = await Promise.all([
    Promise.all([startEngine('memcached'), startEngine('memcached')]),
    startTestPostgres(),
  ]);
});
afterAll(() => Promise.all([...(engines ?? []).map((engine) => engine.stop()), postgres?.remove()]));

test('no history shows a read beyond the bound', async () => {
  const seed = (Date.now() ^ (process.pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const shops = new PostgresShops(postgres.address);
  await shops.createTable('history', keys);
  const far = memcached({ servers: engines });
  const readers = [0, 1, 2].map(() => shops.open('history', far, { boundMs }));
  const feed = shops.open('history', far, { boundMs });
  const invalidator = shops.invalidator(feed);
  await invalidator.start();
  await Promise.all(readers.map(({ cache }) => cache.ready()));
  const admin = new MetaClient({ servers: engines });
  await admin.ready();

  const pause = (mostMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, random() * mostMs));
  const any = (): TestEngine => engines[Math.floor(random() * engines.length)]!;
  const faults: (() => Promise<unknown>)[] = [
    () => admin.flushAll(),
    // The beat alone is gone, as an eviction would have it.
    () => admin.members[Math.floor(random() * engines.length)]!.send(deleteCommand('history#beat')),
    async () => {
      const engine = any();
      await engine.kill();
      await pause(100);
      await engine.restart();
    },
    async () => {
      const engine = any();
      process.kill(engine.pid, 'SIGSTOP');
      await pause(400);
      process.kill(engine.pid, 'SIGCONT');
    },
    () =>
      shops.pool.query(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'history'",
      ),
    // The feed says nothing for longer than the bound, while everything else goes on.
    async () => {
      const { rows } = await shops.pool.query(
        "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'history'",
      );
      const pid: unknown = rows[0]?.active_pid;
      if (typeof pid !== 'number') return;
      process.kill(pid, 'SIGSTOP');
      await pause(2 * boundMs);
      await pause(2 * boundMs);
      process.kill(pid, 'SIGCONT');
    },
    async () => readers[0]!.product.invalidate(1 + Math.floor(random() * keys)),
  ];
  const options = { shops, table: 'history', keys, readers, faults, durationMs, boundMs, random };
  const history = await recordHistory(options);
  expect(history.violations).toEqual([]);
  expect(history.failedReads).toBe(0);
  for (const { cache } of readers) expect(cache.stats().farHits).toBeGreaterThan(100);
  // Afterwards everything is cached again, at its last version.
  await history.settled();
  expect(invalidator.status().epochsBegun).toBeGreaterThanOrEqual(2);
  admin.close();
  await shops.close();
});
