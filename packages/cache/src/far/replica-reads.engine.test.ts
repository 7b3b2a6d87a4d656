/** Reads from replicas: they carry the load, and a replica that lags is passed over before the bound is reached. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError } from '../errors.ts';
import { Shop, untilCached } from '../testing/shop.ts';
import { waitFor } from '../testing/wait-for.ts';

let primary: TestEngine;
let replica: TestEngine;
beforeAll(async () => {
  primary = await startEngine();
  replica = await startEngine('valkey', ['--replicaof', `${primary.host} ${primary.port}`]);
});
afterAll(() => Promise.all([primary?.stop(), replica?.stop()]));

let shop: Shop;
beforeEach(async () => {
  await command(primary, ['FLUSHALL']);
  await waitFor('the replica to follow', async () =>
    (await command(replica, ['INFO', 'replication'])).includes('master_link_status:up'),
  );
  shop = new Shop();
});
afterEach(() => shop.close());

async function readsOf(engine: TestEngine): Promise<number> {
  const stats = await command(engine, ['INFO', 'commandstats']);
  return Number(/cmdstat_mget:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

function open(name: string) {
  const { host, port } = replica;
  return shop.open(name, nodeRedis(primary), { near: false, reads: { replicas: [{ host, port }] } });
}

test('hits are read there, misses and fills go to the primary', async () => {
  const reader = open('spread');
  await reader.cache.invalidator(shop.source).start();
  await reader.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(reader, 1);
  await waitFor(
    'the entry in the replica',
    async () => (await command(replica, ['KEYS', '*product*'])) !== '*0\r\n',
  );
  const before = { primary: await readsOf(primary), replica: await readsOf(replica) };
  const hits = reader.cache.stats().farHits;
  for (let i = 0; i < 100; i += 1) await reader.product.get(1);
  expect(reader.cache.stats().farHits).toBe(hits + 100);
  expect((await readsOf(replica)) - before.replica).toBe(100);
  expect((await readsOf(primary)) - before.primary).toBeLessThan(20);
});

test('a replica that is cut off is not believed longer than the bound, and nothing stale is served', async () => {
  const reader = open('lagging');
  await reader.cache.invalidator(shop.source).start();
  await reader.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(reader, 1);
  await reader.product.get(1);
  // It keeps what it has, and its last beat.
  await command(replica, ['REPLICAOF', 'NO', 'ONE']);
  shop.change(1, 2);
  const changedAtMs = performance.now();
  for (;;) {
    const askedAtMs = performance.now();
    const price = (await reader.product.get(1))?.price;
    if (askedAtMs - changedAtMs > reader.cache.boundMs) {
      expect(price).toBe(2);
      if (askedAtMs - changedAtMs > 2 * reader.cache.boundMs) break;
    }
  }
  await command(replica, ['REPLICAOF', primary.host, String(primary.port)]);
});

test('where no feed proves anything, a replica is not believed at all', async () => {
  const { host, port } = replica;
  const options = { near: false, watched: false } as const;
  const reader = shop.open('unproven', nodeRedis(primary), {
    ...options,
    reads: { replicas: [{ host, port }] },
  });
  const writer = shop.open('unproven', nodeRedis(primary), options);
  await Promise.all([reader.cache.ready(), writer.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(reader, 1);
  await waitFor(
    'the entry in the replica',
    async () => (await command(replica, ['KEYS', '*product*'])) !== '*0\r\n',
  );
  await command(replica, ['REPLICAOF', 'NO', 'ONE']);
  shop.rows.set(1, { id: 1, price: 2 });
  await writer.product.invalidate(1);
  expect(await reader.product.get(1)).toMatchObject({ price: 2 });
  expect(await reader.product.get(1)).toMatchObject({ price: 2 });
  await command(replica, ['REPLICAOF', primary.host, String(primary.port)]);
});

test('a replica that is gone costs nothing but its share', async () => {
  const reader = open('gone');
  await reader.cache.invalidator(shop.source).start();
  await reader.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(reader, 1);
  await replica.kill();
  const loads = shop.loads;
  for (let i = 0; i < 50; i += 1) expect(await reader.product.get(1)).toMatchObject({ price: 1 });
  expect(shop.loads).toBe(loads);
  await replica.restart();
});

test('what cannot be read from is refused', () => {
  expect(() => shop.open('wrong', nodeRedis(primary), { reads: { replicas: 'discover' } })).toThrow(
    CacheConfigError,
  );
});
