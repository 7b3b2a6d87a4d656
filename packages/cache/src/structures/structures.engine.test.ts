/** Structures. The first test reads as documentation. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import type { Driver } from '../driver/driver.ts';
import { ioredis } from '../driver/ioredis.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError, CacheValueError } from '../errors.ts';
import { gate, waitFor } from '../testing/wait-for.ts';
import { MemoryEngine } from '../testkit/memory-engine.ts';
import { MemorySource } from '../testkit/memory-source.ts';
import { createStructures, type Scored } from './structures.ts';

let valkey: TestEngine;
let redis: TestEngine;
beforeAll(async () => {
  [valkey, redis] = await Promise.all([startEngine('valkey'), startEngine('redis')]);
});
afterAll(() => Promise.all([valkey?.stop(), redis?.stop()]));

const caches: Cache[] = [];
let source: MemorySource;
let counter = 0;
let name: string;
beforeEach(() => {
  source = new MemorySource();
  name = `shop${counter++}`;
});
afterEach(() => Promise.all(caches.splice(0).map((cache) => cache.close())));

function open(far: Driver): Cache {
  const cache = createCache({ name, far });
  caches.push(cache);
  return cache;
}
async function follow(cache: Cache): Promise<void> {
  await cache.invalidator(source).start();
  await Promise.all(caches.map((each) => each.ready()));
}

interface Product {
  readonly name: string;
  readonly price: number;
  readonly stock: number;
  readonly text: string;
}

const watches = [{ table: 'public.products', key: (row: Readonly<Record<string, string | null>>) => row.id }];

test('a page reads the parts that it shows, and they are fresh', async () => {
  const rows = new Map<number, Product>([[7, { name: 'Pen', price: 95, stock: 3, text: 'long …' }]]);
  const cache = open(nodeRedis(valkey));
  const { hash, list, sortedSet } = createStructures(cache);
  const product = hash({
    name: 'product',
    key: (id: number) => id,
    load: async (id) => rows.get(id),
    watches,
  });
  const reviews = list({
    name: 'reviews',
    key: (id: number) => id,
    load: async () => ['best', 'good', 'so so'],
  });
  const related = sortedSet({
    name: 'related',
    key: (id: number) => id,
    load: async () => [
      { member: 'ink', score: 2 },
      { member: 'nib', score: 5 },
    ],
  });
  await follow(cache);

  expect(await product.fields(7, ['price', 'stock'])).toEqual({ price: 95, stock: 3 });
  expect(await product.fields(8, ['price'])).toBeNull();
  expect(await reviews.first(7, 2)).toEqual(['best', 'good']);
  expect(await related.top(7, 1)).toEqual([{ member: 'nib', score: 5 }]);
  expect(await related.scores(7, ['ink', 'cap'])).toEqual([2, undefined]);

  // Somebody sells one, whoever it is: the row, and the event that tells of it.
  rows.set(7, { ...rows.get(7)!, price: 80, stock: 2 });
  source.commit('public.products', { id: '7' });
  await waitFor('the event', () => source.acknowledged >= source.position);
  expect(await product.fields(7, ['price', 'stock'])).toEqual({ price: 80, stock: 2 });
});

const engines: readonly [string, () => Driver][] = [
  ['the engine in memory', () => memory.driver()],
  ['Valkey over node-redis', () => nodeRedis(valkey)],
  ['Redis over ioredis', () => ioredis(redis)],
];
const memory = new MemoryEngine();

describe.each(engines)('on %s', (_, driver) => {
  test('what is loaded, cached whole and cached in parts is the same', async () => {
    const [one, two] = [open(driver()), open(driver())];
    const values = new Map<number, unknown>();
    const loads: number[] = [];
    const load = async (id: number): Promise<never> => {
      loads.push(id);
      return values.get(id) as never;
    };
    const key = (id: number): number => id;
    const of = (cache: Cache) => {
      const { hash, list, sortedSet } = createStructures(cache);
      return {
        hash: hash<number, Record<string, unknown>>({ name: 'h', key, load }),
        list: list<number, unknown>({ name: 'l', key, load }),
        set: sortedSet<number>({ name: 'z', key, load }),
      };
    };
    const [here, there] = [of(one), of(two)];
    await Promise.all([one.ready(), two.ready()]);
    const field = fc.constantFrom('a', '#', '.', '', '__proto__', 'ä', 'toString');
    const member = fc.string({ unit: 'grapheme' }).filter((text) => !text.startsWith('\0'));
    const score = fc.double({ noNaN: true, noDefaultInfinity: true });
    const kinds = fc.oneof(
      fc.tuple(fc.constant('hash' as const), fc.dictionary(field, fc.jsonValue())),
      fc.tuple(fc.constant('list' as const), fc.array(fc.jsonValue())),
      fc.tuple(fc.constant('set' as const), fc.array(fc.record({ member, score }))),
    );
    let id = 0;
    await fc.assert(
      fc.asyncProperty(kinds, fc.integer({ min: 1, max: 5 }), async ([kind, value], count) => {
        id += 1;
        values.set(id, value);
        loads.length = 0;
        const loaded = JSON.stringify(await here[kind].get(id));
        const cached = await there[kind].get(id);
        if (kind === 'hash') {
          const sorted = (object: unknown): string =>
            JSON.stringify(Object.entries(object as object).sort(([x], [y]) => (x < y ? -1 : 1)));
          expect(sorted(cached)).toBe(sorted(JSON.parse(loaded)));
          const names = ['a', '#', '.', '', '__proto__', 'ä', 'toString', 'none'];
          const part = (await there.hash.fields(id, names))!;
          expect(sorted(part)).toBe(sorted(JSON.parse(loaded)));
        } else {
          expect(JSON.stringify(cached)).toBe(loaded);
          const part = kind === 'list' ? await there.list.first(id, count) : await there.set.top(id, count);
          expect(JSON.stringify(part)).toBe(
            JSON.stringify((JSON.parse(loaded) as unknown[]).slice(0, count)),
          );
        }
        if (kind === 'set') {
          const wanted = new Map((JSON.parse(loaded) as Scored[]).map((each) => [each.member, each.score]));
          const members = [...wanted.keys(), 'none'].slice(0, 1_000);
          expect(await there.set.scores(id, members)).toEqual(members.map((each) => wanted.get(each)));
        }
        expect(loads).toEqual([id]);
      }),
      { numRuns: 100 },
    );
  });

  test('a part never mixes two versions, and never is an old one after an invalidation', async () => {
    const [one, two] = [open(driver()), open(driver())];
    let version = 0;
    const options = {
      name: 'versions',
      key: (id: number) => id,
      load: async () => ({ a: version, b: version, c: version, d: version }),
    };
    const [here, there] = [createStructures(one).hash(options), createStructures(two).hash(options)];
    await Promise.all([one.ready(), two.ready()]);
    let done = false;
    let reads = 0;
    const reading = [here, there].map(async (each) => {
      let last = 0;
      while (!done) {
        const part = (await each.fields(1, ['a', 'd']))!;
        expect(part.a).toBe(part.d);
        // What another process invalidated may be seen a moment later by this one, but never in the wrong order.
        expect(part.a).toBeGreaterThanOrEqual(last);
        last = part.a;
        reads += 1;
      }
    });
    for (let n = 1; n <= 60; n += 1) {
      version = n;
      await here.invalidate(1);
      expect((await there.fields(1, ['b', 'c']))!.b).toBe(n);
    }
    done = true;
    await Promise.all(reading);
    expect(reads).toBeGreaterThan(60);
    expect(here.stats.farHits + there.stats.farHits).toBeGreaterThan(0);
  });

  test('a fill that raced a change is refused, and its caller gets the newer version', async () => {
    const cache = open(driver());
    let price = 1;
    let hold = gate();
    const begun = gate();
    const product = createStructures(cache).hash({
      name: 'product',
      key: (id: number) => id,
      load: async () => {
        const loaded = { price };
        begun.open();
        await hold.opened;
        return loaded;
      },
      watches,
    });
    await follow(cache);
    const first = hold;
    const read = product.fields(7, ['price']);
    await begun.opened;
    price = 2;
    source.commit('public.products', { id: '7' });
    await waitFor('the event', () => source.acknowledged >= source.position);
    hold = gate();
    hold.open();
    first.open();
    expect(await read).toEqual({ price: 2 });
    expect(product.stats.refusedFills.stamp).toBe(1);
    expect(await product.fields(7, ['price'])).toEqual({ price: 2 });
  });

  test('processes load once, and a cached part is one step of the engine', async () => {
    const [one, two] = [open(driver()), open(driver())];
    let loads = 0;
    const options = {
      name: 'product',
      key: (id: number) => id,
      load: async () => {
        loads += 1;
        return { price: 1, stock: 2 };
      },
    };
    const [here, there] = [createStructures(one).hash(options), createStructures(two).hash(options)];
    await Promise.all([one.ready(), two.ready()]);
    await here.fields(1, ['price']);
    const many = Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? here : there).fields(2, ['price']));
    expect(new Set((await Promise.all(many)).map((part) => part!.price))).toEqual(new Set([1]));
    expect(loads).toBe(2);
    const { far } = two.internals;
    const run = far.run.bind(far);
    const sent: string[] = [];
    far.run = (partition, script, call) => {
      sent.push(script.name);
      return run(partition, script, call);
    };
    await there.fields(2, ['stock']);
    expect(sent).toEqual(['readStructure']);
  });
});

test('without the proof of a feed no part is believed, however fresh it looks', async () => {
  const cache = open(nodeRedis(valkey));
  let price = 1;
  const product = createStructures(cache).hash({
    name: 'product',
    key: (id: number) => id,
    load: async () => ({ price }),
    watches,
  });
  const invalidator = cache.invalidator(source);
  await invalidator.start();
  await cache.ready();
  await waitFor('a hit', async () => (await product.fields(1, ['price'])) && product.stats.farHits > 0);
  await invalidator.stop();
  price = 2;
  // Nobody tells of it. The last heartbeat is too old after boundMs.
  await waitFor('the database', async () => (await product.fields(1, ['price']))!.price === 2, {
    timeoutMs: 2_000,
  });
  const { farHits } = product.stats;
  expect(await product.fields(1, ['price'])).toEqual({ price: 2 });
  expect(product.stats.farHits).toBe(farHits);
});

test('a truncated table leaves no part of what watches it', async () => {
  const cache = open(nodeRedis(valkey));
  let price: number | null = 1;
  const product = createStructures(cache).hash({
    name: 'product',
    key: (id: number) => id,
    load: async () => (price === null ? null : { price }),
    watches,
  });
  await follow(cache);
  await waitFor('a hit', async () => (await product.fields(1, ['price'])) && product.stats.farHits > 0);
  price = null;
  source.truncate('public.products');
  await waitFor('the event', () => source.acknowledged >= source.position);
  expect(await product.fields(1, ['price'])).toBeNull();
});

test('a part past its freshness is served once more, and loaded anew behind the reader', async () => {
  const cache = open(nodeRedis(valkey));
  let loads = 0;
  const product = createStructures(cache).hash({
    name: 'product',
    key: (id: number) => id,
    load: async () => {
      loads += 1;
      return { loads };
    },
    freshMs: 20,
    staleMs: 60_000,
  });
  await cache.ready();
  await waitFor('the third load', async () => (await product.fields(1, ['loads']))!.loads >= 3);
  expect(product.stats.staleHits).toBeGreaterThan(0);
});

test('what was written there by others is a miss, and is replaced', async () => {
  const cache = open(nodeRedis(valkey));
  const product = createStructures(cache).hash({
    name: 'product',
    key: (id: number) => id,
    load: async () => ({ price: 1 }),
  });
  await cache.ready();
  await product.get(1);
  const keys = (await command(valkey, ['KEYS', `{${name}*product*`]))
    .split('\r\n')
    .filter((line) => line.startsWith('{'));
  for (const kind of [
    ['SET', keys[0]!, 'text'],
    ['RPUSH', keys[0]!, 'x'],
    ['ZADD', keys[0]!, '1', 'x'],
    ['HSET', keys[0]!, 'price', '9'],
  ]) {
    await command(valkey, ['DEL', keys[0]!]);
    await command(valkey, kind);
    expect(await product.fields(1, ['price'])).toEqual({ price: 1 });
    expect((await command(valkey, ['TYPE', keys[0]!])).trim()).toBe('+hash');
  }
});

test('with the engine killed parts come from the database, and from the cache when it is back', async () => {
  const engine = await startEngine('valkey');
  try {
    const cache = open(nodeRedis(engine));
    let stock = 1;
    const product = createStructures(cache).hash({
      name: 'product',
      key: (id: number) => id,
      load: async () => ({ stock, price: stock }),
      watches,
    });
    await follow(cache);
    await product.fields(1, ['stock']);
    await engine.kill();
    stock = 2;
    source.commit('public.products', { id: '1' });
    expect(await product.fields(1, ['stock', 'price'])).toEqual({ stock: 2, price: 2 });
    await engine.restart();
    const before = product.stats.farHits;
    await waitFor('hits', async () => {
      expect(await product.fields(1, ['stock'])).toEqual({ stock: 2 });
      return product.stats.farHits > before + 3;
    });
  } finally {
    await engine.stop();
  }
});

test('what cannot be a structure is refused, and says what to do', async () => {
  const cache = open(memory.driver());
  const { hash, list, sortedSet } = createStructures(cache);
  const key = (id: number): number => id;
  const wrong = async (): Promise<never> => 7 as never;
  await expect(hash({ name: 'a', key, load: wrong }).get(1)).rejects.toThrow(CacheValueError);
  await expect(list({ name: 'b', key, load: wrong }).get(1)).rejects.toThrow('array');
  const scored = sortedSet({ name: 'c', key, load: async () => [{ member: '\0x', score: 1 }] });
  await expect(scored.get(1)).rejects.toThrow('NUL');
  const many = list({ name: 'd', key, load: async () => Array.from({ length: 50_001 }, () => 1) });
  await expect(many.get(1)).rejects.toThrow('50000');
  expect(() => hash({ name: 'a', key, load: wrong })).toThrow(CacheConfigError);
  expect(() => hash({ name: 'e', key, load: wrong, tags: () => ['x'] } as never)).toThrow('`tags`');
  await expect(async () => many.first(1, 0)).rejects.toThrow(CacheConfigError);
});
