/** What a definition offers beyond reading and invalidating a key, each over a real engine. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../testing/engine.ts';
import { type Cache, type CacheOptions, createCache } from './cache.ts';
import type { Database } from './database.ts';
import type { DefinitionOptions } from './definition.ts';
import { nodeRedis } from './driver/node-redis.ts';
import { CacheConfigError, CacheValueError, LoadTimeoutError } from './errors.ts';
import { gate, waitFor } from './testing/wait-for.ts';

interface Product {
  readonly id: number;
  readonly price: number;
  readonly department?: string;
}

let engine: TestEngine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine?.stop());

const caches: Cache[] = [];
beforeEach(() => command(engine, ['FLUSHALL']));
afterEach(async () => {
  await Promise.all(caches.splice(0).map((cache) => cache.close()));
});

function open(options: Partial<CacheOptions> = {}): Cache {
  const cache = createCache({ name: 'shop', far: nodeRedis(engine), ...options });
  caches.push(cache);
  return cache;
}

function product(
  cache: Cache,
  load: (id: number) => Promise<Product | null>,
  options: Partial<DefinitionOptions<number, Product>> = {},
) {
  return cache.define<number, Product>({ name: 'product', key: String, load, ...options });
}

/** Reads until the value is kept in this process: the first fill of a new cache also creates its state. */
async function untilNear(it: ReturnType<typeof product>, id: number): Promise<void> {
  await waitFor(`product ${id} near`, async () => {
    await it.get(id);
    return it.near(id) !== undefined;
  });
}

describe('tags', () => {
  const tags = (value: Product): string[] => [`department:${value.department}`, 'all'];

  test('everything with a tag goes, in every process, and nothing else', async () => {
    const rows = new Map([1, 2, 3].map((id) => [id, { id, price: 1, department: id === 3 ? 'b' : 'a' }]));
    const [one, two] = [open(), open()] as const;
    const here = product(one, async (id) => rows.get(id) ?? null, { tags });
    const there = product(two, async (id) => rows.get(id) ?? null, { tags });
    await Promise.all([one.ready(), two.ready()]);
    await here.many([1, 2, 3]);
    await there.many([1, 2, 3]);
    for (const [id, row] of rows) rows.set(id, { ...row, price: 2 });
    await one.invalidateTag('department:a');
    expect(await here.many([1, 2, 3])).toMatchObject([{ price: 2 }, { price: 2 }, { price: 1 }]);
    await waitFor('the other process to hear of it', async () => there.near(1) === undefined);
    expect(await there.many([1, 2, 3])).toMatchObject([{ price: 2 }, { price: 2 }, { price: 1 }]);
    await one.invalidateTag('all');
    expect(await here.get(3)).toMatchObject({ price: 2 });
  });

  test('an invalidation during the load is not lost: 100 of 100', async () => {
    const cache = open({ near: false });
    let price = 1;
    let [reading, changed] = [gate(), gate()];
    const raced = product(
      cache,
      async (id) => {
        const seen = price;
        reading.open();
        await changed.opened;
        return { id, price: seen, department: 'a' };
      },
      { tags },
    );
    await cache.ready();
    for (let id = 1; id <= 100; id += 1) {
      [reading, changed] = [gate(), gate()];
      price = id;
      const racing = raced.get(id);
      await reading.opened;
      price = id + 1;
      await cache.invalidateTag('department:a');
      changed.open();
      expect((await racing)?.price).toBe(id + 1);
      expect((await raced.get(id))?.price).toBe(id + 1);
    }
    expect(raced.stats.refusedFills.tag).toBe(100);
  });

  test('a tag of thousands, over the partitions of a cache', async () => {
    const cache = open({ partitions: 4, near: false });
    let price = 1;
    const many = product(cache, async (id) => ({ id, price }), {
      tags,
      loadMany: async (ids) => new Map(ids.map((id) => [id, { id, price }])),
    });
    await cache.ready();
    const ids = Array.from({ length: 6_000 }, (_, id) => id);
    await many.many(ids);
    price = 2;
    await cache.invalidateTag('all');
    expect((await many.many(ids)).every((value) => value?.price === 2)).toBe(true);
  });

  test('sets of tags go when their last entry has expired', async () => {
    const cache = open({ near: false });
    let department = 'short';
    const short = product(cache, async (id) => ({ id, price: 1, department }), { tags, freshMs: 20 });
    await cache.ready();
    await short.get(1);
    const setsOf = async (): Promise<string> => command(engine, ['KEYS', '*#t:department:short']);
    expect(await setsOf()).toContain('#t:department:short');
    department = 'other';
    let id = 1;
    await waitFor('the set to go', async () => {
      id += 1;
      await short.get(id);
      return !(await setsOf()).includes('#t:department:short');
    });
  });

  test('what is no list of texts fails the load, and says so', async () => {
    const cache = open();
    const wrong = product(cache, async (id) => ({ id, price: 1 }), { tags: () => [''] });
    await cache.ready();
    await expect(wrong.get(1)).rejects.toThrow(CacheValueError);
    await expect(cache.invalidateTag('x'.repeat(201))).rejects.toThrow(CacheConfigError);
  });
});

describe('age', () => {
  test('past its freshness a value is served at once while one process loads it anew', async () => {
    const [one, two] = [open({ near: false }), open({ near: false })] as const;
    let loads = 0;
    const options = { freshMs: 30, staleMs: 60_000, jitter: 0 };
    const load = async (id: number): Promise<Product> => ({ id, price: ++loads });
    const [here, there] = [product(one, load, options), product(two, load, options)] as const;
    await Promise.all([one.ready(), two.ready()]);
    await here.get(1);
    await waitFor('the value to be stale', async () => {
      await Promise.all([here.get(1), there.get(1)]);
      return here.stats.staleHits > 0;
    });
    await waitFor('the new value', async () => ((await here.get(1))?.price ?? 0) > 1);
    // Nobody waited: every read but the first was a hit.
    expect(here.stats.misses + there.stats.misses).toBe(1);
  });

  test('an invalidated value is never served stale', async () => {
    const cache = open();
    let price = 1;
    const it = product(cache, async (id) => ({ id, price }), { staleMs: 60_000 });
    await cache.ready();
    await it.get(1);
    price = 2;
    await it.invalidate(1);
    expect(await it.get(1)).toMatchObject({ price: 2 });
  });

  test('a value that soon ends is loaded ahead of time by some reader', async () => {
    const cache = open({ near: false, random: () => 1 - Number.EPSILON });
    let loads = 0;
    const it = product(cache, async (id) => ({ id, price: ++loads }), { freshMs: 60_000, jitter: 0 });
    await cache.ready();
    await it.get(1);
    // -ln(epsilon) is 36: with loads of a moment, a minute ahead is too early.
    await it.get(1);
    expect(it.stats.refreshes).toBe(0);
    let slowLoads = 0;
    const slow = cache.define<number, number>({
      name: 'slow',
      key: String,
      load: async () => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        return ++slowLoads;
      },
      freshMs: 1_000,
      jitter: 0,
    });
    await slow.get(1);
    await slow.get(1);
    await waitFor('the early load', async () => slowLoads === 2 && (await slow.get(1)) === 2);
    expect(slow.stats.misses).toBe(1);
  });
});

describe('when loads fail', () => {
  test("with onError: 'stale' the last known value is served, but none that is known to be replaced", async () => {
    const cache = open();
    let broken = false;
    const it = product(
      cache,
      async (id) => {
        if (broken) throw new Error('The database is gone.');
        return { id, price: 1 };
      },
      { freshMs: 30, staleMs: 60_000, jitter: 0, onError: 'stale' },
    );
    await cache.ready();
    await untilNear(it, 1);
    await untilNear(it, 2);
    broken = true;
    await command(engine, ['FLUSHALL']);
    await waitFor('the value to be past its freshness', async () => it.near(1) === undefined);
    expect(await it.get(1)).toEqual({ id: 1, price: 1 });
    expect(it.stats.lastKnownServed).toBe(1);
    await it.invalidate(2);
    await expect(it.get(2)).rejects.toThrow('The database is gone.');
    await expect(it.get(3)).rejects.toThrow('The database is gone.');
  });

  test('a slow load gives the last known value after softMs, and goes on', async () => {
    const cache = open();
    const held = gate();
    let slow = false;
    const it = product(
      cache,
      async (id) => {
        if (slow) await held.opened;
        return { id, price: slow ? 2 : 1 };
      },
      { freshMs: 30, staleMs: 60_000, jitter: 0, onError: 'stale', timeout: { softMs: 20 } },
    );
    await cache.ready();
    await untilNear(it, 1);
    slow = true;
    await command(engine, ['FLUSHALL']);
    await waitFor('the value to be past its freshness', async () => it.near(1) === undefined);
    expect(await it.get(1)).toEqual({ id: 1, price: 1 });
    held.open();
    await waitFor('the slow value', async () => (await it.get(1))?.price === 2);
  });

  test('a load that takes longer than its own hard limit fails, and hears so', async () => {
    const cache = open();
    let signal: AbortSignal | undefined;
    const it = cache.define<number, number>({
      name: 'hanging',
      key: String,
      load: (_, context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
      timeout: { hardMs: 30 },
    });
    await cache.ready();
    await expect(it.get(1)).rejects.toThrow(LoadTimeoutError);
    expect(signal?.aborted).toBe(true);
  });

  test('options that contradict each other are refused', () => {
    const load = async (id: number): Promise<Product> => ({ id, price: 1 });
    expect(() => product(open(), load, { timeout: { softMs: 10 } })).toThrow(/onError: 'stale'/);
    expect(() => product(open(), load, { freshMs: Number.POSITIVE_INFINITY })).toThrow(/freshMs/);
    expect(() => product(open(), load, { staleMs: -1 })).toThrow(/staleMs/);
  });
});

describe('values', () => {
  test('peek finds what is cached and loads nothing', async () => {
    const [one, two] = [open(), open()] as const;
    const [here, there] = [one, two].map((cache) =>
      product(cache, async (id) => (id === 0 ? null : { id, price: 1 })),
    ) as [ReturnType<typeof product>, ReturnType<typeof product>];
    await Promise.all([one.ready(), two.ready()]);
    expect(await there.peek(1)).toBeUndefined();
    await here.many([0, 1]);
    expect(await there.peek(1)).toEqual({ id: 1, price: 1 });
    expect(await there.peek(0)).toBeNull();
    expect(there.stats.loads).toBe(0);
  });

  test('one that is too large is served, and not kept', async () => {
    const cache = open();
    const it = cache.define<number, string>({
      name: 'large',
      key: String,
      load: async () => 'x'.repeat(2_000),
      maxValueLength: 1_000,
    });
    await cache.ready();
    expect(await it.get(1)).toHaveLength(2_000);
    expect(await it.peek(1)).toBeUndefined();
    expect(it.stats.oversized).toBe(1);
  });

  test('large ones can be compressed, and come back the same', async () => {
    const text = `${'ä€😀'.repeat(1_000)}${randomBytes(100).toString('hex')}`;
    const [one, two] = [open(), open()] as const;
    const [here, there] = [one, two].map((cache) =>
      cache.define<number, string>({
        name: 'text',
        key: String,
        load: async () => text,
        compressAboveLength: 100,
      }),
    );
    await Promise.all([one.ready(), two.ready()]);
    expect(await here!.get(1)).toBe(text);
    expect(await there!.get(1)).toBe(text);
    expect(there!.stats.farHits).toBe(1);
    const length = Number((await command(engine, ['STRLEN', await keyOf('text:1:1')])).slice(1));
    expect(length).toBeLessThan(1_000);
  });

  test('the loader hears the key, and what was known last', async () => {
    const cache = open();
    const heard: unknown[] = [];
    const it = cache.define<number, Product>({
      name: 'conditional',
      key: (id) => `p${id}`,
      load: async (id, { key, lastKnown }) => {
        heard.push([key, lastKnown]);
        return { id, price: heard.length };
      },
      freshMs: 20,
      staleMs: 60_000,
      jitter: 0,
    });
    await cache.ready();
    await it.get(1);
    await waitFor('a second load', async () => {
      await it.get(1);
      return heard.length > 1;
    });
    expect(heard.slice(0, 2)).toEqual([
      ['p1', undefined],
      ['p1', { id: 1, price: 1 }],
    ]);
  });
});

async function keyOf(part: string): Promise<string> {
  return (await command(engine, ['KEYS', `*${part}`])).split('\r\n')[2]!;
}

/** Transactions are numbers here; the test says which are in progress. */
class NumberedDatabase implements Database {
  readonly name = 'numbers';
  next = 100n;
  readonly inProgress = new Set<bigint>();
  log = 0n;

  async position(): Promise<bigint> {
    return this.log;
  }

  async barrier(): Promise<bigint> {
    return this.next++;
  }

  async oldestInProgress(): Promise<bigint> {
    return [...this.inProgress].reduce((least, number) => (number < least ? number : least), this.next);
  }
}

describe('events without a position', () => {
  const row = (id: number) => ({
    table: 'public.products',
    before: undefined,
    after: { id: String(id) },
    identified: true,
  });
  const watches = [
    { table: 'public.products', key: (changed: Readonly<Record<string, string | null>>) => changed.id },
  ];

  test('one that comes before its commit is visible does not put the old row back', async () => {
    const database = new NumberedDatabase();
    const cache = open({ guarantee: 'eventual', database, near: false });
    let price = 1;
    const it = product(cache, async (id) => ({ id, price }), { watches });
    await cache.ready();
    await it.get(1);
    expect(it.stats.loads).toBe(1);
    // The writer is still at work when its trigger's event is delivered.
    const writer = database.next++;
    database.inProgress.add(writer);
    await cache.applyEvents([row(1)], { beforeCommit: true });
    expect(await it.get(1)).toMatchObject({ price: 1 });
    expect(await it.peek(1)).toBeUndefined();
    price = 2;
    database.inProgress.delete(writer);
    expect(await it.get(1)).toMatchObject({ price: 2 });
    expect(await it.peek(1)).toMatchObject({ price: 2 });
    // Delivered again, late: one more load, nothing else.
    await cache.applyEvents([row(1), row(1)]);
    expect(await it.get(1)).toMatchObject({ price: 2 });
  });

  test('an event that voids everything does not lose the stamp of one that came meanwhile', async () => {
    const database = new NumberedDatabase();
    const cache = open({ guarantee: 'eventual', database, near: false });
    let price = 1;
    const it = product(cache, async (id) => ({ id, price }), { watches });
    await cache.ready();
    await it.get(1);
    const held = gate();
    const barrier = database.barrier.bind(database);
    database.barrier = async () => {
      database.barrier = barrier;
      const number = await barrier();
      await held.opened;
      return number;
    };
    const voiding = cache.applyEvents([{ ...row(7), identified: false }], { beforeCommit: true });
    // Begun after the first event's number was taken; its own event is stamped before the first one is done.
    const writer = database.next++;
    database.inProgress.add(writer);
    await cache.applyEvents([row(1)], { beforeCommit: true });
    held.open();
    await voiding;
    expect(await it.get(1)).toMatchObject({ price: 1 });
    expect(await it.peek(1)).toBeUndefined();
    price = 2;
    database.inProgress.delete(writer);
    expect(await it.get(1)).toMatchObject({ price: 2 });
    expect(await it.peek(1)).toMatchObject({ price: 2 });
  });

  test('without a database they must come after the commit', async () => {
    const cache = open({ guarantee: 'eventual' });
    let price = 1;
    const it = product(cache, async (id) => ({ id, price }), { watches });
    await cache.ready();
    await untilNear(it, 1);
    price = 2;
    await cache.applyEvents([row(1)]);
    expect(await it.get(1)).toMatchObject({ price: 2 });
    await expect(cache.applyEvents([row(1)], { beforeCommit: true })).rejects.toThrow(CacheConfigError);
  });

  test('one that could concern any row voids everything', async () => {
    const database = new NumberedDatabase();
    const cache = open({ guarantee: 'eventual', database });
    let price = 1;
    const it = product(cache, async (id) => ({ id, price }), { watches });
    await cache.ready();
    await untilNear(it, 1);
    const writer = database.next++;
    database.inProgress.add(writer);
    await cache.applyEvents([{ ...row(7), identified: false }], { beforeCommit: true });
    expect(await it.get(1)).toMatchObject({ price: 1 });
    expect(await it.peek(1)).toBeUndefined();
    price = 2;
    database.inProgress.delete(writer);
    await waitFor('the new price', async () => (await it.get(1))?.price === 2);
    expect(await it.peek(1)).toMatchObject({ price: 2 });
  });
});

test('the checker tells a cache that agrees with its database from one that does not', async () => {
  const cache = open({ checker: { everyReads: 1, maxPerSecond: 1_000 } });
  let price = 1;
  const it = product(cache, async (id) => ({ id, price }));
  await cache.ready();
  await untilNear(it, 1);
  await waitFor('a sample', async () => (cache.consistency()?.consistentWithin['1s'] ?? 0) > 0);
  // Changed behind the cache's back: no feed, no invalidation.
  price = 2;
  await it.get(1);
  await waitFor('a doubtful sample', async () => cache.consistency()?.waiting === 1);
  await it.invalidate(1);
  await waitFor('its second look', async () => cache.consistency()?.waiting === 0);
  expect(cache.consistency()).toMatchObject({ inconsistent: 0, unknown: 0 });
});

test('the hottest keys are known, wherever they are served from', async () => {
  const cache = open();
  const it = product(cache, async (id) => ({ id, price: 1 }));
  await cache.ready();
  await untilNear(it, 7);
  for (let i = 0; i < 20_000; i += 1) {
    await it.get(i % 3 === 0 ? i : 7);
  }
  expect(cache.hotKeys(1)[0]?.key).toBe('product:1:7');
  expect(cache.hotKeys(1)[0]?.share).toBeGreaterThan(0.3);
});
