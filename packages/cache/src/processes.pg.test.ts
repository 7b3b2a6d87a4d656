import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { buildLibrary, type CacheProcess, forkCache } from './testing/fork.ts';
import { PostgresShops, untilCachedAt } from './testing/postgres-shop.ts';
import { gate, waitFor } from './testing/wait-for.ts';

let engine: TestEngine;
let postgres: TestPostgres;
beforeAll(async () => {
  [engine, postgres] = await Promise.all([startEngine(), startTestPostgres(), buildLibrary()]);
});
afterAll(() => Promise.all([engine?.stop(), postgres?.remove()]));

let shops: PostgresShops;
const processes: CacheProcess[] = [];
beforeEach(() => {
  shops = new PostgresShops(postgres.address);
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.kill()));
  await shops.close();
});

async function start(options: Parameters<typeof forkCache>[0]): Promise<CacheProcess> {
  const started = await forkCache(options);
  processes.push(started);
  return started;
}

test('a cold key read by 3 processes with 100 callers each is loaded once', async () => {
  let loads = 0;
  const held = gate();
  const load = async (id: number) => {
    loads += 1;
    await held.opened;
    return { id, price: 1 };
  };
  const readers = await Promise.all([1, 2, 3].map(() => start({ name: 'cold', engine, load })));
  const reading = Promise.all(readers.map((reader) => reader.read(1, 100)));
  await waitFor('the load', () => loads === 1);
  // Long enough for every process to have asked, and for a lease to have run out if nobody renewed it.
  await new Promise((resolve) => setTimeout(resolve, 700));
  held.open();
  for (const values of await reading) expect(values).toEqual(Array(100).fill({ id: 1, price: 1 }));
  expect(loads).toBe(1);
});

test('the process that loads is killed: another one loads soon', async () => {
  let loads = 0;
  const held = gate();
  const load = async (id: number) => {
    loads += 1;
    if (loads === 1) await held.opened;
    return { id, price: 1 };
  };
  const [victim, heir] = await Promise.all([1, 2].map(() => start({ name: 'orphan', engine, load })));
  void victim!.read(1, 1);
  await waitFor('the load', () => loads === 1);
  const reading = heir!.read(1, 10);
  await victim!.kill();
  expect(await reading).toEqual(Array(10).fill({ id: 1, price: 1 }));
  expect(loads).toBe(2);
});

test('the invalidator stopped in its tracks: nothing is served beyond the bound, and it recovers', async () => {
  await shops.createTable('stopped');
  const feed = await start({
    name: 'stopped',
    table: 'stopped',
    engine,
    postgres: postgres.address,
    load: async () => null,
  });
  const shop = shops.open('stopped', nodeRedis(engine));
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  feed.child.kill('SIGSTOP');
  await shops.pool.query('UPDATE stopped SET price = 2 WHERE id = 1');
  const committedAt = performance.now();
  let stale = 0;
  let old = 0;
  while (performance.now() < committedAt + 800) {
    const startedAt = performance.now();
    const value = shop.product.near(1) ?? (await shop.product.get(1));
    if (value?.price === 1) {
      old += 1;
      if (startedAt > committedAt + 250) stale += 1;
    }
    await new Promise(setImmediate);
  }
  expect(stale).toBe(0);
  expect(old).toBeGreaterThan(0);
  feed.child.kill('SIGCONT');
  await untilCachedAt(shop, 1, 2);
});

test('the invalidator killed between the engine and the slot: redelivery is harmless', async () => {
  await shops.createTable('killed');
  const options = {
    name: 'killed',
    table: 'killed',
    engine,
    postgres: postgres.address,
    load: async () => null,
  };
  const shop = shops.open('killed', nodeRedis(engine));
  for (let price = 2; price <= 5; price += 1) {
    const feed = await start(options);
    await shop.cache.ready();
    await untilCachedAt(shop, 1, price - 1);
    await shops.pool.query('UPDATE killed SET price = $1 WHERE id = 1', [price]);
    await waitFor('the removal', async () => (await shop.product.get(1))?.price === price);
    // Status messages leave once a second: the slot has not heard of what the engine has.
    await feed.kill();
  }
  await start(options);
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 5);
});
