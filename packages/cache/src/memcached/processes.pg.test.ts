import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { buildLibrary, type CacheProcess, type CacheProcessOptions, forkCache } from '../testing/fork.ts';
import { PostgresShops, untilCachedAt } from '../testing/postgres-shop.ts';
import { gate, waitFor } from '../testing/wait-for.ts';
import { memcached } from './memcached.ts';

let engine: TestEngine;
let postgres: TestPostgres;
const processes: CacheProcess[] = [];
beforeAll(async () => {
  [engine, postgres] = await Promise.all([startEngine('memcached'), startTestPostgres(), buildLibrary()]);
});
afterAll(() => Promise.all([engine?.stop(), postgres?.remove()]));
afterEach(() => Promise.all(processes.splice(0).map((process) => process.kill())));

async function start(options: Omit<CacheProcessOptions, 'engine' | 'kind'>): Promise<CacheProcess> {
  const started = await forkCache({ ...options, engine, kind: 'memcached' });
  processes.push(started);
  return started;
}

test('a cold key read by 2 processes with 100 callers each is loaded once', async () => {
  let loads = 0;
  const held = gate();
  const load = async (id: number) => {
    loads += 1;
    await held.opened;
    return { id, price: 1 };
  };
  const readers = await Promise.all([1, 2].map(() => start({ name: 'cold', load })));
  const reading = Promise.all(readers.map((reader) => reader.read(1, 100)));
  await waitFor('the load', () => loads === 1);
  // Longer than a lease that nobody renews.
  await new Promise((resolve) => setTimeout(resolve, 1_900));
  held.open();
  for (const values of await reading) expect(values).toEqual(Array(100).fill({ id: 1, price: 1 }));
  expect(loads).toBe(1);
});

test('the process that loads is killed: another one loads when its lease has ended', async () => {
  let loads = 0;
  const held = gate();
  const load = async (id: number) => {
    loads += 1;
    if (loads === 1) await held.opened;
    return { id, price: 1 };
  };
  const [victim, heir] = await Promise.all([1, 2].map(() => start({ name: 'orphan', load })));
  void victim!.read(1, 1);
  await waitFor('the load', () => loads === 1);
  const reading = heir!.read(1, 10);
  await victim!.kill();
  expect(await reading).toEqual(Array(10).fill({ id: 1, price: 1 }));
  expect(loads).toBe(2);
});

test('the invalidator is killed: nothing is believed; the next one goes on', async () => {
  const shops = new PostgresShops(postgres.address);
  await shops.createTable('killed');
  const load = async (id: number) =>
    (await shops.pool.query('SELECT id, price FROM killed WHERE id = $1', [id])).rows[0];
  const first = await start({ name: 'killed', table: 'killed', postgres: postgres.address, load });
  const reader = shops.open('killed', memcached({ servers: [engine] }));
  await reader.cache.ready();
  await untilCachedAt(reader, 7, 1);
  await first.kill();
  await shops.pool.query('UPDATE killed SET price = 2 WHERE id = 7');
  await waitFor('the proof to lapse', async () => (await reader.product.explain(7)).tier === 'database');
  expect((await reader.product.get(7))?.price).toBe(2);
  await start({ name: 'killed', table: 'killed', postgres: postgres.address, load });
  await untilCachedAt(reader, 7, 2);
  await shops.close();
});
