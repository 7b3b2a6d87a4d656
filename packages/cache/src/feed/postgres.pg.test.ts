import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { FeedConfigError } from '../errors.ts';
import { PostgresShops, untilCachedAt } from '../testing/postgres-shop.ts';
import { waitFor } from '../testing/wait-for.ts';
import { postgresFeed } from './postgres.ts';

let engine: TestEngine;
let postgres: TestPostgres;
beforeAll(async () => {
  [engine, postgres] = await Promise.all([startEngine(), startTestPostgres()]);
});
afterAll(() => Promise.all([engine?.stop(), postgres?.remove()]));

let shops: PostgresShops;
beforeEach(() => {
  shops = new PostgresShops(postgres.address);
});
afterEach(() => shops.close());

test('whatever happens to a row, in plain SQL, happens to its key', async () => {
  await shops.createTable('rows');
  const shop = shops.open('rows', nodeRedis(engine));
  await shops.invalidator(shop).start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  await shops.pool.query('UPDATE rows SET price = 2 WHERE id = 1');
  await untilCachedAt(shop, 1, 2);
  await untilCachedAt(shop, 500, null);
  await shops.pool.query('INSERT INTO rows VALUES (500, 5)');
  await untilCachedAt(shop, 500, 5);
  await untilCachedAt(shop, 501, null);
  await shops.pool.query('UPDATE rows SET id = 501 WHERE id = 500');
  await untilCachedAt(shop, 500, null);
  await untilCachedAt(shop, 501, 5);
  await shops.pool.query('DELETE FROM rows WHERE id = 501');
  await untilCachedAt(shop, 501, null);
  await shops.pool.query('BEGIN; UPDATE rows SET price = 9 WHERE id = 1; ROLLBACK');
  await shops.pool.query('BEGIN; SAVEPOINT a; UPDATE rows SET price = 8 WHERE id = 2; RELEASE a; COMMIT');
  await untilCachedAt(shop, 2, 8);
  await untilCachedAt(shop, 1, 2);
});

test('TRUNCATE and bulk changes void what watches the table, and nothing else', async () => {
  await shops.createTable('bulk');
  const shop = shops.open('bulk', nodeRedis(engine));
  const other = shop.cache.define<number, number>({
    name: 'other',
    key: String,
    load: async (id) => id,
    watches: [{ table: 'public.other', key: (row) => row.id }],
  });
  await shops.createTable('other');
  const invalidator = shops.invalidator(shop, { maxKeysPerTransaction: 50 });
  await invalidator.start();
  await shop.cache.ready();
  await untilCachedAt(shop, 7, 1);
  await shops.pool.query('UPDATE bulk SET price = 3');
  await untilCachedAt(shop, 7, 3);
  expect(invalidator.status()).toMatchObject({ epochsBegun: 1, definitionsVoided: 1 });
  await other.get(1);
  await shops.pool.query('TRUNCATE bulk');
  await untilCachedAt(shop, 7, null);
  expect(invalidator.status()).toMatchObject({ epochsBegun: 1, definitionsVoided: 2 });
  await other.get(1);
  expect(other.stats.loads).toBe(1);
});

test('the slot is told only what is applied and visible; a restart goes on without forgetting', async () => {
  await shops.createTable('restart');
  const first = shops.open('restart', nodeRedis(engine));
  const invalidator = shops.invalidator(first);
  await invalidator.start();
  await first.cache.ready();
  await untilCachedAt(first, 1, 1);
  await untilCachedAt(first, 2, 1);
  await invalidator.stop();
  await shops.pool.query('UPDATE restart SET price = 2 WHERE id = 1');
  const second = shops.open('restart', nodeRedis(engine));
  const successor = shops.invalidator(second);
  await successor.start();
  await second.cache.ready();
  await untilCachedAt(second, 1, 2);
  const loads = second.loads();
  await untilCachedAt(second, 2, 1);
  expect(second.loads()).toBe(loads);
  expect(successor.status().epochsBegun).toBe(0);
});

test('a second invalidator stands by, and takes over', async () => {
  await shops.createTable('pair');
  const one = shops.open('pair', nodeRedis(engine));
  const two = shops.open('pair', nodeRedis(engine));
  const [active, standby] = [shops.invalidator(one), shops.invalidator(two)];
  await active.start();
  await standby.start();
  expect([active.status().state, standby.status().state]).toEqual(['streaming', 'standby']);
  await active.stop();
  await waitFor('the takeover', () => standby.status().state === 'streaming');
  await two.cache.ready();
  await untilCachedAt(two, 1, 1);
  await shops.pool.query('UPDATE pair SET price = 2 WHERE id = 1');
  await untilCachedAt(two, 1, 2);
});

test('a slot that is gone is made anew, and everything cached before is void', async () => {
  await shops.createTable('lost');
  const first = shops.open('lost', nodeRedis(engine));
  const invalidator = shops.invalidator(first);
  await invalidator.start();
  await first.cache.ready();
  await untilCachedAt(first, 1, 1);
  await invalidator.stop();
  await waitFor('a free slot', async () => {
    const { rows } = await shops.pool.query(
      "SELECT active FROM pg_replication_slots WHERE slot_name = 'lost'",
    );
    return rows[0]?.active === false;
  });
  await shops.pool.query("SELECT pg_drop_replication_slot('lost')");
  await shops.pool.query('UPDATE lost SET price = 2 WHERE id = 1');
  const second = shops.open('lost', nodeRedis(engine));
  const successor = shops.invalidator(second);
  await successor.start();
  await second.cache.ready();
  await untilCachedAt(second, 1, 2);
  expect(successor.status().epochsBegun).toBe(1);
});

test('a slot that was moved past changes leaves a gap, and the gap voids everything', async () => {
  await shops.createTable('skipped');
  const first = shops.open('skipped', nodeRedis(engine));
  const invalidator = shops.invalidator(first);
  await invalidator.start();
  await first.cache.ready();
  await untilCachedAt(first, 1, 1);
  await invalidator.stop();
  await shops.pool.query('UPDATE skipped SET price = 2 WHERE id = 1');
  await waitFor('the slot to be moved', async () => {
    const sql = "SELECT pg_replication_slot_advance('skipped', pg_current_wal_lsn())";
    return shops.pool.query(sql).catch(() => undefined);
  });
  const second = shops.open('skipped', nodeRedis(engine));
  const successor = shops.invalidator(second);
  await successor.start();
  await second.cache.ready();
  await untilCachedAt(second, 1, 2);
  expect(successor.status().epochsBegun).toBe(1);
});

test('a replication connection that breaks is made again', async () => {
  await shops.createTable('cut');
  const shop = shops.open('cut', nodeRedis(engine));
  await shops.invalidator(shop).start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  for (let price = 2; price <= 4; price += 1) {
    await shops.pool.query(
      "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'cut'",
    );
    await shops.pool.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'larder invalidator'",
    );
    await shops.pool.query('UPDATE cut SET price = $1 WHERE id = 1', [price]);
    await untilCachedAt(shop, 1, price);
  }
});

test('the changes of other tables and databases do not hold the acknowledgement back', async () => {
  await shops.createTable('idle');
  const shop = shops.open('idle', nodeRedis(engine));
  const invalidator = shops.invalidator(shop);
  await invalidator.start();
  await shops.pool.query('CREATE TABLE noise (x text)');
  await shops.pool.query("INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 5000)");
  const { rows } = await shops.pool.query('SELECT pg_current_wal_lsn()::text AS l');
  await waitFor('the slot to follow', async () => {
    const { rows: slots } = await shops.pool.query(
      "SELECT confirmed_flush_lsn >= $1::pg_lsn AS ok FROM pg_replication_slots WHERE slot_name = 'idle'",
      [rows[0].l],
    );
    return slots[0].ok;
  });
});

test('what the database lacks is said, with the statement that repairs it', async () => {
  await shops.createTable('orders');
  await shops.pool.query('CREATE TABLE order_lines (id serial PRIMARY KEY, product_id int)');
  const shop = shops.open('orders', nodeRedis(engine));
  const lines = (appendOnly: boolean, name: string): void => {
    shop.cache.define({
      name,
      key: String,
      load: async () => null,
      watches: [{ table: 'public.order_lines', key: (row) => row.product_id, appendOnly }],
    });
  };
  lines(false, 'sold');
  const feed = (createPublication: boolean) =>
    shop.cache.invalidator(
      postgresFeed({
        connection: postgres.address,
        slot: 'orders',
        publication: 'orders',
        createPublication,
      }),
    );
  await expect(feed(true).start()).rejects.toThrow(
    /product_id.*ALTER TABLE "public"."order_lines" REPLICA IDENTITY FULL/,
  );
  await shops.pool.query('ALTER TABLE order_lines REPLICA IDENTITY FULL');
  const missing = feed(false).start();
  await expect(missing).rejects.toThrow(FeedConfigError);
  await expect(missing).rejects.toThrow(
    /CREATE PUBLICATION "orders" FOR TABLE "public"."orders", "public"."order_lines"/,
  );
  await feed(true).start();
});

test('an append-only table may be watched by any column; if it changes all the same, what watches it is void', async () => {
  await shops.createTable('appended');
  await shops.pool.query('CREATE TABLE sales (id serial PRIMARY KEY, product_id int)');
  const shop = shops.open('appended', nodeRedis(engine));
  const sold = shop.cache.define<number, { count: number }>({
    name: 'sold',
    key: String,
    load: async (id) => {
      const { rows } = await shops.pool.query(
        'SELECT count(*)::int AS count FROM sales WHERE product_id = $1',
        [id],
      );
      return rows[0];
    },
    watches: [{ table: 'public.sales', key: (row) => row.product_id, appendOnly: true }],
  });
  const invalidator = shops.invalidator(shop);
  await invalidator.start();
  await shop.cache.ready();
  await waitFor('cached', async () => {
    await sold.get(1);
    return (await sold.explain(1)).tier !== 'database';
  });
  await shops.pool.query('INSERT INTO sales (product_id) VALUES (1)');
  await waitFor('one', async () => (await sold.get(1))?.count === 1);
  expect(invalidator.status().epochsBegun).toBe(1);
  await shops.pool.query('DELETE FROM sales');
  await waitFor('none', async () => (await sold.get(1))?.count === 0);
  expect(invalidator.status()).toMatchObject({ epochsBegun: 1, definitionsVoided: 1 });
});

test('a partitioned table is watched as one', async () => {
  await shops.pool.query('CREATE TABLE parted (id int PRIMARY KEY, price int) PARTITION BY RANGE (id)');
  await shops.pool.query('CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10)');
  await shops.pool.query('CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (100)');
  await shops.pool.query('INSERT INTO parted VALUES (1, 1), (11, 1)');
  const shop = shops.open('parted', nodeRedis(engine));
  await shops.invalidator(shop).start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  await untilCachedAt(shop, 12, null);
  await shops.pool.query('UPDATE parted SET price = 2 WHERE id = 1');
  await untilCachedAt(shop, 1, 2);
  await shops.pool.query('UPDATE parted SET id = 12 WHERE id = 1');
  await untilCachedAt(shop, 1, null);
  await untilCachedAt(shop, 12, 2);
});

test('what the log does not carry, or a publication hides, is refused', async () => {
  await shops.createTable('whole');
  await shops.pool.query('CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)');
  await shops.pool.query(
    'CREATE PUBLICATION partial FOR TABLE whole WHERE (price > 5) WITH (publish_via_partition_root = true)',
  );
  await shops.pool.query("CREATE PUBLICATION inserts FOR TABLE whole WITH (publish = 'insert')");
  const start = (table: string, publication: string): Promise<void> => {
    const { cache } = shops.open('whole', nodeRedis(engine));
    cache.define({
      name: 'x',
      key: String,
      load: async () => null,
      watches: [{ table, key: (row) => row.id }],
    });
    const feed = postgresFeed({
      connection: postgres.address,
      slot: 'whole',
      publication,
      createPublication: true,
    });
    return cache.invalidator(feed).start();
  };
  await expect(start('public.nothing', 'p')).rejects.toThrow(/doesn't exist/);
  await expect(start('public.unlogged', 'p')).rejects.toThrow(/ordinary logged/);
  await expect(start('public.whole', 'partial')).rejects.toThrow(/row filter/);
  await expect(start('public.whole', 'inserts')).rejects.toThrow(/ALTER PUBLICATION/);
});

test('a commit that waits for a standby: its event comes first, and nothing old is kept', async () => {
  await shops.createTable('ghost');
  const shop = shops.open('ghost', nodeRedis(engine));
  const invalidator = shops.invalidator(shop);
  await invalidator.start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  await untilCachedAt(shop, 2, 1);
  await shops.pool.query("ALTER SYSTEM SET synchronous_standby_names = 'ghost'");
  await shops.pool.query('SELECT pg_reload_conf()');
  await waitFor('the setting', async () => {
    const { rows } = await shops.pool.query('SHOW synchronous_standby_names');
    return rows[0].synchronous_standby_names === 'ghost';
  });
  const writer = new pg.Client(postgres.address);
  writer.on('error', () => {});
  await writer.connect();
  let committed = false;
  const commit = writer.query('UPDATE ghost SET price = 2 WHERE id = 1').then(() => {
    committed = true;
  });
  await waitFor('the event', () => invalidator.status().awaitingVisibility === 1);
  await waitFor('near gone', () => shop.product.near(1) === undefined);
  // The row is not visible: the old price is the truth, and must not be kept.
  expect(await shop.product.get(1)).toEqual({ id: 1, price: 1 });
  expect(committed).toBe(false);
  expect((await shop.product.explain(1)).tier).toBe('database');
  // Other keys go on being cached, and the bound goes on being proven.
  expect(await shop.product.get(2)).toEqual({ id: 2, price: 1 });
  expect((await shop.product.explain(2)).tier).not.toBe('database');
  await shops.pool.query("ALTER SYSTEM SET synchronous_standby_names = ''");
  await shops.pool.query('SELECT pg_reload_conf()');
  await commit;
  await waitFor('the new price', async () => (await shop.product.get(1))?.price === 2);
  await untilCachedAt(shop, 1, 2);
  await writer.end();
  expect(invalidator.status().awaitingVisibility).toBe(0);
});

test('the database killed and started again: everything goes on', async () => {
  const own = await startTestPostgres();
  const ownShops = new PostgresShops(own.address);
  await ownShops.createTable('crash');
  const shop = ownShops.open('crash', nodeRedis(engine));
  const invalidator = ownShops.invalidator(shop);
  await invalidator.start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  await own.kill();
  await waitFor('the feed to notice', () => invalidator.status().state !== 'streaming');
  await waitFor('the near tier to refuse', () => shop.product.near(1) === undefined);
  await expect(shop.product.get(1)).rejects.toThrow();
  await ownShops.close();
  await own.remove();
});
