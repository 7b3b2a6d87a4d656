/** Whoever wrote reads what was written, also in the next request, also from another process, while the feed lags. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import { type Cache, createCache } from './cache.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { CacheConfigError } from './errors.ts';
import { postgresFeed } from './feed/postgres.ts';
import { postgresDatabase } from './postgres-database.ts';
import { waitFor } from './testing/wait-for.ts';

let engine: TestEngine;
let server: TestPostgres;
let pool: pg.Pool;
const caches: Cache[] = [];

beforeAll(async () => {
  [engine, server] = await Promise.all([startEngine(), startTestPostgres()]);
  pool = new pg.Pool(server.address);
  await pool.query('CREATE TABLE products (id int PRIMARY KEY, price int NOT NULL)');
  await pool.query('INSERT INTO products SELECT i, 0 FROM generate_series(1, 200) i');
});
afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  await pool?.end();
  await engine?.stop();
  await server?.remove();
});

function open() {
  const cache = createCache({ name: 'shop', far: nodeRedis(engine), database: postgresDatabase(pool) });
  caches.push(cache);
  const product = cache.define<number, number>({
    name: 'product',
    key: String,
    load: async (id) => {
      const { rows } = await pool.query('SELECT price FROM products WHERE id = $1', [id]);
      return (rows[0] as { price: number }).price;
    },
    watches: [{ table: 'public.products', key: (row) => row.id }],
  });
  return { cache, product };
}

test('100 of 100 in the same request, and in the next one elsewhere', async () => {
  const [here, there] = [open(), open()] as const;
  const slot = { slot: 'own_writes', publication: 'own_writes', createPublication: true };
  await here.cache.invalidator(postgresFeed({ connection: server.address, ...slot })).start();
  await Promise.all([here.cache.ready(), there.cache.ready()]);
  for (let id = 1; id <= 100; id += 1) {
    // Cached near in both, so that only the session's token stands between a reader and the old price.
    for (const { product } of [here, there]) {
      await waitFor('the product near', async () => {
        await product.get(id);
        return product.near(id) !== undefined;
      });
    }
    const token = await here.cache.ownWrites.run(undefined, async () => {
      await pool.query('UPDATE products SET price = $2 WHERE id = $1', [id, id]);
      await here.cache.ownWrites.wrote();
      expect(here.product.near(id) ?? (await here.product.get(id))).toBe(id);
      return here.cache.ownWrites.token();
    });
    await there.cache.ownWrites.run(token, async () => {
      expect(there.product.near(id) ?? (await there.product.get(id))).toBe(id);
    });
  }
  // Soon afterwards the session is served by the cache again.
  const token = here.cache.ownWrites.run(undefined, async () => {
    await here.cache.ownWrites.wrote();
    return here.cache.ownWrites.token();
  });
  const written = await token;
  await waitFor('a near hit with the token', async () =>
    there.cache.ownWrites.run(written, async () => {
      await there.product.get(150);
      return there.product.near(150) !== undefined;
    }),
  );
});

test('a token that is none counts as none; what is missing is said', async () => {
  const { cache } = open();
  await cache.ready();
  expect(cache.ownWrites.run('f'.repeat(16), () => cache.ownWrites.token())).toBeUndefined();
  expect(cache.ownWrites.run('../../etc', () => cache.ownWrites.token())).toBeUndefined();
  await expect(cache.ownWrites.wrote()).rejects.toThrow(CacheConfigError);
  const without = createCache({ name: 'other', far: nodeRedis(engine) });
  caches.push(without);
  await expect(without.ownWrites.run(undefined, () => without.ownWrites.wrote())).rejects.toThrow(/database/);
});
