import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { holdingDriver } from '../testing/holding-driver.ts';
import { type OpenShop, Shop, untilCached } from '../testing/shop.ts';
import { gate, waitFor } from '../testing/wait-for.ts';

let engine: TestEngine;
let shop: Shop;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine?.stop());
beforeEach(async () => {
  await command(engine, ['FLUSHALL']);
  shop = new Shop();
});
afterEach(() => shop.close());

async function untilNear({ product }: OpenShop, id: number): Promise<void> {
  await waitFor(`product ${id} near`, async () => {
    await product.get(id);
    return product.near(id) !== undefined;
  });
}

test('two near tiers follow every change', async () => {
  const one = shop.open('follow', nodeRedis(engine));
  const two = shop.open('follow', nodeRedis(engine));
  await one.cache.invalidator(shop.source).start();
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 0 });
  for (let price = 1; price <= 50; price += 1) {
    await Promise.all([untilNear(one, 1), untilNear(two, 1)]);
    expect([one.product.near(1)?.price, two.product.near(1)?.price]).toEqual([price - 1, price - 1]);
    shop.change(1, price);
    await waitFor('both tiers emptied', () => !one.product.near(1) && !two.product.near(1));
  }
  expect(one.cache.stats().gaps + two.cache.stats().gaps).toBe(0);
});

test('a hot key costs one load per change over all caches', async () => {
  const shops = Array.from({ length: 4 }, () => shop.open('hot', nodeRedis(engine)));
  await shops[0]!.cache.invalidator(shop.source).start();
  await Promise.all(shops.map(({ cache }) => cache.ready()));
  shop.rows.set(1, { id: 1, price: 0 });
  await Promise.all(shops.map((each) => untilNear(each, 1)));
  const before = shop.loads;
  for (let price = 1; price <= 100; price += 1) {
    shop.change(1, price);
    await Promise.all(
      shops.map(({ product }) =>
        waitFor('the new price', async () => (await product.get(1))?.price === price),
      ),
    );
  }
  expect(shop.loads - before).toBeLessThanOrEqual(150);
});

test('after a flush the same value is the same object again, and another value is not', async () => {
  const one = shop.open('same', nodeRedis(engine));
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 5 });
  await untilNear(one, 1);
  const before = one.product.near(1);
  const flushes = one.cache.stats().nearFlushes;
  await command(engine, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
  await waitFor('the flush', () => one.cache.stats().nearFlushes > flushes);
  await untilNear(one, 1);
  expect(one.product.near(1)).toBe(before);
  shop.change(1, 6);
  await waitFor('the new price', async () => (await one.product.get(1))?.price === 6);
  expect(one.product.near(1)).not.toBe(before);
});

test('a lost subscription flushes, and what was missed meanwhile is not served', async () => {
  const one = shop.open('deaf', nodeRedis(engine));
  const two = shop.open('deaf', nodeRedis(engine));
  await two.cache.invalidator(shop.source).start();
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  await untilNear(one, 1);
  const flushes = one.cache.stats().nearFlushes;
  await command(engine, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
  shop.change(1, 2);
  await waitFor('the new price', async () => (await one.product.get(1))?.price === 2);
  await waitFor('flushed', () => one.cache.stats().nearFlushes > flushes);
  await untilNear(one, 1);
  expect(one.product.near(1)).toEqual({ id: 1, price: 2 });
});

test('when the feed stalls, nothing is served beyond the bound, near or far', async () => {
  const one = shop.open('stall', nodeRedis(engine));
  const invalidator = one.cache.invalidator(shop.source);
  await invalidator.start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilNear(one, 1);
  shop.source.stall(true);
  const stalledAt = performance.now();
  shop.rows.set(1, { id: 1, price: 2 });
  await waitFor('the near tier to refuse', () => one.product.near(1) === undefined);
  expect(performance.now() - stalledAt).toBeLessThan(300);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
  const direct = one.cache.stats().directLoads;
  expect(direct).toBeGreaterThan(0);
  // What was just read from the database serves for half of the bound: a stall is no herd.
  expect(one.product.near(1)).toEqual({ id: 1, price: 2 });
  shop.source.stall(false);
  await untilCached(one, 1);
});

test('a heartbeat waits for the changes it speaks for', async () => {
  const one = shop.open('late', nodeRedis(engine));
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilNear(one, 1);
  // The database answers, the stream is silent: as when the walsender lags.
  shop.source.withhold(true);
  shop.change(1, 2);
  await waitFor('the near tier to refuse', () => one.product.near(1)?.price !== 1);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
  expect((await one.product.explain(1)).why).toMatch(/stale/);
  shop.source.withhold(false);
  await untilCached(one, 1);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
});

test('a far hit that an invalidation overtook is not kept near', async () => {
  const { driver, hold } = holdingDriver(nodeRedis(engine));
  const slow = shop.open('overtaken', driver);
  const other = shop.open('overtaken', nodeRedis(engine));
  await other.cache.invalidator(shop.source).start();
  await Promise.all([slow.cache.ready(), other.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(other, 1);
  const read = gate();
  const invalidated = gate();
  hold('MGET', async () => {
    read.open();
    await invalidated.opened;
  });
  const reading = slow.product.get(1);
  await read.opened;
  shop.change(1, 2);
  await waitFor('the other to see it', async () => (await other.product.get(1))?.price === 2);
  // Its own message has arrived as well once a later reader gets a flight of its own.
  await waitFor('the message', () => {
    const newer = slow.product.get(1);
    newer.catch(() => {});
    return newer !== reading;
  });
  invalidated.open();
  expect(await reading).toEqual({ id: 1, price: 1 });
  expect(slow.product.near(1)?.price).not.toBe(1);
  await untilNear(slow, 1);
  expect(slow.product.near(1)).toEqual({ id: 1, price: 2 });
});

test('without a feed near tiers are proven by pulses, and follow invalidations', async () => {
  const one = shop.open('pulse', nodeRedis(engine), { watched: false });
  const two = shop.open('pulse', nodeRedis(engine), { watched: false });
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  await Promise.all([untilNear(one, 1), untilNear(two, 1)]);
  shop.rows.set(1, { id: 1, price: 2 });
  await one.product.invalidate(1);
  await waitFor('the other to hear', () => two.product.near(1)?.price !== 1);
  expect(await two.product.get(1)).toEqual({ id: 1, price: 2 });
});

test('near values are shared and frozen', async () => {
  const one = shop.open('frozen', nodeRedis(engine), { watched: false });
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilNear(one, 1);
  expect(one.product.near(1)).toBe(one.product.near(1));
  expect(Object.isFrozen(one.product.near(1))).toBe(true);
});
