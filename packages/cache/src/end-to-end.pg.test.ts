import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import { type Cache, createCache } from './cache.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { postgresFeed } from './feed/postgres.ts';
import { waitFor } from './testing/wait-for.ts';

interface Product {
  readonly id: number;
  readonly price: number;
}

let engine: TestEngine;
let postgres: TestPostgres;
let pool: pg.Pool;
const caches: Cache[] = [];

beforeAll(async () => {
  [engine, postgres] = await Promise.all([startEngine(), startTestPostgres()]);
  pool = new pg.Pool(postgres.address);
  await pool.query('CREATE TABLE products (id int PRIMARY KEY, price int)');
  await pool.query('INSERT INTO products SELECT i, 100 FROM generate_series(1, 100) i');
});
afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  await pool?.end();
  await Promise.all([engine?.stop(), postgres?.remove()]);
});

function shop(name: string) {
  const cache = createCache({ name, far: nodeRedis(engine) });
  caches.push(cache);
  const product = cache.define<number, Product>({
    name: 'product',
    key: String,
    load: async (id) => (await pool.query('SELECT id, price FROM products WHERE id = $1', [id])).rows[0],
    watches: [{ table: 'public.products', key: (row) => row.id }],
  });
  return { cache, product };
}

test('a change made with plain SQL reaches a near tier', async () => {
  const { cache, product } = shop('plain');
  const invalidator = cache.invalidator(
    postgresFeed({
      connection: postgres.address,
      slot: 'plain',
      publication: 'plain',
      createPublication: true,
    }),
  );
  await invalidator.start();
  await cache.ready();
  await waitFor('a far entry', async () => {
    await product.get(1);
    return product.near(1) !== undefined && (await product.explain(1)).tier === 'near';
  });
  expect(product.near(1)).toEqual({ id: 1, price: 100 });
  await pool.query('UPDATE products SET price = 90 WHERE id = 1');
  await waitFor('the new price near', async () => (await product.get(1))?.price === 90 && product.near(1));
  expect(cache.stats().near.entries).toBeGreaterThan(0);
});
