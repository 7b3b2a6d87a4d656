import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../testing/engine.ts';
import type { Driver, DriverOptions } from './driver/driver.ts';
import { ioredis } from './driver/ioredis.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { LoadFailedElsewhereError, LoadQueueError } from './errors.ts';
import { Shop, untilCached } from './testing/shop.ts';
import { gate, waitFor } from './testing/wait-for.ts';

const drivers: readonly [string, (options: DriverOptions) => Driver][] = [
  ['node-redis', nodeRedis],
  ['ioredis', ioredis],
];

let engine: TestEngine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine?.stop());

let shop: Shop;
beforeEach(async () => {
  await command(engine, ['FLUSHALL']);
  shop = new Shop();
});
afterEach(() => shop.close());

describe.each(drivers)('over %s', (driverName, driverOf) => {
  test('a fill that raced a change is refused, and its caller gets the newer value: 100 of 100', async () => {
    const reader = shop.open(`race-${driverName}`, driverOf(engine), { near: false });
    const other = shop.open(`race-${driverName}`, driverOf(engine), { near: false });
    await reader.cache.invalidator(shop.source).start();
    await Promise.all([reader.cache.ready(), other.cache.ready()]);
    shop.rows.set(0, { id: 0, price: 1 });
    await untilCached(reader, 0);
    for (let id = 1; id <= 100; id += 1) {
      shop.rows.set(id, { id, price: 1 });
      const reading = gate();
      const changed = gate();
      shop.pause = async () => {
        shop.pause = async () => {};
        reading.open();
        await changed.opened;
      };
      const racing = reader.product.get(id);
      await reading.opened;
      shop.change(id, 2);
      await waitFor('the change in the engine', async () => {
        const [applied] = await stamps(other.cache.name);
        return applied === shop.source.position;
      });
      changed.open();
      expect(await racing).toEqual({ id, price: 2 });
      expect(await other.product.get(id)).toEqual({ id, price: 2 });
    }
    expect(reader.cache.stats().refusedFills.stamp).toBe(100);
  });

  test('the same for an invalidation by an application in another process', async () => {
    const options = { near: false, watched: false } as const;
    const reader = shop.open(`generation-${driverName}`, driverOf(engine), options);
    const writer = shop.open(`generation-${driverName}`, driverOf(engine), options);
    await Promise.all([reader.cache.ready(), writer.cache.ready()]);
    for (let id = 1; id <= 100; id += 1) {
      shop.rows.set(id, { id, price: 1 });
      const reading = gate();
      const changed = gate();
      shop.pause = async () => {
        shop.pause = async () => {};
        reading.open();
        await changed.opened;
      };
      const racing = reader.product.get(id);
      await reading.opened;
      shop.rows.set(id, { id, price: 2 });
      await writer.product.invalidate(id);
      changed.open();
      expect(await racing).toEqual({ id, price: 2 });
      expect(await writer.product.get(id)).toEqual({ id, price: 2 });
    }
    expect(reader.cache.stats().refusedFills.generation).toBe(100);
  });
});

/** Applied position of the single partition. */
async function stamps(namespace: string): Promise<[bigint]> {
  const reply = await command(engine, ['EVAL', APPLIED, '0', namespace]);
  const hex = reply.split('\r\n')[1] ?? '';
  return [BigInt(`0x${hex === '' ? '0' : hex}`)];
}
const APPLIED = `local keys = redis.call('KEYS', '{' .. ARGV[1] .. ':*#state')
return redis.call('HGET', keys[1], 'a')`;

test('while a change is applied but not visible, reads pass to the database and poison nothing', async () => {
  const one = shop.open('gap', nodeRedis(engine), { near: false });
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  const { transaction, position } = shop.source.commit('public.products', { id: '1' }, { visible: false });
  await waitFor('applied', async () => (await stamps('gap'))[0] >= position);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 1 });
  expect((await one.product.explain(1)).tier).toBe('database');
  expect(shop.source.acknowledged).toBeLessThan(position);
  shop.rows.set(1, { id: 1, price: 2 });
  shop.source.reveal(transaction);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
  await untilCached(one, 1);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
  await waitFor('acknowledged', () => shop.source.acknowledged >= position);
});

test('readers in the gap wait for the change to become visible rather than load', async () => {
  const one = shop.open('gap-wait', nodeRedis(engine), { boundMs: 2_000 });
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  const { transaction } = shop.source.commit('public.products', { id: '1' }, { visible: false });
  await waitFor('near gone', () => one.product.near(1) === undefined);
  const before = shop.loads;
  const readers = Promise.all(Array.from({ length: 50 }, () => one.product.get(1)));
  await waitFor('waiting', () => one.cache.stats().waits.visibility > 0);
  expect(shop.loads).toBe(before);
  shop.rows.set(1, { id: 1, price: 2 });
  shop.source.reveal(transaction);
  for (const value of await readers) expect(value).toEqual({ id: 1, price: 2 });
  expect(shop.loads).toBe(before + 1);
});

test('a read that starts after an invalidation never joins an older load', async () => {
  const one = shop.open('join', nodeRedis(engine), { watched: false });
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  const reading = gate();
  const held = gate();
  shop.pause = async () => {
    shop.pause = async () => {};
    reading.open();
    await held.opened;
  };
  const older = one.product.get(1);
  await reading.opened;
  const joined = one.product.get(1);
  shop.rows.set(1, { id: 1, price: 2 });
  const invalidated = one.product.invalidate(1);
  const newer = one.product.get(1);
  expect(await newer).toEqual({ id: 1, price: 2 });
  await invalidated;
  held.open();
  expect(await older).toEqual({ id: 1, price: 2 });
  expect(await joined).toEqual({ id: 1, price: 2 });
});

test('a cold key is loaded once by many caches with many callers', async () => {
  const shops = Array.from({ length: 4 }, () => shop.open('herd', nodeRedis(engine), { watched: false }));
  await Promise.all(shops.map(({ cache }) => cache.ready()));
  shop.rows.set(1, { id: 1, price: 1 });
  const held = gate();
  shop.pause = () => held.opened;
  const readers = Promise.all(
    shops.flatMap(({ product }) => Array.from({ length: 50 }, () => product.get(1))),
  );
  await waitFor(
    'the others waiting',
    () => shops.filter(({ cache }) => cache.stats().waits.lease > 0).length === 3,
  );
  held.open();
  for (const value of await readers) expect(value).toEqual({ id: 1, price: 1 });
  expect(shop.loads).toBe(1);
});

test('a failing loader runs once, fails everybody who waits for it, and is tried again by the next', async () => {
  const [one, two] = [1, 2].map(() => shop.open('fail', nodeRedis(engine), { watched: false })) as [
    ReturnType<Shop['open']>,
    ReturnType<Shop['open']>,
  ];
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  const held = gate();
  shop.pause = async () => {
    shop.pause = async () => {};
    await held.opened;
    throw new Error('The database is tired.');
  };
  const failing = Array.from({ length: 10 }, () => one.product.get(1));
  for (const promise of failing) promise.catch(() => {});
  await waitFor('the load', () => shop.loads === 1);
  const waiting = two.product.get(1);
  await waitFor('the other process waiting', () => two.cache.stats().waits.lease === 1);
  waiting.catch(() => {});
  held.open();
  for (const promise of failing) await expect(promise).rejects.toThrow('The database is tired.');
  await expect(waiting).rejects.toThrow(LoadFailedElsewhereError);
  await expect(waiting).rejects.toThrow('The database is tired.');
  expect(shop.loads).toBe(1);
  expect(await two.product.get(1)).toEqual({ id: 1, price: 1 });
});

test('absence is cached, and an insert ends it', async () => {
  const one = shop.open('absent', nodeRedis(engine));
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  await untilCached(one, 5);
  expect(one.product.near(5)).toBeNull();
  const before = shop.loads;
  expect(await one.product.get(5)).toBeNull();
  expect(shop.loads).toBe(before);
  shop.change(5, 50);
  await waitFor('the row', async () => (await one.product.get(5))?.price === 50);
});

test('many: in order, one load for all that are missing, duplicates and all', async () => {
  const one = shop.open('many', nodeRedis(engine), { watched: false });
  let batches = 0;
  const definition = one.cache.define<number, { id: number }>({
    name: 'batched',
    key: String,
    load: async (id) => ({ id }),
    loadMany: async (ids) => {
      batches += 1;
      return new Map(ids.filter((id) => id !== 3).map((id) => [id, { id }]));
    },
  });
  await one.cache.ready();
  expect(await definition.many([4, 3, 4, 1])).toEqual([{ id: 4 }, null, { id: 4 }, { id: 1 }]);
  expect(batches).toBe(1);
  expect(await definition.many([1, 2, 3])).toEqual([{ id: 1 }, { id: 2 }, null]);
  expect(definition.stats.loads).toBe(4);
});

test('write saves, invalidates, and leaves what a loader read', async () => {
  const one = shop.open('write', nodeRedis(engine), { watched: false });
  const two = shop.open('write', nodeRedis(engine), { watched: false });
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  await Promise.all([untilCached(one, 1), untilCached(two, 1)]);
  const saved = await one.product.write(1, async () => {
    shop.rows.set(1, { id: 1, price: 2 });
    return 'saved';
  });
  expect(saved).toBe('saved');
  expect(await one.product.get(1)).toEqual({ id: 1, price: 2 });
  await waitFor('the other near tier', async () => (await two.product.get(1))?.price === 2);
  const failing = one.product.write(1, () => Promise.reject(new Error('Refused.')));
  await expect(failing).rejects.toThrow('Refused.');
});

test('a slow loader keeps its lease', async () => {
  const [one, two] = [1, 2].map(() => shop.open('slow', nodeRedis(engine), { watched: false })) as [
    ReturnType<Shop['open']>,
    ReturnType<Shop['open']>,
  ];
  await Promise.all([one.cache.ready(), two.cache.ready()]);
  shop.rows.set(1, { id: 1, price: 1 });
  shop.pause = () => new Promise((resolve) => setTimeout(resolve, 800));
  const values = await Promise.all([one.product.get(1), two.product.get(1)]);
  expect(values).toEqual([
    { id: 1, price: 1 },
    { id: 1, price: 1 },
  ]);
  expect(shop.loads).toBe(1);
});

test('with the cache down, loads are bounded, joined, and refused when the queue is full', async () => {
  const down = nodeRedis({ host: '127.0.0.1', port: 1 });
  const loads = { maxConcurrent: 4, timeoutMs: 200, maxQueued: 8 };
  const { cache, product } = shop.open('down', down, { loads });
  let running = 0;
  let most = 0;
  const held = gate();
  shop.pause = async () => {
    running += 1;
    most = Math.max(most, running);
    await held.opened;
    running -= 1;
  };
  for (let id = 1; id <= 20; id += 1) shop.rows.set(id, { id, price: id });
  const reads = Array.from({ length: 20 }, (_, i) => product.get(i + 1));
  const same = product.get(1);
  const settled = Promise.allSettled([...reads, same]);
  await waitFor('refusals', () => cache.stats().loadFailures >= 8);
  held.open();
  const results = await settled;
  const refused = results.filter(({ status }) => status === 'rejected');
  expect(most).toBe(4);
  expect(refused.length).toBe(8);
  for (const result of refused)
    expect((result as PromiseRejectedResult).reason).toBeInstanceOf(LoadQueueError);
  expect(results.at(-1)).toEqual({ status: 'fulfilled', value: { id: 1, price: 1 } });
  expect(shop.loads).toBe(12);
});

test('what others wrote under our keys is a miss, never an error', async () => {
  const one = shop.open('hostile', nodeRedis(engine), { near: false });
  await one.cache.invalidator(shop.source).start();
  await one.cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await untilCached(one, 1);
  const key = (await command(engine, ['KEYS', '*product:1:1'])).split('\r\n')[2]!;
  const good = (await command(engine, ['GET', key])).split('\r\n').slice(1, 3).join('\n');
  const hostile = [
    '',
    'garbage',
    '\u0000'.repeat(200),
    `LC2${good.slice(3)}`,
    `${good.slice(0, 57)}{"id":`,
    good.slice(0, 30),
  ];
  for (const text of hostile) {
    await command(engine, ['SET', key, text]);
    expect(await one.product.get(1)).toEqual({ id: 1, price: 1 });
    await untilCached(one, 1);
  }
  await command(engine, ['DEL', key]);
  await command(engine, ['LPUSH', key, 'a list']);
  expect(await one.product.get(1)).toEqual({ id: 1, price: 1 });
  expect(one.cache.stats().loadFailures).toBe(0);
});

test('a schema guards both ends', async () => {
  const one = shop.open('schema', nodeRedis(engine), { watched: false });
  let loaded: unknown = { id: 1 };
  const options = {
    key: String,
    load: async () => loaded as { id: number },
    schema: {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof (value as { id?: unknown }).id === 'number'
            ? { value: value as { id: number } }
            : { issues: [{ message: 'must be a number', path: ['id'] }] },
      },
    },
  };
  const strict = one.cache.define<number, { id: number }>({ name: 'strict', ...options });
  await one.cache.ready();
  loaded = { id: 'one' };
  await expect(strict.get(1)).rejects.toThrow('id: must be a number');
  loaded = { id: 1 };
  expect(await strict.get(1)).toEqual({ id: 1 });
  const key = (await command(engine, ['KEYS', '*strict:1:1'])).split('\r\n')[2]!;
  const good = (await command(engine, ['GET', key])).split('\r\n').slice(1, 3).join('\n');
  await command(engine, ['SET', key, good.replace('{"id":1}', '{"id":"x"}')]);
  const fresh = shop.open('schema', nodeRedis(engine), { watched: false });
  const again = fresh.cache.define<number, { id: number }>({ name: 'strict', ...options });
  await fresh.cache.ready();
  expect(await again.get(1)).toEqual({ id: 1 });
  expect(again.stats.invalidEntries).toBe(1);
});
