/** Leaderboards. The first test reads as documentation. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { type Cache, createCache } from '../cache.ts';
import type { Driver } from '../driver/driver.ts';
import { ioredis } from '../driver/ioredis.ts';
import { nodeRedis } from '../driver/node-redis.ts';
import { CacheConfigError, RebuildRunningError, SharedTierError } from '../errors.ts';
import { gate, waitFor } from '../testing/wait-for.ts';
import { FakeClock } from '../testkit/fake-clock.ts';
import { MemoryEngine } from '../testkit/memory-engine.ts';
import { createAnalytics } from './analytics.ts';
import type { Leaderboard, LeaderboardOptions } from './leaderboard.ts';

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

async function open(driver: Driver, options: Partial<LeaderboardOptions> = {}): Promise<Leaderboard> {
  const cache = createCache({ name: 'game', far: driver, near: false });
  caches.push(cache);
  await cache.ready();
  return createAnalytics(cache).leaderboard({ name: `b${counter++}`, ties: 'shared', ...options });
}

test('players rise, and are shown where they stand', async () => {
  const board = await open(nodeRedis(valkey), { ties: 'shared', periods: ['day', 'week', 'all'] });
  await board.increment('chess', 'ada', 30);
  await board.increment('chess', 'ben', 20);
  await board.raise('chess', 'eve', 20);
  await board.raise('chess', 'eve', 10);
  expect(await board.increment('chess', 'tom', 5)).toEqual({ day: 5, week: 5, all: 5 });

  expect(await board.top('chess', { count: 3 })).toEqual([
    { member: 'ada', score: 30, rank: 1 },
    { member: 'eve', score: 20, rank: 2 },
    { member: 'ben', score: 20, rank: 2 },
  ]);
  expect(await board.rank('chess', 'tom', { period: 'all' })).toEqual({
    ...{ member: 'tom', score: 5, rank: 4 },
    ...{ total: 4, percentile: 0 },
  });
  const around = await board.around('chess', 'ben', { before: 1, after: 1 });
  expect(around.map(({ member, rank }) => [member, rank])).toEqual([
    ['eve', 2],
    ['ben', 2],
    ['tom', 4],
  ]);
  await board.remove('chess', 'ada');
  expect((await board.rank('chess', 'eve', { period: 'week' }))?.rank).toBe(1);
  expect(await board.rank('chess', 'nobody')).toBeUndefined();
});

const engines: readonly [string, () => Driver][] = [
  ['the engine in memory', () => memory.driver()],
  ['Valkey over node-redis', () => nodeRedis(valkey)],
  ['Redis over ioredis', () => ioredis(redis)],
];
const memory = new MemoryEngine();

describe.each(engines)('on %s', (_, driver) => {
  test.each(['shared', 'first'] as const)('ranks are those of a sorted list, ties %s', async (ties) => {
    const board = await open(driver(), { ties });
    const member = fc.constantFrom('a', 'b', 'c', 'd', 'ä', 'm m');
    const value = fc.constantFrom(-1, 0, 1, 2, 0.1, 2 ** 53);
    const writes = fc.array(fc.tuple(fc.constantFrom('increment', 'raise', 'set', 'remove'), member, value), {
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(writes, member, fc.nat(4), async (sequence, one, size) => {
        const name = `board ${counter++}`;
        // In the order in which they reached their score.
        let model: { member: string; score: number }[] = [];
        for (const [kind, who, by] of sequence) {
          const old = model.find((each) => each.member === who);
          if (kind === 'remove') {
            await board.remove(name, who);
            model = model.filter((each) => each !== old);
            continue;
          }
          const wanted =
            kind === 'increment'
              ? (old?.score ?? 0) + by
              : kind === 'raise'
                ? Math.max(old?.score ?? by, by)
                : by;
          const { all } = await board[kind as 'increment' | 'raise' | 'set'](name, who, by);
          expect(all).toBe(wanted);
          if (old?.score === wanted) continue;
          model = [...model.filter((each) => each !== old), { member: who, score: wanted }];
        }
        const sorted = [...model].sort((x, y) => y.score - x.score);
        const rankOf = (score: number, index: number): number =>
          ties === 'first' ? index + 1 : 1 + sorted.filter((each) => each.score > score).length;
        const expected = sorted.map((each, index) => ({ ...each, rank: rankOf(each.score, index) }));
        const found = await board.top(name, { count: 100 });
        if (ties === 'first') expect(found).toEqual(expected);
        const byName = (x: { member: string }, y: { member: string }): number =>
          x.member < y.member ? -1 : 1;
        expect([...found].sort(byName)).toEqual([...expected].sort(byName));
        expect(found.map(({ score }) => score)).toEqual(sorted.map(({ score }) => score));
        expect(await board.top(name, { count: size + 1, offset: size })).toEqual(
          found.slice(size, 2 * size + 1),
        );
        const at = found.findIndex((each) => each.member === one);
        expect(await board.around(name, one, { before: 1, after: size })).toEqual(
          at < 0 ? [] : found.slice(Math.max(0, at - 1), at + size + 1),
        );
        const standing = await board.rank(name, one);
        if (at < 0) expect(standing).toBeUndefined();
        else {
          const lower = sorted.filter(({ score }) => score < found[at]!.score).length;
          const percentile = sorted.length === 1 ? 100 : (100 * lower) / (sorted.length - 1);
          expect(standing).toEqual({ ...found[at], total: sorted.length, percentile });
        }
      }),
      { numRuns: 40 },
    );
  });

  test('periods are apart, and kept as long as was said', async () => {
    const board = await open(driver(), { periods: ['day', 'month'], keep: 3, offsetMinutes: 60 });
    const noon = Date.UTC(2125, 4, 31, 12);
    await board.increment('b', 'ada', 1, { atMs: noon });
    // Already the first of June where the board is.
    await board.increment('b', 'ada', 2, { atMs: noon + 11.5 * 3_600_000 });
    expect((await board.rank('b', 'ada', { atMs: noon }))?.score).toBe(1);
    expect((await board.rank('b', 'ada', { period: 'month', atMs: noon }))?.score).toBe(1);
    expect((await board.rank('b', 'ada', { atMs: noon + 86_400_000 }))?.score).toBe(2);
    expect(await board.top('b', {})).toEqual([]);
    // What was over long ago is not begun again.
    await board.increment('b', 'ada', 5, { atMs: Date.UTC(2001, 1, 1) });
    expect(await board.rank('b', 'ada', { atMs: Date.UTC(2001, 1, 1) })).toBeUndefined();
  });

  test('a rebuild loses no increment that comes meanwhile, and counts none twice', async () => {
    const board = await open(driver(), { ties: 'first' });
    await board.increment('b', 'wrong', 1_000);
    const rows = new Map([
      ['ada', 10],
      ['ben', 10],
      ['eve', 5],
    ]);
    const committed = new Set<string>();
    async function* source(): AsyncGenerator<readonly [string, number]> {
      // In the rows as well, and told here only after the rebuild began.
      rows.set('eve', 6);
      committed.add('order 1');
      await board.increment('b', 'eve', 1, { event: 'order 1' });
      yield* rows;
      for (let n = 2; n <= 30; n += 1) {
        await board.increment('b', n % 2 === 0 ? 'ada' : 'new', 1, { event: `order ${n}` });
        yield [`row ${n}`, 0];
      }
      // Readers see the old board, with what was added to it.
      expect((await board.rank('b', 'wrong'))?.score).toBe(1_000);
    }
    const asked: string[] = [];
    await board.rebuild('b', source(), {
      contains: async (events) => {
        asked.push(...events);
        // While it asks, another one comes: the swap must not forget it.
        if (asked.length === 30) await board.increment('b', 'ben', 2, { event: 'late' });
        return events.filter((event) => committed.has(event));
      },
    });
    expect(asked).toHaveLength(31);
    const scores = Object.fromEntries(
      (await board.top('b', { count: 5 })).map(({ member, score }) => [member, score]),
    );
    expect(scores).toEqual({ ada: 25, new: 14, ben: 12, eve: 6, 'row 2': 0 });
    expect(await board.rank('b', 'wrong')).toBeUndefined();
    await board.increment('b', 'ada', 1);
    expect((await board.rank('b', 'ada'))?.score).toBe(26);
  });

  test('two rebuilds do not collide; one that fails leaves everything as it was', async () => {
    const board = await open(driver());
    await board.increment('b', 'ada', 1);
    const [begun, goOn] = [gate(), gate()];
    async function* slow(): AsyncGenerator<readonly [string, number]> {
      begun.open();
      await goOn.opened;
      yield ['ada', 7];
    }
    const first = board.rebuild('b', slow());
    await begun.opened;
    await expect(board.rebuild('b', [['ada', 8]])).rejects.toThrow(RebuildRunningError);
    goOn.open();
    await first;
    expect((await board.rank('b', 'ada'))?.score).toBe(7);
    async function* failing(): AsyncGenerator<readonly [string, number]> {
      yield ['ada', 9];
      throw new Error('The database went away.');
    }
    await expect(board.rebuild('b', failing())).rejects.toThrow('The database went away.');
    expect((await board.rank('b', 'ada'))?.score).toBe(7);
    await board.rebuild('b', []);
    expect(await board.top('b')).toEqual([]);
  });
});

test('increments of many processes at once, during a rebuild and after it, are all there', async () => {
  const boards = await Promise.all(
    [nodeRedis(valkey), ioredis(valkey), nodeRedis(valkey)].map((far) => open(far, { name: 'busy' })),
  );
  await boards[1]!.rebuild(
    'b',
    (async function* () {
      const steps = Array.from({ length: 300 }, (_, n) => boards[n % 3]!.increment('b', `m${n % 10}`, 1));
      // The database knows none of these yet.
      yield ['m0', 100] as const;
      await Promise.all(steps);
    })(),
    { contains: async () => [] },
  );
  await Promise.all(Array.from({ length: 100 }, (_, n) => boards[n % 3]!.increment('b', `m${n % 10}`, 1)));
  const total = (await boards[0]!.top('b', { count: 20 })).reduce((sum, { score }) => sum + score, 0);
  expect(total).toBe(500);
});

test('a rebuild whose process hung gives way after a minute, and can do no harm later', async () => {
  const clock = new FakeClock();
  const engine = new MemoryEngine({ clock });
  const cache = createCache({ name: 'game', far: engine.driver(), near: false, clock });
  caches.push(cache);
  await waitFor('the shared tier', () => cache.stats().far === 'up');
  const board = createAnalytics(cache).leaderboard({ name: 'b', ties: 'first' });
  const [begun, goOn] = [gate(), gate()];
  async function* hanging(): AsyncGenerator<readonly [string, number]> {
    for (let n = 0; n < 600; n += 1) yield [`row ${n}`, n];
    begun.open();
    await goOn.opened;
  }
  const first = board.rebuild('x', hanging()).catch((error: unknown) => error);
  await begun.opened;
  await expect(board.rebuild('x', [['ada', 7]])).rejects.toThrow(RebuildRunningError);
  clock.advance(61_000);
  await board.rebuild('x', [['ada', 8]]);
  await board.increment('x', 'ada', 1);
  goOn.open();
  expect(await first).toBeInstanceOf(SharedTierError);
  expect(await board.top('x')).toEqual([{ member: 'ada', score: 9, rank: 1 }]);
  expect(engine.keys.filter((key) => /#[njr]/.test(key.slice(key.indexOf('}') + 3)))).toEqual([]);
});

test('what cannot be a board is refused', async () => {
  const refusals: Partial<LeaderboardOptions>[] = [
    { name: 'a b' },
    { ties: 'none' as never },
    { periods: [] },
    { periods: ['day', 'day'] },
    { keep: 0 },
    { offsetMinutes: 900 },
  ];
  for (const options of refusals)
    await expect(open(memory.driver(), options)).rejects.toThrow(CacheConfigError);
  const board = await open(memory.driver());
  await expect(board.increment('b', 'ada', Number.NaN)).rejects.toThrow(CacheConfigError);
  await expect(board.increment('b', '', 1)).rejects.toThrow(CacheConfigError);
});
