/** Invalidation that travels with a transaction, and tags that rows decide. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../testing/postgres.ts';
import { type Cache, type CacheOptions, createCache } from './cache.ts';
import type { Definition } from './definition.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { AnnouncementError, CacheConfigError } from './errors.ts';
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
  await pool.query('CREATE TABLE products (id int PRIMARY KEY, price int NOT NULL, department text)');
  await pool.query(`INSERT INTO products SELECT i, 0, 'd' || i % 3 FROM generate_series(1, 200) i`);
  // Its rows carry no column that the functions below read: nobody watches it.
  await pool.query('CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL)');
  await pool.query(`INSERT INTO notes SELECT i, 'old' FROM generate_series(1, 200) i`);
  await pool.query('ALTER TABLE products REPLICA IDENTITY FULL');
});
afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  await pool?.end();
  await Promise.all([engine?.stop(), server?.remove()]);
});

interface Opened {
  readonly cache: Cache;
  readonly product: Definition<number, number>;
  readonly note: Definition<number, string>;
  readonly list: Definition<string, number>;
}

function open(name: string, options: Partial<CacheOptions> = {}): Opened {
  const cache = createCache({ name, far: nodeRedis(engine), database: postgresDatabase(pool), ...options });
  caches.push(cache);
  const one = async <V>(sql: string, value: unknown): Promise<V> =>
    (Object.values((await pool.query(sql, [value])).rows[0] as object) as V[])[0]!;
  return {
    cache,
    product: cache.define<number, number>({
      name: 'product',
      key: String,
      load: (id) => one('SELECT price FROM products WHERE id = $1', id),
      watches: [{ table: 'public.products', key: (row) => row.id }],
    }),
    note: cache.define<number, string>({
      name: 'note',
      key: String,
      load: (id) => one('SELECT text FROM notes WHERE id = $1', id),
    }),
    list: cache.define<string, number>({
      name: 'list',
      key: (department) => department,
      load: (department) => one('SELECT sum(price)::int FROM products WHERE department = $1', department),
      tags: (_, department) => [`department:${department}`],
      watches: [
        {
          table: 'public.products',
          tags: (row) => (row.department === null ? [] : [`department:${row.department}`]),
        },
      ],
    }),
  };
}

async function started(name: string, options: Partial<CacheOptions> = {}): Promise<Opened> {
  const opened = open(name, options);
  const slot = { slot: name, publication: name, createPublication: true };
  await opened.cache.invalidator(postgresFeed({ connection: server.address, ...slot })).start();
  await opened.cache.ready();
  return opened;
}

async function transaction<T>(
  work: (client: pg.PoolClient) => Promise<T>,
  end: 'COMMIT' | 'ROLLBACK',
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query(end);
    return result;
  } finally {
    client.release();
  }
}

async function cached<V>(definition: Definition<number, V>, id: number): Promise<void> {
  await waitFor('the value in the cache', async () => {
    await definition.get(id);
    return (await definition.peek(id)) !== undefined;
  });
}

test('a touch takes effect with the commit, and not without one', async () => {
  const { note } = await started('touched');
  await cached(note, 1);
  const write = (id: number) => async (client: pg.PoolClient) => {
    await client.query(`UPDATE notes SET text = 'new' WHERE id = $1`, [id]);
    await note.touch(client, id);
  };
  await transaction(write(1), 'ROLLBACK');
  await transaction(write(2), 'COMMIT');
  await waitFor('the second note', async () => (await note.get(2)) === 'new');
  expect(await note.peek(1)).toBe('old');
  await transaction(write(1), 'COMMIT');
  await waitFor('the first note', async () => (await note.get(1)) === 'new');
});

test('strict: when COMMIT returns the shared tier holds nothing older, 20 of 20', async () => {
  const { product } = await started('strict', { near: false });
  const reader = open('strict', { near: false });
  await reader.cache.ready();
  for (let id = 1; id <= 20; id += 1) {
    await cached(product, id);
    const racing: Promise<number | null>[] = [];
    await transaction(async (client) => {
      await client.query('UPDATE products SET price = $2 WHERE id = $1', [id, id]);
      await product.touch(client, id, { strict: true });
      // Readers go on, see the old row, and must not leave it behind.
      for (let i = 0; i < 5; i += 1) racing.push(reader.product.get(id));
      await racing[0];
      expect(await reader.product.peek(id)).toBeUndefined();
    }, 'COMMIT');
    expect(await reader.product.get(id)).toBe(id);
    await Promise.all(racing);
    expect(await reader.product.get(id)).toBe(id);
  }
  await cached(reader.product, 20);
});

test('strict: a rollback ends the announcement', async () => {
  const { product } = await started('rolled', { near: false });
  await cached(product, 60);
  await transaction(async (client) => {
    await client.query('UPDATE products SET price = 9 WHERE id = 60');
    await product.touch(client, 60, { strict: true });
  }, 'ROLLBACK');
  expect(await product.get(60)).toBe(0);
  await cached(product, 60);
});

test('what a touch needs is said', async () => {
  const without = open('without', { database: undefined as never });
  await expect(transaction((client) => without.note.touch(client, 1), 'ROLLBACK')).rejects.toThrow(
    CacheConfigError,
  );
  const alone = open('alone');
  await alone.cache.ready();
  const strict = transaction((client) => alone.note.touch(client, 1, { strict: true }), 'ROLLBACK');
  await expect(strict).rejects.toThrow(AnnouncementError);
});

test('rows decide tags: the list of a department changes with its products, also when one moves', async () => {
  const { list, cache } = await started('listed', { partitions: 4 });
  const current = async (department: string): Promise<number> =>
    (await pool.query('SELECT sum(price)::int AS sum FROM products WHERE department = $1', [department]))
      .rows[0].sum;
  const agrees = (department: string) =>
    waitFor(`list ${department}`, async () => (await list.get(department)) === (await current(department)));
  await Promise.all(['d0', 'd1', 'd2'].map(agrees));
  await waitFor('all lists cached', async () => {
    await list.many(['d0', 'd1', 'd2']);
    return (await Promise.all(['d0', 'd1', 'd2'].map((each) => list.peek(each)))).every(
      (each) => each !== undefined,
    );
  });
  const loads = list.stats.loads;
  await pool.query(`UPDATE products SET price = 1000 WHERE id = 102`);
  await agrees('d0');
  await pool.query(`UPDATE products SET department = 'd1' WHERE id = 102`);
  await agrees('d0');
  await agrees('d1');
  await agrees('d2');
  expect(list.stats.loads).toBeLessThanOrEqual(loads + 8);
  await pool.query('TRUNCATE products');
  await waitFor('an empty list', async () => (await list.get('d1')) === null);
  expect(cache.stats().definitions.list?.loads).toBeGreaterThan(loads);
});
