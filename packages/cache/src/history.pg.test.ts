/**
 * Writers, readers and faults at random; every acknowledged write and every read goes into a history, and the
 * history is checked: no read may return a version that was replaced, acknowledged, more than the bound before
 * the read began. Versions of a row only grow, so "older than" is a comparison.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import { ioredis } from './driver/ioredis.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { PostgresShops, untilCachedAt } from './testing/postgres-shop.ts';
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

interface Write {
  readonly version: number;
  readonly acknowledgedMs: number;
}

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

  const writes: Write[][] = Array.from({ length: keys + 1 }, () => [{ version: 1, acknowledgedMs: 0 }]);
  const violations: string[] = [];
  let reads = 0;
  let failedReads = 0;
  const until = performance.now() + durationMs;
  const running = (): boolean => performance.now() < until;
  const pause = (mostMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, random() * mostMs));
  const anyKey = (): number => 1 + Math.floor(random() ** 2 * keys);

  const check = (id: number, version: number, startedMs: number, who: number): void => {
    reads += 1;
    let needed = 0;
    for (const write of writes[id]!)
      if (write.acknowledgedMs < startedMs - boundMs) needed = Math.max(needed, write.version);
    if (version >= needed) return;
    violations.push(
      `reader ${who} at ${startedMs.toFixed(1)}: product ${id} is ${version}, must be ${needed}`,
    );
  };
  const writer = async (): Promise<void> => {
    while (running()) {
      const id = anyKey();
      const { rows } = await shops.pool.query(
        'UPDATE history SET price = price + 1 WHERE id = $1 RETURNING price',
        [id],
      );
      writes[id]!.push({ version: rows[0].price, acknowledgedMs: performance.now() });
      await pause(30);
    }
  };
  const reader = async (who: number): Promise<void> => {
    const { product } = readers[who]!;
    while (running()) {
      const startedMs = performance.now();
      try {
        if (random() < 0.2) {
          const ids = [anyKey(), anyKey(), anyKey()];
          const values = await product.many(ids);
          for (const [index, id] of ids.entries()) check(id, values[index]!.price, startedMs, who);
        } else {
          const id = anyKey();
          check(id, (product.near(id) ?? (await product.get(id)))!.price, startedMs, who);
        }
      } catch {
        failedReads += 1;
      }
      await (random() < 0.3 ? pause(2) : new Promise(setImmediate));
    }
  };
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
  const saboteur = async (): Promise<void> => {
    while (running()) {
      await pause(500);
      await faults[Math.floor(random() * faults.length)]!().catch(() => {});
    }
  };
  const started = [
    writer(),
    writer(),
    saboteur(),
    ...readers.flatMap((_, who) => [reader(who), reader(who)]),
  ];
  await Promise.all(started);

  const served = readers.map(({ cache }) => cache.stats());
  console.log(
    `${reads} reads, ${failedReads} failed, ${writes.flat().length - keys - 1} writes, ` +
      `${served.map(({ nearHits, farHits, loads }) => `near ${nearHits} far ${farHits} loads ${loads}`).join('; ')}`,
  );
  expect(violations).toEqual([]);
  expect(failedReads).toBe(0);
  expect(served[0]!.nearHits + served[2]!.farHits).toBeGreaterThan(100);
  // Afterwards everything is cached again, at its last version.
  for (let id = 1; id <= keys; id += 1) {
    const last = Math.max(...writes[id]!.map(({ version }) => version));
    for (const shop of readers) await untilCachedAt(shop, id, last);
  }
  await shops.close();
});
