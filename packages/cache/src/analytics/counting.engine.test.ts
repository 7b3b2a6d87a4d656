/** Counters, visitors, top items and rate limits. The first test reads as documentation. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startCluster } from '../../../../testing/engine-cluster.ts';
import { type Cache, createCache } from '../cache.ts';
import type { Driver } from '../driver/driver.ts';
import { ioredis } from '../driver/ioredis.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError, SharedTierError } from '../errors.ts';
import { waitFor } from '../testing/wait-for.ts';
import { FakeClock } from '../testkit/fake-clock.ts';
import { MemoryEngine } from '../testkit/memory-engine.ts';
import { type Analytics, createAnalytics } from './analytics.ts';

let valkey: TestEngine;
let redis: TestEngine;
beforeAll(async () => {
  [valkey, redis] = await Promise.all([startEngine('valkey'), startEngine('redis')]);
});
const caches: Cache[] = [];
afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  await Promise.all([valkey?.stop(), redis?.stop()]);
});
let counter = 0;
const fresh = (): string => `n${counter++}`;

async function open(far: Driver, clock?: FakeClock): Promise<Analytics> {
  const cache = createCache({ name: 'shop', far, near: false, ...(clock === undefined ? {} : { clock }) });
  caches.push(cache);
  await waitFor('the shared tier', () => cache.stats().far === 'up');
  return createAnalytics(cache);
}

test('a shop watches its sale', async () => {
  const analytics = await open(nodeRedis(valkey));
  const orders = analytics.counter({ name: 'orders', bucketMs: 60_000, buckets: 60 });
  await orders.increment('sale', 2);
  await orders.increment('sale');
  expect(await orders.sum('sale', 5 * 60_000)).toBe(3);

  const visitors = analytics.visitors({ name: 'visitors' });
  await visitors.add('sale', ['ada', 'ben', 'ada']);
  expect(await visitors.count('sale')).toBe(2);

  const searches = analytics.topItems({ name: 'searches', places: 100 });
  for (const words of ['pen', 'ink', 'pen']) await searches.add('sale', words);
  expect(await searches.top('sale', 1)).toEqual([{ item: 'pen', count: 2, error: 0 }]);

  const logins = analytics.rateLimiter({ name: 'logins', limit: 2, windowMs: 60_000, whenDown: 'closed' });
  expect(await logins.take('ada')).toMatchObject({ allowed: true, remaining: 1, retryAfterMs: 0 });
  expect(await logins.take('ada')).toMatchObject({ allowed: true, remaining: 0 });
  const refused = await logins.take('ada');
  expect(refused).toMatchObject({ allowed: false, remaining: 0, guessed: false });
  expect(refused.retryAfterMs).toBeGreaterThan(29_000);
  await logins.reset('ada');
  expect((await logins.take('ada')).allowed).toBe(true);
});

const clock = new FakeClock();
const memory = new MemoryEngine({ clock });

test('a window has what its buckets say, as time passes', async () => {
  const analytics = await open(memory.driver(), clock);
  const steps = fc.array(
    fc.record({ advanceMs: fc.nat(1_500), by: fc.integer({ min: -2, max: 5 }), lateMs: fc.nat(3_000) }),
    { maxLength: 40, size: 'max' },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 5_000 }), async (sequence, windowMs) => {
      const counts = analytics.counter({ name: 'c', bucketMs: 1_000, buckets: 5 });
      const id = fresh();
      const model = new Map<number, number>();
      for (const { advanceMs, by, lateMs } of sequence) {
        clock.advance(advanceMs);
        const atMs = clock.nowMs() - lateMs;
        const bucket = Math.floor(atMs / 1_000);
        const kept = bucket > Math.floor(clock.nowMs() / 1_000) - 5;
        const wanted = (model.get(bucket) ?? 0) + by;
        expect(await counts.increment(id, by, { atMs })).toBe(kept ? wanted : 0);
        model.set(bucket, wanted);
        const current = Math.floor(clock.nowMs() / 1_000);
        const size = Math.ceil(windowMs / 1_000);
        const expected = Array.from({ length: size }, (_, at) => {
          const number = current - size + 1 + at;
          return { startMs: number * 1_000, count: model.get(number) ?? 0 };
        });
        expect(await counts.series(id, windowMs)).toEqual(expected);
        expect(await counts.sum(id, windowMs)).toBe(expected.reduce((sum, { count }) => sum + count, 0));
      }
    }),
    { numRuns: 50 },
  );
});

test('old buckets go, and a counter that is not used ends', async () => {
  const analytics = await open(memory.driver(), clock);
  const counts = analytics.counter({ name: 'old', bucketMs: 1_000, buckets: 4 });
  for (let n = 0; n < 40; n += 1) {
    await counts.increment('x');
    clock.advance(1_000);
  }
  const key = memory.keys.find((each) => each.includes('#c:old:'))!;
  expect(memory.command('HLEN', key)).toBeLessThanOrEqual(6);
  clock.advance(5_000);
  expect(memory.keys.some((each) => each.includes('#c:old:'))).toBe(false);
});

test('a limiter allows the burst at once and the rate in the long run, and never more', async () => {
  const analytics = await open(memory.driver(), clock);
  const arrivals = fc.array(fc.record({ waitMs: fc.nat(400), cost: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 5,
    maxLength: 60,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(arrivals, fc.integer({ min: 3, max: 6 }), async (sequence, burst) => {
      // Ten per second: one each 100 ms.
      const options = { limit: 10, windowMs: 1_000, burst, whenDown: 'closed' } as const;
      const limiter = analytics.rateLimiter({ name: 'l', ...options });
      const client = fresh();
      const taken: { atMs: number; cost: number }[] = [];
      // A bucket that holds `burst` and is refilled evenly; the same rule in other words.
      let level: number = burst;
      let lastMs = clock.nowMs();
      for (const { waitMs, cost } of sequence) {
        clock.advance(waitMs);
        const nowMs = clock.nowMs();
        level = Math.min(burst, level + (nowMs - lastMs) / 100);
        lastMs = nowMs;
        const { allowed, remaining, retryAfterMs, resetMs } = await limiter.take(client, cost);
        expect(allowed).toBe(level + 1e-9 >= cost);
        if (allowed) {
          level -= cost;
          taken.push({ atMs: nowMs, cost });
        }
        expect(remaining).toBe(Math.floor(level + 1e-9));
        expect(resetMs).toBe(Math.ceil((burst - level) * 100 - 1e-6));
        expect(retryAfterMs).toBe(allowed ? 0 : Math.ceil((cost - level) * 100 - 1e-6));
        const window = taken.filter(({ atMs }) => atMs > nowMs - 1_000);
        expect(window.reduce((sum, each) => sum + each.cost, 0)).toBeLessThanOrEqual(burst + 10);
        if (!allowed && retryAfterMs > 0 && cost === 1) {
          clock.advance(retryAfterMs);
          expect((await limiter.take(client, 1)).allowed).toBe(true);
          taken.push({ atMs: clock.nowMs(), cost: 1 });
          level = Math.min(burst, level + retryAfterMs / 100) - 1;
          lastMs = clock.nowMs();
        }
      }
    }),
    { numRuns: 50 },
  );
});

const engines: readonly [string, () => Driver][] = [
  ['Valkey over node-redis', () => nodeRedis(valkey)],
  ['Redis over ioredis', () => ioredis(redis)],
];

describe.each(engines)('on %s', (_, driver) => {
  test('top items keep the bounds of Space-Saving', async () => {
    const analytics = await open(driver());
    const item = fc.oneof(
      fc.constantFrom('a', 'b', 'c'),
      fc.nat(30).map((n) => `i${n}`),
    );
    const stream = fc.array(fc.tuple(item, fc.integer({ min: 1, max: 4 })), { maxLength: 120, size: 'max' });
    await fc.assert(
      fc.asyncProperty(stream, fc.integer({ min: 1, max: 8 }), async (sequence, places) => {
        const top = analytics.topItems({ name: 'k', places });
        const id = fresh();
        const truth = new Map<string, number>();
        await Promise.all(
          sequence.map(([what, by]) => {
            truth.set(what, (truth.get(what) ?? 0) + by);
            return top.add(id, what, by);
          }),
        );
        const all = [...truth.values()].reduce((sum, count) => sum + count, 0);
        const found = await top.top(id, 100);
        expect(found.length).toBe(Math.min(places, truth.size));
        for (const { item: what, count, error } of found) {
          expect(count).toBeGreaterThanOrEqual(truth.get(what)!);
          expect(count - error).toBeLessThanOrEqual(truth.get(what)!);
          expect(error).toBeLessThanOrEqual(all / places);
        }
        for (const [what, count] of truth) {
          if (count > all / places) expect(found.map((each) => each.item)).toContain(what);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('visitors are counted within the error of their sketch, also over days', async () => {
    const visitors = (await open(driver())).visitors({ name: fresh(), buckets: 7 });
    const dayMs = 86_400_000;
    const names = (from: number, to: number): string[] =>
      Array.from({ length: to - from }, (_, n) => `v${from + n}`);
    const today = Date.now();
    for (let from = 0; from < 3_000; from += 1_000) await visitors.add('x', names(from, from + 1_000));
    await visitors.add('x', names(2_000, 3_000), { atMs: today - dayMs });
    await visitors.add('x', names(3_000, 4_000), { atMs: today - dayMs });
    await visitors.add('x', names(9_000, 9_900), { atMs: today - 30 * dayMs });
    const near = (count: number, wanted: number): void => {
      // Six standard errors.
      expect(Math.abs(count - wanted) / wanted).toBeLessThan(0.05);
    };
    near(await visitors.count('x'), 3_000);
    near(await visitors.count('x', 7), 4_000);
  });

  test('each can be built anew while writes go on', async () => {
    const analytics = await open(driver());
    const now = Date.now();

    const counts = analytics.counter({ name: fresh(), bucketMs: 3_600_000, buckets: 48 });
    await counts.increment('x', 100);
    await counts.rebuild(
      'x',
      (async function* () {
        yield [now - 3_600_000, 7] as const;
        await counts.increment('x', 5, { event: 'in the rows' });
        await counts.increment('x', 3, { event: 'not in the rows' });
        yield [now - 3_600_000, 1] as const;
        yield [now - 7_200_000, 5] as const;
      })(),
      { contains: async (events) => events.filter((event) => event === 'in the rows') },
    );
    expect(await counts.sum('x', 24 * 3_600_000)).toBe(16);

    const visitors = analytics.visitors({ name: fresh() });
    await visitors.add('x', ['wrong']);
    await visitors.rebuild(
      'x',
      now,
      (async function* () {
        yield 'ada';
        await visitors.add('x', ['ben']);
        yield 'eve';
      })(),
    );
    expect(await visitors.count('x')).toBe(3);

    const top = analytics.topItems({ name: fresh(), places: 3, ttlMs: 60_000 });
    await top.add('x', 'wrong', 50);
    await top.rebuild(
      'x',
      (async function* () {
        yield ['pen', 10] as const;
        await top.add('x', 'ink', 2);
        yield ['nib', 4] as const;
      })(),
    );
    expect((await top.top('x')).map(({ item, count }) => [item, count])).toEqual([
      ['pen', 10],
      ['nib', 4],
      ['ink', 2],
    ]);
  });
});

test('all of them work on a cluster, spread over its shards', async () => {
  const cluster = await startCluster(3);
  try {
    const seed = cluster.nodes[0]!;
    const analytics = await open(nodeRedis({ cluster: [{ host: seed.host, port: seed.port }] }));
    const board = analytics.leaderboard({ name: 'b', ties: 'first', periods: ['day', 'all'] });
    const counts = analytics.counter({ name: 'c' });
    const visitors = analytics.visitors({ name: 'v' });
    const top = analytics.topItems({ name: 't' });
    const limiter = analytics.rateLimiter({ name: 'l', limit: 1, windowMs: 60_000, whenDown: 'open' });
    const ids = Array.from({ length: 30 }, (_, n) => `id ${n}`);
    await Promise.all(
      ids.map(async (id, n) => {
        await board.increment(id, 'ada', n);
        await board.rebuild(id, [['ben', n + 1]], { period: 'all' });
        await board.increment(id, 'ada', 1);
        expect((await board.top(id, { period: 'all' })).map(({ member }) => member)).toEqual(['ben', 'ada']);
        expect((await board.rank(id, 'ada', { period: 'day' }))?.score).toBe(n + 1);
        await counts.increment(id, n);
        await counts.rebuild(id, [[Date.now(), n]]);
        expect(await counts.sum(id, 120_000)).toBe(n);
        await visitors.add(id, ['a', 'b'], { atMs: Date.now() - 86_400_000 });
        await visitors.add(id, ['b', 'c']);
        expect(await visitors.count(id, 2)).toBe(3);
        await top.add(id, 'x');
        await top.rebuild(id, [['y', 2]]);
        expect((await top.top(id))[0]).toEqual({ item: 'y', count: 2, error: 0 });
        expect([(await limiter.take(id)).allowed, (await limiter.take(id)).allowed]).toEqual([true, false]);
      }),
    );
  } finally {
    await cluster.stop();
  }
});

test('with the engine killed a limiter answers as it was told, and writes say that they failed', async () => {
  const engine = await startEngine('valkey');
  try {
    const analytics = await open(nodeRedis(engine));
    const options = { limit: 5, windowMs: 1_000 } as const;
    const generous = analytics.rateLimiter({ name: 'o', ...options, whenDown: 'open' });
    const strict = analytics.rateLimiter({ name: 'c', ...options, whenDown: 'closed' });
    expect((await strict.take('x')).guessed).toBe(false);
    await engine.kill();
    expect(await generous.take('x')).toMatchObject({ allowed: true, guessed: true });
    expect(await strict.take('x')).toMatchObject({ allowed: false, guessed: true });
    await expect(analytics.counter({ name: 'n' }).increment('x')).rejects.toThrow(SharedTierError);
    await engine.restart();
    await waitFor('the limiter', async () => !(await strict.take('y')).guessed);
    await expect(strict.take('x', 6)).rejects.toThrow(CacheConfigError);
  } finally {
    await engine.stop();
  }
});
