/** Random histories on Valkey: see testing/history.ts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import { ioredis } from './driver/ioredis.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { recordHistory } from './testing/history.ts';
import { PostgresShops } from './testing/postgres-shop.ts';
import { randomOf } from './testing/random.ts';

const durationMs = 6_000;
const boundMs = 250;
const keys = 12;

let engine: TestEngine;
let postgres: TestPostgres;
beforeAll(async () => {
  [engine, postgres] = await Promise.all([startEngine(), startTestPostgres()]);
});
afterAll(() => Promise.all([engine?.stop(), postgres?.remove()]));

test('no history shows a read beyond the bound', async () => {
  const seed = (Date.now() ^ (process.pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const shops = new PostgresShops(postgres.address);
  await shops.createTable('history', keys);
  const readers = [
    shops.open('history', nodeRedis(engine), { boundMs }),
    shops.open('history', ioredis(engine), { boundMs }),
    shops.open('history', nodeRedis(engine), { boundMs, near: false }),
  ];
  const feed = shops.open('history', nodeRedis(engine), { boundMs, near: false });
  const invalidator = shops.invalidator(feed);
  await invalidator.start();
  await Promise.all(readers.map(({ cache }) => cache.ready()));

  const pause = (mostMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, random() * mostMs));
  const faults: (() => Promise<unknown>)[] = [
    () => command(engine, ['CLIENT', 'KILL', 'TYPE', 'pubsub']),
    () => command(engine, ['CLIENT', 'KILL', 'TYPE', 'normal']),
    () => command(engine, ['FLUSHALL']),
    () => command(engine, ['CLIENT', 'PAUSE', '150', 'ALL']),
    async () => {
      await engine.kill();
      await pause(100);
      await engine.restart();
    },
    () =>
      shops.pool.query(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'history'",
      ),
    async () => {
      process.kill(engine.pid, 'SIGSTOP');
      await pause(400);
      process.kill(engine.pid, 'SIGCONT');
    },
  ];
  const options = { shops, table: 'history', keys, readers, faults, durationMs, boundMs, random };
  const history = await recordHistory(options);
  const served = readers.map(({ cache }) => cache.stats());
  expect(history.violations).toEqual([]);
  expect(history.failedReads).toBe(0);
  expect(served[0]!.nearHits + served[2]!.farHits).toBeGreaterThan(100);
  // Afterwards everything is cached again, at its last version.
  await history.settled();
  await shops.close();
});
