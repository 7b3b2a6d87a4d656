import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, expect, test } from 'vitest';
import { type Cache, type CacheOptions, createCache } from './cache.ts';
import type { Driver } from './driver/driver.ts';
import { CacheConfigError, CacheValueError, LoadTimeoutError } from './errors.ts';
import { gate } from './testing/wait-for.ts';

/** A shared tier that never comes up. */
const nowhere: Driver = {
  name: 'nowhere',
  clustered: false,
  nodes: [{ host: 'nowhere', port: 1 }],
  openLink: () => ({ send: () => Promise.reject(new Error('Down.')), reset() {}, close() {} }),
  openSubscriber: () => ({ reset() {}, close() {} }),
};

const open: Cache[] = [];
function cacheOf(options: Partial<CacheOptions> = {}): Cache {
  const cache = createCache({ name: 'test', far: nowhere, ...options });
  open.push(cache);
  return cache;
}
afterEach(() => Promise.all(open.splice(0).map((cache) => cache.close())));

test.each<[string, unknown]>([
  ['name', { name: 'a b' }],
  ['name', { name: '' }],
  ['far', { far: undefined }],
  ['far', { far: { host: 'x' } }],
  ['far', { far: { ...nowhere, nodes: [] } }],
  ['boundMs', { boundMs: 10 }],
  ['boundMs', { boundMs: Number.NaN }],
  ['near.maxBytes', { near: { maxBytes: 1 } }],
  ['loads.maxConcurrent', { loads: { maxConcurrent: 0 } }],
  ['loads.timeoutMs', { loads: { timeoutMs: -1 } }],
  ['partitions', { partitions: 1.5 }],
  ['farTimeoutMs', { farTimeoutMs: 0 }],
])('refuses a wrong %s, by name', (name, options) => {
  const make = () => cacheOf(options as Partial<CacheOptions>);
  expect(make).toThrow(CacheConfigError);
  expect(make).toThrow(`\`${name}\``);
});

test.each<[string, object]>([
  ['name', { name: '#' }],
  ['version', { version: -1 }],
  ['freshMs', { freshMs: 0 }],
  ['absentMs', { absentMs: Number.POSITIVE_INFINITY }],
  ['jitter', { jitter: 2 }],
  ['public.products', { watches: [{ table: 'products', key: () => 1 }] }],
])('refuses a definition with a wrong %s', (text, options) => {
  const define = () => cacheOf().define({ name: 'product', key: String, load: async () => null, ...options });
  expect(define).toThrow(CacheConfigError);
  expect(define).toThrow(text);
});

test('refuses a second definition of a name, and an invalidator without watches', () => {
  const cache = cacheOf();
  const options = { name: 'product', key: String, load: async () => null };
  cache.define(options);
  expect(() => cache.define(options)).toThrow(CacheConfigError);
  const source = { name: 'none' } as unknown as Parameters<Cache['invalidator']>[0];
  expect(() => cache.invalidator(source)).toThrow(/watches/);
});

test('with the shared tier down, values come from the loader, and hold for half of the bound', async () => {
  let now = 0;
  let loads = 0;
  const cache = cacheOf({ clock: { nowMs: () => now } });
  const product = cache.define<number, { at: Date | string }>({
    name: 'product',
    key: String,
    load: async () => {
      loads += 1;
      return { at: new Date(0) };
    },
  });
  // As every later reader gets it: through JSON.
  expect(await product.get(1)).toEqual({ at: '1970-01-01T00:00:00.000Z' });
  now = 124;
  expect(product.near(1)).toEqual({ at: '1970-01-01T00:00:00.000Z' });
  now = 126;
  expect(product.near(1)).toBeUndefined();
  await product.get(1);
  expect(loads).toBe(2);
  expect(cache.stats()).toMatchObject({ far: 'down', directLoads: 2, nearHits: 1, feedAgeMs: null });
});

test('while nothing proves otherwise, only a young load is joined', async () => {
  let now = 0;
  const cache = cacheOf({ clock: { nowMs: () => now } });
  const held = gate();
  let loads = 0;
  const product = cache.define<number, number>({
    name: 'product',
    key: String,
    load: async () => {
      loads += 1;
      await held.opened;
      return loads;
    },
  });
  const first = product.get(1);
  await new Promise(setImmediate);
  now = 100;
  const second = product.get(1);
  now = 200;
  const third = product.get(1);
  await new Promise(setImmediate);
  expect(loads).toBe(2);
  held.open();
  await Promise.all([first, second, third]);
});

test('a loader that fails fails its callers, once', async () => {
  const cache = cacheOf({ loads: { timeoutMs: 20 } });
  let loads = 0;
  const define = (name: string, load: (id: number) => Promise<unknown>) =>
    cache.define({ name, key: String, load });
  const failing = define('failing', async () => {
    loads += 1;
    throw new Error('No.');
  });
  await expect(Promise.all([failing.get(1), failing.get(1)])).rejects.toThrow('No.');
  expect(loads).toBe(1);
  await expect(define('slow', () => new Promise(() => {})).get(1)).rejects.toThrow(LoadTimeoutError);
  await expect(define('odd', async () => () => 1).get(1)).rejects.toThrow(CacheValueError);
});

test('telemetry is told who listens', async () => {
  const heard: unknown[] = [];
  const listener = (message: unknown): void => void heard.push(message);
  subscribe('larder:cache:load', listener);
  const product = cacheOf().define({ name: 'product', key: String, load: async () => null });
  await product.get(7);
  unsubscribe('larder:cache:load', listener);
  await product.get(8);
  expect(heard).toEqual([
    { cache: 'test', definition: 'product', key: '7', durationMs: expect.any(Number), outcome: 'absent' },
  ]);
});
