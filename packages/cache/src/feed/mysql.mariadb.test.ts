/** The binary log of a real MariaDB. */
import mysql, { type Connection, type Pool, type RowDataPacket } from 'mysql2/promise';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestMariadb, type TestMariadb } from '../../../../testing/mariadb.ts';
import { type Cache, createCache } from '../cache.ts';
import type { Definition } from '../definition.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { FeedConfigError } from '../errors.ts';
import type { Invalidator } from '../invalidator.ts';
import { waitFor } from '../testing/wait-for.ts';
import { mysqlFeed } from './mysql.ts';

interface Product {
  readonly id: number;
  readonly price: number;
}

interface Shop {
  readonly cache: Cache;
  readonly product: Definition<number, Product>;
  readonly invalidator: Invalidator;
  loads(): number;
}

let engine: TestEngine;
let mariadb: TestMariadb;
beforeAll(async () => {
  [engine, mariadb] = await Promise.all([startEngine(), startTestMariadb({ 'binlog-row-metadata': 'FULL' })]);
});
afterAll(() => Promise.all([engine?.stop(), mariadb?.remove()]));

let pool: Pool;
let caches: Cache[];
beforeEach(() => {
  pool = mysql.createPool({ ...mariadb.address, multipleStatements: true });
  caches = [];
});
afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  await pool.end();
});

async function createTable(table: string): Promise<void> {
  await pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, price int) ENGINE=InnoDB`);
  await pool.query(`INSERT INTO ${table} SELECT seq, 1 FROM seq_1_to_100`).catch(async () => {
    const values = Array.from({ length: 100 }, (_, i) => [i + 1, 1]);
    await pool.query(`INSERT INTO ${table} VALUES ?`, [values]);
  });
}

function open(name: string): Shop {
  const cache = createCache({ name, far: nodeRedis(engine) });
  caches.push(cache);
  let loads = 0;
  const product = cache.define<number, Product>({
    name: 'product',
    key: String,
    load: async (id) => {
      loads += 1;
      const [rows] = await pool.query<(RowDataPacket & Product)[]>(
        `SELECT id, price FROM ${name} WHERE id = ?`,
        [id],
      );
      return rows[0];
    },
    watches: [{ table: `shop.${name}`, key: (row) => row.id }],
  });
  const invalidator = cache.invalidator(mysqlFeed({ connection: mariadb.address, name }));
  return { cache, product, invalidator, loads: () => loads };
}

async function start(name: string): Promise<Shop> {
  const shop = open(name);
  await shop.invalidator.start();
  await shop.cache.ready();
  return shop;
}

async function untilCachedAt({ product }: Shop, id: number, price: number | null): Promise<void> {
  await waitFor(`product ${id} cached at ${price}`, async () => {
    const value = await product.get(id);
    return (value?.price ?? null) === price && (await product.explain(id)).tier !== 'database';
  });
}

const client = (): Promise<Connection> =>
  mysql.createConnection({ ...mariadb.address, multipleStatements: true });

test('whatever happens to a row happens to its key', async () => {
  await createTable('all_rows');
  const shop = await start('all_rows');
  await untilCachedAt(shop, 1, 1);
  await pool.query('UPDATE all_rows SET price = 2 WHERE id = 1');
  await untilCachedAt(shop, 1, 2);
  await untilCachedAt(shop, 500, null);
  await pool.query('INSERT INTO all_rows VALUES (500, 5)');
  await untilCachedAt(shop, 500, 5);
  await untilCachedAt(shop, 501, null);
  await pool.query('UPDATE all_rows SET id = 501 WHERE id = 500');
  await untilCachedAt(shop, 500, null);
  await untilCachedAt(shop, 501, 5);
  await pool.query('REPLACE INTO all_rows VALUES (501, 6)');
  await untilCachedAt(shop, 501, 6);
  await pool.query('DELETE FROM all_rows WHERE id = 501');
  await untilCachedAt(shop, 501, null);
  await pool.query('BEGIN; UPDATE all_rows SET price = 9 WHERE id = 1; ROLLBACK');
  await pool.query(
    'BEGIN; UPDATE all_rows SET price = 7 WHERE id = 3; SAVEPOINT a; UPDATE all_rows SET price = 8 WHERE id = 1; ROLLBACK TO a; COMMIT',
  );
  await untilCachedAt(shop, 3, 7);
  await untilCachedAt(shop, 1, 2);
  expect(shop.invalidator.status().epochsBegun).toBe(1);
});

test('TRUNCATE, a statement in the log and XA COMMIT void what watches the table', async () => {
  await createTable('voided');
  const shop = await start('voided');
  await untilCachedAt(shop, 7, 1);
  const own = await client();
  await own.query("SET SESSION binlog_format = 'STATEMENT'");
  await own.query('UPDATE voided SET price = 2 WHERE id = 7');
  await untilCachedAt(shop, 7, 2);
  expect(shop.invalidator.status().definitionsVoided).toBe(1);
  await own.query("SET SESSION binlog_format = 'ROW'");
  await own.query("XA START 'x'; UPDATE voided SET price = 3 WHERE id = 7; XA END 'x'; XA PREPARE 'x'");
  await untilCachedAt(shop, 7, 2);
  await own.query("XA COMMIT 'x'");
  await untilCachedAt(shop, 7, 3);
  await pool.query('TRUNCATE voided');
  await untilCachedAt(shop, 7, null);
  expect(shop.invalidator.status().epochsBegun).toBe(1);
  expect(shop.invalidator.status().definitionsVoided).toBeGreaterThanOrEqual(3);
  await own.end();
});

test('a long transaction holds up nobody, and counts when it commits', async () => {
  await createTable('patient');
  const shop = await start('patient');
  for (const id of [1, 2]) await untilCachedAt(shop, id, 1);
  const own = await client();
  await own.query('BEGIN; UPDATE patient SET price = 5 WHERE id = 1');
  for (let price = 2; price <= 5; price += 1) {
    await pool.query('UPDATE patient SET price = ? WHERE id = 2', [price]);
    await untilCachedAt(shop, 2, price);
  }
  await untilCachedAt(shop, 1, 1);
  await own.query('COMMIT');
  await untilCachedAt(shop, 1, 5);
  await own.end();
});

test('a restart goes on where the engine stands, also across files of the log', async () => {
  await createTable('restart');
  const first = await start('restart');
  await untilCachedAt(first, 1, 1);
  await untilCachedAt(first, 2, 1);
  await first.invalidator.stop();
  await pool.query('UPDATE restart SET price = 2 WHERE id = 1; FLUSH BINARY LOGS; FLUSH BINARY LOGS');
  const second = await start('restart');
  await untilCachedAt(second, 1, 2);
  const loads = second.loads();
  await untilCachedAt(second, 2, 1);
  expect(second.loads()).toBe(loads);
  expect(second.invalidator.status().epochsBegun).toBe(0);
  await pool.query('FLUSH BINARY LOGS; UPDATE restart SET price = 3 WHERE id = 2');
  await untilCachedAt(second, 2, 3);
});

test('a purged log is a gap, and voids everything', async () => {
  await createTable('purged');
  const first = await start('purged');
  await untilCachedAt(first, 1, 1);
  await first.invalidator.stop();
  await pool.query('UPDATE purged SET price = 2 WHERE id = 1; FLUSH BINARY LOGS');
  await waitFor('the old files to go', async () => {
    const [rows] = await pool.query<RowDataPacket[]>('SHOW BINARY LOGS');
    if (rows.length === 1) return true;
    await pool.query('PURGE BINARY LOGS TO ?', [rows.at(-1)!.Log_name]);
    return false;
  });
  const second = await start('purged');
  await untilCachedAt(second, 1, 2);
  expect(second.invalidator.status().epochsBegun).toBe(1);
});

test('a place in the log that the server can not read any more is a gap', async () => {
  await createTable('garbled');
  const first = await start('garbled');
  await untilCachedAt(first, 1, 1);
  await first.invalidator.stop();
  // As after a crash that cut the log, and growth beyond: the remembered place is in the midst of an event.
  const link = createClient({ socket: { host: engine.host, port: engine.port } });
  await link.connect();
  const [key] = await link.keys('{garbled:*}#state');
  const applied = BigInt(`0x${(await link.hGet(key!, 'a'))!}`);
  const earlier = (applied - 7n).toString(16).padStart(16, '0');
  await link.hSet(key!, { w: earlier });
  link.destroy();
  await pool.query('UPDATE garbled SET price = 2 WHERE id = 1');
  const second = await start('garbled');
  await untilCachedAt(second, 1, 2);
  expect(second.invalidator.status().epochsBegun).toBe(1);
});

test('a second one stands by, and takes over; a connection that is killed comes back', async () => {
  await createTable('pair');
  const one = open('pair');
  const two = open('pair');
  await one.invalidator.start();
  await two.invalidator.start();
  expect([one.invalidator.status().state, two.invalidator.status().state]).toEqual(['streaming', 'standby']);
  await two.cache.ready();
  await untilCachedAt(two, 1, 1);
  const [dumps] = await pool.query<RowDataPacket[]>(
    "SELECT id FROM information_schema.processlist WHERE command = 'Binlog Dump'",
  );
  for (const { id } of dumps) await pool.query(`KILL ${id}`);
  await pool.query('UPDATE pair SET price = 2 WHERE id = 1');
  await untilCachedAt(two, 1, 2);
  await one.invalidator.stop();
  await waitFor('the takeover', () => two.invalidator.status().state === 'streaming');
  await pool.query('UPDATE pair SET price = 3 WHERE id = 1');
  await untilCachedAt(two, 1, 3);
});

test('many writers: in the end no key is behind', async () => {
  await createTable('storm');
  const shop = await start('storm');
  await Promise.all(
    Array.from({ length: 6 }, async (_, writer) => {
      const own = await client();
      for (let i = 0; i < 60; i += 1) {
        const id = 1 + ((writer * 13 + i * 7) % 40);
        await own.query(
          `BEGIN; UPDATE storm SET price = price + 1 WHERE id = ${id}; ${i % 6 === 0 ? 'ROLLBACK' : 'COMMIT'}`,
        );
        await shop.product.get(id);
      }
      await own.end();
    }),
  );
  const [rows] = await pool.query<(RowDataPacket & Product)[]>('SELECT id, price FROM storm WHERE id <= 40');
  for (const { id, price } of rows) await untilCachedAt(shop, id, price);
  expect(shop.invalidator.status().epochsBegun).toBe(1);
});

test('a backlog beyond the queue holds the log back, loses nothing and voids nothing', async () => {
  await pool.query('CREATE TABLE backlog (id int PRIMARY KEY, price int) ENGINE=InnoDB');
  for (let k = 0; k < 40; k += 1) {
    await pool.query('INSERT INTO backlog VALUES ?', [
      Array.from({ length: 1_000 }, (_, i) => [k * 1_000 + i, 1]),
    ]);
  }
  const first = await start('backlog');
  await untilCachedAt(first, 39_999, 1);
  await first.invalidator.stop();
  for (let k = 0; k < 40; k += 1) {
    await pool.query('UPDATE backlog SET price = 2 WHERE id >= ? AND id < ?', [k * 1_000, (k + 1) * 1_000]);
  }
  const second = open('backlog');
  const { invalidator } = second;
  let most = 0;
  let held = false;
  const watching = setInterval(() => {
    most = Math.max(most, invalidator.status().queuedKeys);
    held ||= invalidator.status().held;
  }, 1);
  await invalidator.start();
  await second.cache.ready();
  await waitFor(
    'all of it',
    () => invalidator.status().keysInvalidated >= 40_000 && invalidator.status().queuedKeys === 0,
  );
  clearInterval(watching);
  expect(invalidator.status().epochsBegun).toBe(0);
  expect(held).toBe(true);
  expect(most).toBeLessThan(40_000);
  await untilCachedAt(second, 39_999, 2);
});

test('what is set up wrongly is refused with the statement', async () => {
  await createTable('strict');
  await pool.query("SET GLOBAL binlog_row_metadata = 'NO_LOG'");
  try {
    await expect(open('strict').invalidator.start()).rejects.toThrow(
      /SET GLOBAL binlog_row_metadata = FULL;/,
    );
  } finally {
    await pool.query("SET GLOBAL binlog_row_metadata = 'FULL'");
  }
  await expect(open('nothing').invalidator.start()).rejects.toThrow(FeedConfigError);
});

test('the server killed and started again, and its log reset', async () => {
  await createTable('reset');
  const shop = await start('reset');
  await untilCachedAt(shop, 1, 1);
  await mariadb.kill();
  await waitFor('the feed to notice', () => shop.invalidator.status().state !== 'streaming');
  await mariadb.restart();
  await waitFor('the feed', () => shop.invalidator.status().state === 'streaming');
  await pool.query('UPDATE reset SET price = 2 WHERE id = 1');
  await untilCachedAt(shop, 1, 2);
  expect(shop.invalidator.status().epochsBegun).toBe(1);
  await shop.invalidator.stop();
  await pool.query('UPDATE reset SET price = 3 WHERE id = 1; RESET MASTER');
  const second = await start('reset');
  await untilCachedAt(second, 1, 3);
  expect(second.invalidator.status().epochsBegun).toBe(1);
});
