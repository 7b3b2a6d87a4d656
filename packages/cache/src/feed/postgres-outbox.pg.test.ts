import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { FeedConfigError } from '../errors.ts';
import type { Invalidator } from '../invalidator.ts';
import { readEvent } from '../lambda/shapes.ts';
import { lambdaTriggerSql } from '../lambda/trigger-sql.ts';
import { type PostgresShop, PostgresShops, untilCachedAt } from '../testing/postgres-shop.ts';
import { waitFor } from '../testing/wait-for.ts';
import { outboxSql, postgresOutbox } from './postgres-outbox.ts';

let engine: TestEngine;
let postgres: TestPostgres;
beforeAll(async () => {
  // What needs logical replication would fail here.
  [engine, postgres] = await Promise.all([startEngine(), startTestPostgres({ wal_level: 'replica' })]);
});
afterAll(() => Promise.all([engine?.stop(), postgres?.remove()]));

let shops: PostgresShops;
beforeEach(() => {
  shops = new PostgresShops(postgres.address);
});
afterEach(() => shops.close());

/** One outbox per test, named as the table. */
async function install(table: string, columns: readonly string[] = ['id']): Promise<void> {
  await shops.pool.query(outboxSql({ name: table, tables: [{ table: `public.${table}`, columns }] }));
}

function invalidatorOf({ cache }: PostgresShop, pollMs = 20): Invalidator {
  return cache.invalidator(postgresOutbox({ connection: postgres.address, name: cache.name, pollMs }));
}

async function openShop(table: string): Promise<PostgresShop> {
  const shop = shops.open(table, nodeRedis(engine));
  await invalidatorOf(shop).start();
  await shop.cache.ready();
  return shop;
}

async function client(): Promise<pg.Client> {
  const made = new pg.Client(postgres.address);
  made.on('error', () => {});
  await made.connect();
  return made;
}

async function notesOf(table: string): Promise<number> {
  const { rows } = await shops.pool.query(`SELECT count(*)::int AS n FROM larder_feed.${table}`);
  return rows[0].n;
}

test('whatever happens to a row, in plain SQL, happens to its key; notes are removed', async () => {
  await shops.createTable('rows');
  await install('rows');
  const shop = await openShop('rows');
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
  await shops.pool.query('INSERT INTO rows VALUES (1, 9) ON CONFLICT (id) DO UPDATE SET price = 9');
  await untilCachedAt(shop, 1, 9);
  await shops.pool.query(
    'BEGIN; SAVEPOINT a; UPDATE rows SET price = 7 WHERE id = 3; ROLLBACK TO a; UPDATE rows SET price = 8 WHERE id = 2; COMMIT',
  );
  await untilCachedAt(shop, 2, 8);
  await untilCachedAt(shop, 3, 1);
  await waitFor('the notes to go', async () => (await notesOf('rows')) === 0);
});

test('bulk changes and TRUNCATE void what watches the table', async () => {
  await shops.createTable('bulk', 1_500);
  await install('bulk');
  const shop = shops.open('bulk', nodeRedis(engine));
  const invalidator = invalidatorOf(shop);
  await invalidator.start();
  await shop.cache.ready();
  await untilCachedAt(shop, 7, 1);
  await shops.pool.query('UPDATE bulk SET price = 3');
  await untilCachedAt(shop, 7, 3);
  expect(invalidator.status()).toMatchObject({ epochsBegun: 1, definitionsVoided: 1 });
  await shops.pool.query('TRUNCATE bulk');
  await untilCachedAt(shop, 7, null);
  expect(invalidator.status()).toMatchObject({ epochsBegun: 1, definitionsVoided: 2 });
});

test('notes that commit in another order than their ids, and long after, are not skipped', async () => {
  await shops.createTable('order_of');
  await install('order_of');
  const shop = await openShop('order_of');
  for (const id of [1, 2, 3]) await untilCachedAt(shop, id, 1);
  const [early, late] = await Promise.all([client(), client()]);
  await early.query('BEGIN; UPDATE order_of SET price = 2 WHERE id = 1');
  await late.query('BEGIN; UPDATE order_of SET price = 2 WHERE id = 2');
  await late.query('COMMIT');
  await untilCachedAt(shop, 2, 2);
  // While the first is open others go on being carried, proven and cached.
  for (let price = 3; price <= 6; price += 1) {
    await shops.pool.query('UPDATE order_of SET price = $1 WHERE id = 3', [price]);
    await untilCachedAt(shop, 3, price);
  }
  await untilCachedAt(shop, 1, 1);
  await waitFor('all other notes to go', async () => (await notesOf('order_of')) === 0);
  await early.query('COMMIT');
  await untilCachedAt(shop, 1, 2);
  await Promise.all([early.end(), late.end()]);
});

test('a commit that waits for a standby is neither seen nor lost', async () => {
  await shops.createTable('ghost');
  await install('ghost');
  const shop = await openShop('ghost');
  await untilCachedAt(shop, 1, 1);
  const setStandby = async (name: string): Promise<void> => {
    await shops.pool.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
    await shops.pool.query('SELECT pg_reload_conf()');
    await waitFor('the setting', async () => {
      const { rows } = await shops.pool.query('SHOW synchronous_standby_names');
      return rows[0].synchronous_standby_names === name;
    });
  };
  await setStandby('ghost');
  const writer = await client();
  const commit = writer.query('UPDATE ghost SET price = 2 WHERE id = 1');
  await waitFor('the commit to wait', async () => {
    const { rows } = await shops.pool.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    return rows.length > 0;
  });
  // Not visible: the old price is the truth, and may be cached.
  await untilCachedAt(shop, 1, 1);
  await setStandby('');
  await commit;
  await untilCachedAt(shop, 1, 2);
  await writer.end();
});

test('a restart goes on without forgetting, and with what was missed', async () => {
  await shops.createTable('restart');
  await install('restart');
  const first = shops.open('restart', nodeRedis(engine));
  const invalidator = invalidatorOf(first);
  await invalidator.start();
  await first.cache.ready();
  await untilCachedAt(first, 1, 1);
  await untilCachedAt(first, 2, 1);
  await invalidator.stop();
  await shops.pool.query('UPDATE restart SET price = 2 WHERE id = 1');
  const second = shops.open('restart', nodeRedis(engine));
  const successor = invalidatorOf(second);
  await successor.start();
  await second.cache.ready();
  await untilCachedAt(second, 1, 2);
  const loads = second.loads();
  await untilCachedAt(second, 2, 1);
  expect(second.loads()).toBe(loads);
  expect(successor.status().epochsBegun).toBe(0);
  expect(BigInt(`0x${successor.status().applied}`)).toBeGreaterThan(
    BigInt(`0x${invalidator.status().applied}`),
  );
});

test('a second reader stands by, and takes over when the session of the first is cut', async () => {
  await shops.createTable('pair');
  await install('pair');
  const one = shops.open('pair', nodeRedis(engine));
  const two = shops.open('pair', nodeRedis(engine));
  const [active, standby] = [invalidatorOf(one), invalidatorOf(two)];
  await active.start();
  await standby.start();
  expect([active.status().state, standby.status().state]).toEqual(['streaming', 'standby']);
  await two.cache.ready();
  await untilCachedAt(two, 1, 1);
  for (let price = 2; price <= 6; price += 1) {
    // Whichever polls: one of the two has it again at once.
    await shops.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
          AND objid = 'larder_feed.pair'::regclass::oid`,
    );
    await shops.pool.query('UPDATE pair SET price = $1 WHERE id = 1', [price]);
    await untilCachedAt(two, 1, price);
  }
  await active.stop();
  await waitFor('the takeover', () => standby.status().state === 'streaming');
  await shops.pool.query('UPDATE pair SET price = 9 WHERE id = 1');
  await untilCachedAt(two, 1, 9);
});

test('an outbox that was made anew voids everything', async () => {
  await shops.createTable('anew');
  await install('anew');
  const first = shops.open('anew', nodeRedis(engine));
  const invalidator = invalidatorOf(first);
  await invalidator.start();
  await first.cache.ready();
  await untilCachedAt(first, 1, 1);
  await invalidator.stop();
  await shops.pool.query('UPDATE anew SET price = 2 WHERE id = 1');
  await shops.pool.query('DROP TABLE larder_feed.anew, larder_feed.anew_reader');
  await install('anew');
  const second = shops.open('anew', nodeRedis(engine));
  const successor = invalidatorOf(second);
  await successor.start();
  await second.cache.ready();
  await untilCachedAt(second, 1, 2);
  expect(successor.status().epochsBegun).toBe(1);
});

test('what is missing is said: the outbox, a trigger, a column, a privilege', async () => {
  await shops.createTable('lacking');
  const start = (): Promise<void> => invalidatorOf(shops.open('lacking', nodeRedis(engine))).start();
  await expect(start()).rejects.toThrow(FeedConfigError);
  await expect(start()).rejects.toThrow(/doesn't exist.*outboxSql/);
  await install('lacking', ['price']);
  await expect(start()).rejects.toThrow(/without id/);
  await install('lacking');
  await shops.pool.query('ALTER TABLE lacking DISABLE TRIGGER larder_lacking_delete');
  await expect(start()).rejects.toThrow(/larder_lacking_delete switched off/);
  await shops.pool.query('DROP TRIGGER larder_lacking_truncate ON lacking');
  await install('lacking');
  await shops.pool.query("CREATE ROLE reader LOGIN PASSWORD 'reader'");
  const asReader = { ...postgres.address, user: 'reader', password: 'reader' };
  const open = () =>
    shops
      .open('lacking', nodeRedis(engine))
      .cache.invalidator(postgresOutbox({ connection: asReader, name: 'lacking' }));
  await shops.pool.query('GRANT USAGE ON SCHEMA larder_feed TO reader');
  await expect(open().start()).rejects.toThrow(/GRANT SELECT, DELETE/);
  await shops.pool.query(
    outboxSql({ name: 'lacking', reader: 'reader', tables: [{ table: 'public.lacking', columns: ['id'] }] }),
  );
  await open().start();
  // A writer needs nothing of the outbox.
  await shops.pool.query(
    "CREATE ROLE writer LOGIN PASSWORD 'writer'; GRANT SELECT, UPDATE ON lacking TO writer",
  );
  const writer = new pg.Client({ ...postgres.address, user: 'writer', password: 'writer' });
  await writer.connect();
  await writer.query('UPDATE lacking SET price = 4 WHERE id = 1');
  await writer.end();
});

test('eight writers and a reader that is cut again and again: no note is skipped', async () => {
  await shops.createTable('storm', 50);
  await install('storm');
  const shop = shops.open('storm', nodeRedis(engine));
  const invalidator = invalidatorOf(shop);
  await invalidator.start();
  await shop.cache.ready();
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    const own = await client();
    for (let i = 0; i < 60; i += 1) {
      await own.query('BEGIN');
      await own.query('UPDATE storm SET price = price + 1 WHERE id = $1', [1 + ((writer * 7 + i) % 50)]);
      await own.query(i % 5 === 0 ? 'ROLLBACK' : 'COMMIT');
      await shop.product.get(1 + (i % 50));
    }
    await own.end();
  });
  const cutting = (async () => {
    for (let i = 0; i < 5; i += 1) {
      await shops.pool.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'larder invalidator'",
      );
      await waitFor('it to notice', () => invalidator.status().state !== 'streaming');
      await waitFor('it to poll again', () => invalidator.status().state === 'streaming');
    }
  })();
  await Promise.all([...writers, cutting]);
  const { rows } = await shops.pool.query<{ id: number; price: number }>('SELECT id, price FROM storm');
  for (const { id, price } of rows) await untilCachedAt(shop, id, price);
  await waitFor('the notes to go', async () => (await notesOf('storm')) === 0);
});

test('the triggers that invoke a Lambda function send what its handler reads', async () => {
  await shops.createTable('invoked', 600);
  await shops.pool.query(`
    CREATE SCHEMA aws_commons; CREATE SCHEMA aws_lambda; CREATE TABLE invocations (arn text, payload json, kind text);
    CREATE FUNCTION aws_commons.create_lambda_function_arn(text, text) RETURNS text LANGUAGE sql AS $$ SELECT $1 || '@' || $2 $$;
    CREATE FUNCTION aws_lambda.invoke(arn text, payload json, kind text) RETURNS void LANGUAGE sql
      AS $$ INSERT INTO public.invocations VALUES (arn, payload, kind) $$`);
  const sql = lambdaTriggerSql({
    tables: [{ table: 'public.invoked', columns: ['id'] }],
    functionName: 'cache-events',
    region: 'eu-central-1',
  });
  const [extension, ...rest] = sql.split('\n');
  expect(extension).toBe('CREATE EXTENSION IF NOT EXISTS aws_lambda CASCADE;');
  await shops.pool.query(rest.join('\n'));
  await shops.pool.query('INSERT INTO invoked VALUES (1000, 1)');
  await shops.pool.query('UPDATE invoked SET id = 1001 WHERE id = 1000');
  await shops.pool.query('DELETE FROM invoked WHERE id = 1001');
  await shops.pool.query('UPDATE invoked SET price = 0 WHERE id < 0');
  await shops.pool.query('UPDATE invoked SET price = 2');
  await shops.pool.query('TRUNCATE invoked');
  const { rows } = await shops.pool.query<{ arn: string; payload: unknown; kind: string }>(
    'SELECT * FROM invocations',
  );
  expect(rows.every(({ arn, kind }) => arn === 'cache-events@eu-central-1' && kind === 'Event')).toBe(true);
  const changes = rows.map(({ payload }) =>
    readEvent(payload).items[0]!.rows.map(({ before, after, identified }) =>
      identified ? [before?.id, after?.id] : 'everything',
    ),
  );
  expect(changes).toEqual([
    [[undefined, '1000']],
    [
      ['1000', undefined],
      [undefined, '1001'],
    ],
    [['1001', undefined]],
    ['everything'],
    ['everything'],
  ]);
});
