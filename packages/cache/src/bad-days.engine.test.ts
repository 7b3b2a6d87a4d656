/**
 * Bad input and bad days of the shared tier, and what a caller sees of each. Elsewhere: a loader that throws, hangs or
 * gives nothing (protocol, definition, loads), a poisoned entry and one of a newer format (protocol), killed, stopped
 * and flushed engines (history, near, far/failover), a slot that moves (cluster), a lost slot, a new timeline and an
 * altered table (feed/postgres-faults), a lagging replica (far/replica-reads).
 */
import { afterEach, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../testing/engine.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { InvalidationPendingError } from './errors.ts';
import { Shop } from './testing/shop.ts';
import { waitFor } from './testing/wait-for.ts';

const engines: TestEngine[] = [];
let shop = new Shop();
afterEach(async () => {
  await shop.close();
  shop = new Shop();
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
});

async function start(...extra: string[]): Promise<TestEngine> {
  const engine = await startEngine('valkey', extra);
  engines.push(engine);
  return engine;
}

test('a full engine: invalidations work as ever, reads load, nothing stale is served', async () => {
  const engine = await start('--maxmemory-policy', 'noeviction');
  const { cache, product } = shop.open('full', nodeRedis(engine), { watched: false });
  await cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  await waitFor('the value near', async () => {
    await product.get(1);
    return product.near(1) !== undefined;
  });
  await command(engine, ['CONFIG', 'SET', 'maxmemory', '1mb']);
  shop.rows.set(1, { id: 1, price: 2 });
  shop.rows.set(2, { id: 2, price: 2 });
  // An engine lets a script that began by removing something finish.
  await product.invalidate(1);
  expect(await product.get(1)).toEqual({ id: 1, price: 2 });
  expect(await product.get(2)).toEqual({ id: 2, price: 2 });
  expect((await product.explain(2)).why).toBe('The shared tier has no entry.');
  await command(engine, ['CONFIG', 'SET', 'maxmemory', '100mb']);
  await waitFor('the new value cached', async () => {
    await product.get(1);
    return (await product.peek(1))?.price === 2;
  });
});

test('an endpoint that leads to a read-only replica: reads load, and the cache comes back with a primary', async () => {
  const primary = await start();
  const replica = await start('--replicaof', `${primary.host} ${primary.port}`);
  const { cache, product } = shop.open('read-only', nodeRedis(replica), { watched: false });
  await cache.ready();
  shop.rows.set(1, { id: 1, price: 1 });
  expect(await product.get(1)).toEqual({ id: 1, price: 1 });
  await expect(product.invalidate(1)).rejects.toThrow(InvalidationPendingError);
  await command(replica, ['REPLICAOF', 'NO', 'ONE']);
  await waitFor('the debt to be paid, and the value in the shared tier', async () => {
    await product.get(1);
    return cache.stats().invalidationsOwed === 0 && (await product.peek(1)) !== undefined;
  });
});

test('a loader that gives nothing, or far too much', async () => {
  const engine = await start();
  const { cache } = shop.open('odd', nodeRedis(engine), { watched: false });
  const odd = cache.define<string, unknown>({
    name: 'odd',
    key: (kind) => kind,
    load: async (kind) => (kind === 'undefined' ? undefined : 'x'.repeat(200 * 2 ** 20)),
  });
  await cache.ready();
  expect(await odd.get('undefined')).toBeNull();
  expect(await odd.peek('undefined')).toBeNull();
  expect(await odd.get('200 MB')).toHaveLength(200 * 2 ** 20);
  expect(await odd.peek('200 MB')).toBeUndefined();
  expect(odd.stats.oversized).toBe(1);
});

test('values that JSON cannot hold fail their callers, and say which', async () => {
  const engine = await start();
  const { cache } = shop.open('json', nodeRedis(engine), { watched: false });
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const bad = cache.define<string, unknown>({
    name: 'bad',
    key: (kind) => kind,
    load: async (kind) => (kind === 'circular' ? circular : kind === 'bigint' ? 1n : () => 1),
  });
  await cache.ready();
  await expect(bad.get('circular')).rejects.toThrow(/bad.*circular/);
  await expect(bad.get('bigint')).rejects.toThrow(/bad.*bigint/);
  await expect(bad.get('function')).rejects.toThrow(/bad.*function/);
});
