import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { chown, cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgres } from '@larder/storefront/postgres/binaries';
import { type PostgresServer, startPostgres } from '@larder/storefront/postgres/server';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { directories } from '../../../../testing/config.ts';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { FeedConfigError } from '../errors.ts';
import { startEndpoint } from '../testing/endpoint.ts';
import { buildLibrary, forkCache } from '../testing/fork.ts';
import { type PostgresShop, PostgresShops, untilCachedAt } from '../testing/postgres-shop.ts';
import { waitFor } from '../testing/wait-for.ts';

let engine: TestEngine;
let postgres: TestPostgres;
beforeAll(async () => {
  [engine, postgres] = await Promise.all([
    startEngine(),
    startTestPostgres({ max_prepared_transactions: 10 }),
    buildLibrary(),
  ]);
});
afterAll(() => Promise.all([engine?.stop(), postgres?.remove()]));

let shops: PostgresShops;
beforeEach(() => {
  shops = new PostgresShops(postgres.address);
});
afterEach(() => shops.close());

async function openShop(table: string): Promise<PostgresShop> {
  await shops.createTable(table);
  const shop = shops.open(table, nodeRedis(engine));
  await shops.invalidator(shop).start();
  await shop.cache.ready();
  return shop;
}

/** What the feed of one cache says, while `body` runs. */
async function withFeedCauses(cache: string, body: (causes: Error[]) => Promise<void>): Promise<void> {
  const causes: Error[] = [];
  const listen = (message: unknown): void => {
    const { cache: of, cause } = message as { readonly cache: string; readonly cause?: Error };
    if (of === cache && cause !== undefined) causes.push(cause);
  };
  subscribe('larder:cache:feed', listen);
  try {
    await body(causes);
  } finally {
    unsubscribe('larder:cache:feed', listen);
  }
}

test('killed before the engine had the change: the slot brings it again', async () => {
  await shops.createTable('unapplied');
  const options = {
    name: 'unapplied',
    table: 'unapplied',
    engine,
    postgres: postgres.address,
    load: async () => null,
  };
  const shop = shops.open('unapplied', nodeRedis(engine));
  let feed = await forkCache(options);
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  process.kill(engine.pid, 'SIGSTOP');
  await shops.pool.query('UPDATE unapplied SET price = 2 WHERE id = 1');
  await waitFor('the change to be streamed', async () => {
    const { rows } = await shops.pool.query(
      "SELECT sent_lsn >= pg_current_wal_flush_lsn() AS ok FROM pg_stat_replication WHERE application_name = 'larder invalidator'",
    );
    return rows.some(({ ok }) => ok);
  });
  await feed.kill();
  const { rows } = await shops.pool.query(
    "SELECT confirmed_flush_lsn < pg_current_wal_flush_lsn() AS behind FROM pg_replication_slots WHERE slot_name = 'unapplied'",
  );
  expect(rows[0].behind).toBe(true);
  process.kill(engine.pid, 'SIGCONT');
  feed = await forkCache(options);
  await untilCachedAt(shop, 1, 2);
  await feed.kill();
});

test('a backlog beyond the queue holds the source back, loses nothing and voids nothing', async () => {
  await shops.createTable('backlog', 60_000);
  const first = shops.open('backlog', nodeRedis(engine));
  const before = shops.invalidator(first);
  await before.start();
  await first.cache.ready();
  await untilCachedAt(first, 59_999, 1);
  await before.stop();
  await shops.pool.query(`DO $$ BEGIN
    FOR k IN 0..59 LOOP
      UPDATE backlog SET price = 2 WHERE id > k * 1000 AND id <= (k + 1) * 1000; COMMIT;
    END LOOP; END $$`);
  const second = shops.open('backlog', nodeRedis(engine));
  const after = shops.invalidator(second);
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, after.status().queuedKeys);
  }, 1);
  await after.start();
  await second.cache.ready();
  await waitFor(
    'all of it',
    () => after.status().keysInvalidated === 60_000 && after.status().queuedKeys === 0,
  );
  clearInterval(watching);
  expect(after.status().epochsBegun).toBe(0);
  // The mark at which it is held, and what one read of the socket still brings.
  expect(most).toBeLessThan(30_000);
  await untilCachedAt(second, 59_999, 2);
});

test('a slot that lost its log is made anew, and everything cached before is void', async () => {
  const own = await startTestPostgres({
    max_slot_wal_keep_size: '1MB',
    max_wal_size: '32MB',
    min_wal_size: '32MB',
  });
  const ownShops = new PostgresShops(own.address);
  await ownShops.createTable('overrun');
  const first = ownShops.open('overrun', nodeRedis(engine));
  const invalidator = ownShops.invalidator(first);
  await invalidator.start();
  await first.cache.ready();
  await untilCachedAt(first, 1, 1);
  await invalidator.stop();
  await ownShops.pool.query('UPDATE overrun SET price = 2 WHERE id = 1');
  await waitFor('the slot to be lost', async () => {
    await ownShops.pool.query('SELECT pg_switch_wal()');
    await ownShops.pool.query("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))");
    await ownShops.pool.query('CHECKPOINT');
    const { rows } = await ownShops.pool.query(
      "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'overrun'",
    );
    return rows[0].wal_status === 'lost';
  });
  const second = ownShops.open('overrun', nodeRedis(engine));
  const successor = ownShops.invalidator(second);
  await successor.start();
  await second.cache.ready();
  await untilCachedAt(second, 1, 2);
  expect(successor.status().epochsBegun).toBe(1);
  await ownShops.close();
  await own.remove();
});

test('a standby that is promoted: another timeline, so everything is void, and the feed goes on there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'larder-test-standby-'));
  const data = join(folder, 'data');
  const primary = await startTestPostgres();
  const { rows } = await new PostgresShops(primary.address).pool.query('SHOW data_directory');
  const source = rows[0].data_directory as string;
  const endpoint = await startEndpoint(primary.address);
  const ownShops = new PostgresShops({ ...primary.address, host: endpoint.host, port: endpoint.port });
  await ownShops.createTable('moved');
  const standby = await startStandby(source, data, primary, ownShops);
  const shop = ownShops.open('moved', nodeRedis(engine));
  const invalidator = ownShops.invalidator(shop);
  await invalidator.start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  await untilCachedAt(shop, 2, 1);
  await waitFor('the standby to follow', async () => {
    const found = await ownShops.pool.query(
      'SELECT replay_lsn >= pg_current_wal_lsn() AS ok FROM pg_stat_replication WHERE application_name = $1',
      ['standby'],
    );
    return found.rows[0]?.ok;
  });
  await primary.kill();
  const direct = new PostgresShops(standby.address);
  await direct.pool.query('SELECT pg_promote(true)');
  // Nobody streams yet: only the epoch can make this seen.
  await direct.pool.query('UPDATE moved SET price = 2 WHERE id = 1');
  endpoint.moveTo(standby.address);
  await waitFor(
    'the feed',
    () => invalidator.status().state === 'streaming' && invalidator.status().epochsBegun === 2,
  );
  await untilCachedAt(shop, 1, 2);
  await direct.pool.query('UPDATE moved SET price = 3 WHERE id = 2');
  await untilCachedAt(shop, 2, 3);
  await direct.close();
  await ownShops.close();
  await endpoint.close();
  await Promise.all([standby.stop(), primary.remove()]);
  await rm(folder, { recursive: true, force: true });
});

/** A physical standby of a copy, which streams until it is promoted. */
async function startStandby(
  source: string,
  data: string,
  primary: TestPostgres,
  { pool }: PostgresShops,
): Promise<PostgresServer> {
  const backup = await pool.connect();
  await backup.query("SELECT pg_backup_start('standby', true)");
  await cp(source, data, {
    recursive: true,
    filter: (path) => !/\/(postmaster\.(pid|opts)|pg_replslot\/.+)$/.test(path),
  });
  const { rows } = await backup.query('SELECT labelfile FROM pg_backup_stop(false)');
  backup.release();
  await cp(`${source}.password`, `${data}.password`);
  await writeFile(join(data, 'backup_label'), rows[0].labelfile);
  await writeFile(join(data, 'standby.signal'), '');
  const { uid, gid } = await stat(source);
  for (const path of [data, ...(await readdir(data, { recursive: true })).map((name) => join(data, name))]) {
    await chown(path, uid, gid);
  }
  await chown(`${data}.password`, uid, gid);
  const folder = join(data, '..');
  await chown(folder, uid, gid);
  const { host, port, user, password } = primary.address;
  return startPostgres({
    binaries: await findPostgres(join(directories.cache, 'postgresql')),
    dataDirectory: data,
    settings: {
      primary_conninfo: `host=${host} port=${port} user=${user} password=${password} application_name=standby`,
    },
  });
}

test('columns come and go while it streams; one that a watch reads is asked for by name', async () => {
  const shop = await openShop('shaped');
  await untilCachedAt(shop, 1, 1);
  await shops.pool.query("ALTER TABLE shaped ADD COLUMN note text DEFAULT 'x', ADD COLUMN more int");
  await shops.pool.query('UPDATE shaped SET price = 2, more = 5 WHERE id = 1');
  await untilCachedAt(shop, 1, 2);
  await shops.pool.query('ALTER TABLE shaped DROP COLUMN note');
  await shops.pool.query('ALTER TABLE shaped RENAME COLUMN more TO less');
  await shops.pool.query('UPDATE shaped SET price = 3 WHERE id = 1');
  await untilCachedAt(shop, 1, 3);
  await withFeedCauses('shaped', async (causes) => {
    await shops.pool.query('ALTER TABLE shaped RENAME COLUMN id TO number');
    await shops.pool.query('UPDATE shaped SET price = 4 WHERE number = 1');
    await waitFor('the operator to be told', () => causes.some((cause) => cause instanceof FeedConfigError));
    expect(causes.find((cause) => cause instanceof FeedConfigError)!.message).toMatch(
      /reads id, which the table doesn't have/,
    );
    // Without proof nothing cached is served: the loader's own error shows that it was asked.
    await waitFor('the cache to refuse', () =>
      shop.product.get(1).then(
        () => false,
        () => true,
      ),
    );
  });
  await shops.pool.query('ALTER TABLE shaped RENAME COLUMN number TO id');
  await untilCachedAt(shop, 1, 4);
});

test('an identity that is taken away while it streams: void, and the statement that gives it back', async () => {
  const shop = await openShop('anonymous');
  await untilCachedAt(shop, 1, 1);
  await shops.pool.query('ALTER TABLE anonymous REPLICA IDENTITY FULL');
  await shops.pool.query('UPDATE anonymous SET price = 2 WHERE id = 1');
  await untilCachedAt(shop, 1, 2);
  await withFeedCauses('anonymous', async (causes) => {
    await shops.pool.query('ALTER TABLE anonymous ADD COLUMN other int GENERATED ALWAYS AS IDENTITY UNIQUE');
    await shops.pool.query('ALTER TABLE anonymous REPLICA IDENTITY USING INDEX anonymous_other_key');
    await shops.pool.query('UPDATE anonymous SET price = 3 WHERE id = 1');
    await waitFor('the operator to be told', () => causes.some((cause) => cause instanceof FeedConfigError));
    expect(causes.find((cause) => cause instanceof FeedConfigError)!.message).toMatch(
      /REPLICA IDENTITY FULL/,
    );
  });
  await shops.pool.query('ALTER TABLE anonymous REPLICA IDENTITY DEFAULT');
  await untilCachedAt(shop, 1, 3);
});

test('a prepared transaction counts when it is committed, under its old number', async () => {
  const shop = await openShop('prepared');
  await untilCachedAt(shop, 1, 1);
  await untilCachedAt(shop, 2, 1);
  await shops.pool.query("BEGIN; UPDATE prepared SET price = 2 WHERE id = 1; PREPARE TRANSACTION 'two'");
  await shops.pool.query('UPDATE prepared SET price = 3 WHERE id = 2');
  await untilCachedAt(shop, 2, 3);
  await untilCachedAt(shop, 1, 1);
  await shops.pool.query("COMMIT PREPARED 'two'");
  await untilCachedAt(shop, 1, 2);
  await shops.pool.query("BEGIN; UPDATE prepared SET price = 9 WHERE id = 1; PREPARE TRANSACTION 'none'");
  await shops.pool.query("ROLLBACK PREPARED 'none'");
  await untilCachedAt(shop, 1, 2);
});

test('what a savepoint rolled back does not count, what was released does', async () => {
  const shop = await openShop('saved');
  await untilCachedAt(shop, 1, 1);
  await untilCachedAt(shop, 2, 1);
  await shops.pool.query(
    'BEGIN; SAVEPOINT a; UPDATE saved SET price = 5 WHERE id = 1; ROLLBACK TO a; ' +
      'SAVEPOINT b; UPDATE saved SET price = 6 WHERE id = 2; RELEASE b; COMMIT',
  );
  await untilCachedAt(shop, 2, 6);
  const loads = shop.loads();
  await untilCachedAt(shop, 1, 1);
  expect(shop.loads()).toBe(loads);
});

test('a commit with synchronous_commit off arrives when it is flushed', async () => {
  const shop = await openShop('lazy');
  await untilCachedAt(shop, 1, 1);
  for (let price = 2; price <= 5; price += 1) {
    await shops.pool.query(
      `SET synchronous_commit = off; UPDATE lazy SET price = ${price} WHERE id = 1; RESET synchronous_commit`,
    );
    await untilCachedAt(shop, 1, price);
  }
});

test('a partition that is attached, and a row that moves between partitions', async () => {
  await shops.pool.query(
    'CREATE TABLE moving (id int, region text, price int, PRIMARY KEY (id, region)) PARTITION BY LIST (region)',
  );
  await shops.pool.query("CREATE TABLE moving_a PARTITION OF moving FOR VALUES IN ('a')");
  await shops.pool.query("INSERT INTO moving VALUES (1, 'a', 1)");
  const shop = shops.open('moving', nodeRedis(engine));
  await shops.invalidator(shop).start();
  await shop.cache.ready();
  await untilCachedAt(shop, 1, 1);
  await untilCachedAt(shop, 2, null);
  await shops.pool.query("CREATE TABLE moving_b PARTITION OF moving FOR VALUES IN ('b')");
  await shops.pool.query("UPDATE moving SET region = 'b', price = 2 WHERE id = 1");
  await untilCachedAt(shop, 1, 2);
  await shops.pool.query("INSERT INTO moving_b VALUES (2, 'b', 7)");
  await untilCachedAt(shop, 2, 7);
});
