import { afterEach, beforeEach, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { ioredis } from '../driver/ioredis.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { InvalidationPendingError } from '../errors.ts';
import { type Endpoint, startEndpoint } from '../testing/endpoint.ts';
import { Shop, untilCached } from '../testing/shop.ts';
import { waitFor } from '../testing/wait-for.ts';

let shop: Shop;
const engines: TestEngine[] = [];
const endpoints: Endpoint[] = [];
beforeEach(() => {
  shop = new Shop();
});
afterEach(async () => {
  await shop.close();
  await Promise.all(endpoints.splice(0).map((endpoint) => endpoint.close()));
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
});

async function engine(extra: readonly string[] = []): Promise<TestEngine> {
  const started = await startEngine('valkey', extra);
  engines.push(started);
  return started;
}

test.each([
  ['node-redis', nodeRedis],
  ['ioredis', ioredis],
] as const)('killed and restarted empty: reads go on, and a new epoch begins (%s)', async (_, driverOf) => {
  const primary = await engine();
  const one = shop.open('empty', driverOf(primary));
  const invalidator = one.cache.invalidator(shop.source);
  await invalidator.start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  await primary.kill();
  shop.change(1, 2);
  const changedAt = performance.now();
  await waitFor('the new price', async () => (await one.product.get(1))?.price === 2);
  expect(performance.now() - changedAt).toBeLessThan(300);
  await waitFor('down', () => one.cache.stats().far === 'down');
  await primary.restart();
  await waitFor('a new epoch', () => invalidator.status().epochsBegun === 2);
  await untilCached(one, 1);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
});

test('FLUSHALL: a new epoch begins, nothing old comes back', async () => {
  const primary = await engine();
  const one = shop.open('flushall', nodeRedis(primary));
  const invalidator = one.cache.invalidator(shop.source);
  await invalidator.start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  await command(primary, ['FLUSHALL']);
  shop.change(1, 2);
  await waitFor('a new epoch', () => invalidator.status().epochsBegun === 2);
  await waitFor('the new price', async () => (await one.product.get(1))?.price === 2);
  await untilCached(one, 1);
});

test.each([
  ['the stamp table', 'stamps'],
  ['the state', 'state'],
  ['the beat', 'beat'],
])('%s alone is lost, as by eviction: noticed, and rebuilt', async (_, part) => {
  const primary = await engine();
  const one = shop.open('partial', nodeRedis(primary));
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  const key = (await command(primary, ['KEYS', `*#${part}`])).split('\r\n')[2]!;
  await command(primary, ['DEL', key]);
  shop.change(1, 2);
  await waitFor('the new price', async () => (await one.product.get(1))?.price === 2);
  await untilCached(one, 1);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
});

test('a promoted replica that lost the last invalidations is repaired before it is believed', async () => {
  const primary = await engine(['--repl-diskless-sync-delay', '0']);
  const replica = await engine();
  await command(replica, ['REPLICAOF', primary.host, String(primary.port)]);
  await waitFor('replication', async () =>
    (await command(replica, ['INFO', 'replication'])).includes('master_link_status:up'),
  );
  const endpoint = await startEndpoint(primary);
  endpoints.push(endpoint);
  const one = shop.open('promote', nodeRedis(endpoint));
  const two = shop.open('promote', nodeRedis(endpoint), { near: false });
  const invalidator = one.cache.invalidator(shop.source);
  await invalidator.start();
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  for (let id = 1; id <= 20; id += 1) shop.rows.set(id, { id, price: 1 });
  for (let id = 1; id <= 20; id += 1) await untilCached(one, id);
  await command(primary, ['WAIT', '1', '1000']);
  // From here on the replica hears nothing.
  await command(replica, ['REPLICAOF', 'NO', 'ONE']);
  const changedAt = performance.now();
  for (let id = 1; id <= 20; id += 1) shop.change(id, 2);
  await waitFor('applied to the old primary', async () => (await two.product.get(20))?.price === 2);
  endpoint.moveTo(undefined);
  await primary.kill();
  expect((await command(replica, ['EXISTS', ...(await keysOf(replica, '*product:1:20'))]))[1]).toBe('1');
  endpoint.moveTo(replica);
  let stale = 0;
  const until = performance.now() + 1_000;
  while (performance.now() < until) {
    for (const { product } of [one, two]) {
      for (const id of [1, 10, 20]) {
        const startedAt = performance.now();
        const value = await product.get(id);
        if (value?.price !== 2 && startedAt - changedAt > 250) stale += 1;
      }
    }
    await new Promise(setImmediate);
  }
  expect(stale).toBe(0);
  expect(invalidator.status().failoversRepaired).toBe(1);
  expect(invalidator.status().epochsBegun).toBe(1);
  for (const { product } of [one, two]) {
    for (let id = 1; id <= 20; id += 1) expect(await product.get(id)).toEqual({ id, price: 2 });
  }
  await untilCached(two, 1);
});

test('an engine that hangs is given up within its deadline', async () => {
  const primary = await engine();
  const one = shop.open('hang', nodeRedis(primary), { farTimeoutMs: 100 });
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  process.kill(primary.pid, 'SIGSTOP');
  shop.rows.set(2, { id: 2, price: 1 });
  expect(await one.product.get(2)).toEqual({ id: 2, price: 1 });
  await waitFor('down', () => one.cache.stats().far === 'down');
  process.kill(primary.pid, 'SIGCONT');
  await untilCached(one, 2);
});

test('an invalidation that cannot reach the shared tier is owed, and paid before it is read again', async () => {
  const primary = await engine(['--appendonly', 'yes', '--appendfsync', 'always']);
  const one = shop.open('owed', nodeRedis(primary), { watched: false });
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  await primary.kill();
  shop.rows.set(1, { id: 1, price: 2 });
  await expect(one.product.invalidate(1)).rejects.toThrow(InvalidationPendingError);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
  expect(await one.product.write(1, async () => 'done')).toBe('done');
  await primary.restart();
  await waitFor('paid', () => one.cache.stats().invalidationsOwed === 0 && one.cache.stats().far === 'up');
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
});

async function keysOf(engine: TestEngine, pattern: string): Promise<string[]> {
  const lines = (await command(engine, ['KEYS', pattern])).split('\r\n');
  return lines.filter((line) => line.startsWith('{'));
}
