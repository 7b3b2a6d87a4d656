/** Results of Drizzle, Kysely and (its interface) Prisma over a real table, a real engine and the feed. */
import { sql as drizzleSql, eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { customType, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import { CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { type Cache, createCache } from '../cache.ts';
import type { Transaction } from '../database.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError } from '../errors.ts';
import { postgresFeed } from '../feed/postgres.ts';
import { postgresDatabase } from '../postgres-database.ts';
import { gate, waitFor } from '../testing/wait-for.ts';
import { drizzleCache, drizzleTransaction } from './drizzle.ts';
import { kyselyCache, kyselyTransaction } from './kysely.ts';
import { prismaCache, prismaTransaction } from './prisma.ts';
import { QueryCache } from './query-cache.ts';

interface Database {
  product: { id: number; price: number; shop: number; photo: Buffer; made: Date };
  shop: { id: number; name: string };
}

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
const product = pgTable('product', {
  id: integer().primaryKey(),
  price: integer().notNull(),
  shop: integer().notNull(),
  photo: bytea().notNull(),
  made: timestamp({ withTimezone: true }).notNull(),
});
const shop = pgTable('shop', { id: integer().primaryKey(), name: text().notNull() });

let engine: TestEngine;
let server: TestPostgres;
let pool: pg.Pool;
/** Every statement that reached the database. */
const statements: string[] = [];
const caches: Cache[] = [];
let here: QueryCache;
let there: QueryCache;

function openCache(): Cache {
  const cache = createCache({ name: 'orm', far: nodeRedis(engine), database: postgresDatabase(pool) });
  caches.push(cache);
  return cache;
}

beforeAll(async () => {
  [engine, server] = await Promise.all([startEngine(), startTestPostgres()]);
  pool = new pg.Pool(server.address);
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    const query = client.query;
    client.query = function (this: pg.PoolClient, ...args: unknown[]) {
      const [first] = args as [string | { text: string }];
      statements.push(typeof first === 'string' ? first : first.text);
      return (query as (...args: unknown[]) => unknown).apply(this, args);
    } as typeof query;
  });
  await pool.query('CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL)');
  await pool.query(
    'CREATE TABLE product (id int PRIMARY KEY, price int, shop int, photo bytea, made timestamptz)',
  );
  const tables = ['public.product', 'public.shop'];
  const [one, two] = [openCache(), openCache()];
  [here, there] = [new QueryCache(one, { tables }), new QueryCache(two, { tables })];
  const slot = { slot: 'orm', publication: 'orm', createPublication: true };
  await one.invalidator(postgresFeed({ connection: server.address, ...slot })).start();
  await Promise.all(caches.map((cache) => cache.ready()));
});
beforeEach(async () => {
  await pool.query('DELETE FROM product');
  await pool.query('DELETE FROM shop');
  await pool.query("INSERT INTO shop VALUES (1, 'One')");
  await pool.query("INSERT INTO product VALUES (7, 100, 1, '\\x00ff', '2026-01-01Z')");
});
afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  await pool?.end();
  await engine?.stop();
  await server?.remove();
});

const openDrizzle = (queries: QueryCache) => drizzle(pool, { cache: drizzleCache(queries) });
const openKysely = () => new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });

/** How Prisma calls an extension; its client isn't installed here. */
function prismaLike(queries: QueryCache) {
  const extension = prismaCache(queries, { tables: { Product: ['product'] } });
  const call = (operation: string, args: unknown, transaction?: unknown) =>
    extension.query.$allOperations({
      model: 'Product',
      operation,
      args,
      query: async () => (await pool.query('SELECT id, price, photo, made FROM product ORDER BY id')).rows,
      __internalParams: { transaction },
    });
  return { findMany: (args: unknown, transaction?: unknown) => call('findMany', args, transaction), call };
}

type Rows = () => Promise<readonly { id: number; price: number }[]>;
const readers: readonly [string, (queries: QueryCache) => Rows][] = [
  [
    'Drizzle',
    (queries) => {
      const db = openDrizzle(queries);
      return () => db.select().from(product).orderBy(product.id).$withCache();
    },
  ],
  [
    'Kysely',
    (queries) => {
      const [db, cached] = [openKysely(), kyselyCache(queries)];
      return () => cached(db.selectFrom('product as p').selectAll('p').orderBy('p.id', 'desc'));
    },
  ],
  [
    'Prisma',
    (queries) => {
      const client = prismaLike(queries);
      return () => client.findMany({ where: { id: { lt: 10n } } }) as ReturnType<Rows>;
    },
  ],
];

/** Served without asking the database. */
async function isCached(read: Rows): Promise<boolean> {
  const before = statements.length;
  await read();
  return !statements.slice(before).some((statement) => /select .*from "?product/is.test(statement));
}

describe.each(readers)('%s', (_, readerOf) => {
  test('a result is cached for all, and ends at the commit, whoever writes', async () => {
    const [mine, theirs] = [readerOf(here), readerOf(there)];
    const [row] = await mine();
    expect(row).toEqual({ ...row, id: 7, price: 100, photo: Buffer.from([0, 255]) });
    await waitFor('a result for both', async () => (await isCached(mine)) && isCached(theirs));
    expect(await theirs()).toEqual(await mine());
    expect((await theirs())[0]).toMatchObject({
      photo: Buffer.from([0, 255]),
      made: new Date('2026-01-01Z'),
    });
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query('UPDATE product SET price = 95');
    expect((await mine())[0]?.price).toBe(100);
    await client.query('COMMIT');
    client.release();
    for (const read of [mine, theirs]) {
      await waitFor('the new price', async () => (await read())[0]?.price === 95);
      await waitFor('it in the cache', () => isCached(read));
      expect((await read())[0]?.price).toBe(95);
    }
  });
});

test('what was read before a commit is not kept after it', async () => {
  const read = readers[1]![1](there);
  const [began, goOn] = [gate(), gate()];
  const query = { sql: 'slow', parameters: [] };
  const slow = here.run(query, ['product'], async () => {
    const { rows } = await pool.query('SELECT id, price FROM product');
    began.open();
    await goOn.opened;
    return rows as { id: number; price: number }[];
  });
  await began.opened;
  await pool.query('UPDATE product SET price = 90');
  await waitFor('the change in the cache', async () => (await read())[0]?.price === 90 && isCached(read));
  goOn.open();
  expect((await slow)[0]?.price).toBe(100);
  const found = await there.run(query, ['product'], async () => [{ id: 7, price: 90 }]);
  expect(found[0]?.price).toBe(90);
});

test('callers at once run a query once, and share no objects', async () => {
  // While a heartbeat is late everybody asks the database: then another query gets its turn.
  let turn = 0;
  await waitFor('a turn with a heartbeat', async () => {
    await waitFor('generations that stay', async () => isCached(readers[1]![1](here)));
    turn += 1;
    let runs = 0;
    const query = { sql: `turn ${turn}`, parameters: [1n, new Date(0)] };
    const run = () =>
      here.run(query, ['shop', 'public.product'], async () => {
        runs += 1;
        return { rows: [{ id: 1 }] };
      });
    const [first, second] = await Promise.all([run(), run(), run()]);
    expect(second).toEqual(first);
    expect(second).not.toBe(first);
    return runs === 1;
  });
  class Decimal {}
  const odd = { sql: 'odd', parameters: [] };
  expect(await here.run(odd, ['shop'], async () => new Decimal())).toBeInstanceOf(Decimal);
  await expect(here.run(odd, ['orders'], async () => 1)).rejects.toThrow(/public\.orders isn't among/);
  await expect(here.run(odd, [], async () => 1)).rejects.toThrow(CacheConfigError);
  await expect(here.run(odd, ['shop'], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('Kysely: tables of joins, subqueries and common table expressions; raw SQL must name its own', async () => {
  const [db, cached] = [openKysely(), kyselyCache(here)];
  const joined = db
    .with('product', (with_) => with_.selectFrom('product').select(['id', 'shop']))
    .selectFrom('product')
    .where('shop', 'in', (inner) => inner.selectFrom('shop as s').select('s.id').where('s.name', '=', 'One'))
    .select('product.id');
  await waitFor('the result cached', async () => {
    await cached(joined);
    return isCached(() => cached(joined) as unknown as ReturnType<Rows>);
  });
  expect(await cached(joined)).toEqual([{ id: 7 }]);
  // Each of the tables ends it, also the one that an expression hides behind its own name.
  await pool.query("UPDATE shop SET name = 'Two'");
  await waitFor('no product', async () => (await cached(joined)).length === 0);
  await pool.query("UPDATE shop SET name = 'One'");
  await waitFor('the product', async () => (await cached(joined)).length === 1);
  await pool.query('UPDATE product SET id = 8');
  await waitFor('the other product', async () => (await cached(joined))[0]?.id === 8);

  const raw = db.selectFrom('shop').select(sql<number>`(SELECT count(*)::int FROM product)`.as('count'));
  await expect(cached(raw)).rejects.toThrow(/raw SQL needs `tables`/);
  expect(await cached(raw, { tables: ['product'] })).toEqual([{ count: 1 }]);
  await expect(cached(db.selectFrom('shop').selectAll().forUpdate())).rejects.toThrow(/lock nothing/);
  const writing = db.with('gone', (with_) => with_.deleteFrom('shop').returning('id')).selectFrom('gone');
  await expect(cached(writing.selectAll())).rejects.toThrow(/Only select/);
});

test('Drizzle: tags, ages, queries that are not cached', async () => {
  const db = openDrizzle(here);
  const reader =
    (config: { tag: string; autoInvalidate?: boolean; config?: { px: number } }): Rows =>
    () =>
      db.select().from(product).$withCache(config);
  const tagged = reader({ tag: 'cheap' });
  await waitFor('a tagged result', () => isCached(tagged));
  await db.$cache.invalidate({ tags: 'cheap' });
  expect(await isCached(tagged)).toBe(false);
  const aged = reader({ tag: 'aged', config: { px: 1 } });
  await aged();
  await waitFor('its end', async () => !(await isCached(aged)));
  // Not of tables, so it stays when they change.
  const independent = reader({ tag: 'independent', autoInvalidate: false });
  await waitFor('a result', () => isCached(independent));
  await pool.query('UPDATE product SET price = 1');
  await waitFor('the change', async () => (await tagged())[0]?.price === 1);
  expect((await independent())[0]?.price).toBe(100);
  await db.insert(shop).values({ id: 2, name: 'Two' });
  expect(await db.select().from(shop).where(eq(shop.id, 2))).toHaveLength(1);
});

test('Prisma: neither writes nor what is in a transaction', async () => {
  const client = prismaLike(here);
  await waitFor('a cached result', () => isCached(() => client.findMany({}) as ReturnType<Rows>));
  expect(await isCached(() => client.findMany({}, { kind: 'itx' }) as ReturnType<Rows>)).toBe(false);
  expect(await isCached(() => client.call('update', {}) as ReturnType<Rows>)).toBe(false);
});

describe('touch in a transaction', () => {
  const prices = { value: 0 };
  type Work = (transaction: Transaction) => Promise<void>;
  const rollback = new Error('rolled back');
  const transactions: readonly [string, (work: Work) => Promise<void>][] = [
    ['Drizzle', (work) => drizzle(pool).transaction((tx) => work(drizzleTransaction(tx, drizzleSql)))],
    [
      'Kysely',
      (work) =>
        openKysely()
          .transaction()
          .execute((trx) => work(kyselyTransaction(trx, CompiledQuery))),
    ],
    [
      'Prisma',
      async (work) => {
        const client = await pool.connect();
        const $queryRawUnsafe = async (text: string, ...values: unknown[]) =>
          (await client.query(text, values)).rows;
        try {
          await client.query('BEGIN');
          await work(prismaTransaction({ $queryRawUnsafe }));
          await client.query('COMMIT');
        } catch (error) {
          await client.query('ROLLBACK');
          throw error;
        } finally {
          client.release();
        }
      },
    ],
  ];

  test.each(transactions)('%s: a commit ends the value, a rollback does not', async (name, inTransaction) => {
    const value = caches[0]!.define<string, number>({
      name: `price-${name}`,
      key: (id) => id,
      load: async () => prices.value,
      // Watched, so that the feed proves it; the rows that decide it are elsewhere.
      watches: [{ table: 'public.shop', key: () => null }],
    });
    prices.value = 100;
    await waitFor('the value cached', async () => {
      await value.get('7');
      return value.near('7') === 100;
    });
    const failing = inTransaction(async (transaction) => {
      await value.touch(transaction, '7');
      throw rollback;
    });
    await expect(failing).rejects.toThrow();
    prices.value = 95;
    await inTransaction(async (transaction) => {
      const { rows } = await transaction.query('SELECT $2::int - $1::int AS answer', [1, 43]);
      expect(rows).toEqual([{ answer: 42 }]);
      expect(await value.get('7')).toBe(100);
      await value.touch(transaction, '7');
      expect(await value.get('7')).toBe(100);
    });
    await waitFor('the new value', async () => (await value.get('7')) === 95);
  });
});
