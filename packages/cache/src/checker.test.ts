import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, test } from 'vitest';
import { Checker, untilSample } from './checker.ts';

type Outcome = 'equal' | 'different' | 'unknown';

/** A checker whose time stands still until it is moved, and a cache whose answers are a list. */
function setUp(maxPerSecond = 10) {
  let now = 0;
  const timers: { atMs: number; call: () => void }[] = [];
  const checker = new Checker(
    'test',
    { everyReads: 1, maxPerSecond },
    {
      nowMs: () => now,
      later: (ms, call) => {
        const timer = { atMs: now + ms, call };
        timers.push(timer);
        return () => timers.splice(timers.indexOf(timer), 1);
      },
    },
  );
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    checker,
    async read(...outcomes: (Outcome | Error)[]) {
      checker.note({
        definition: 'product',
        key: '1',
        compare: async () => {
          const outcome = outcomes.shift()!;
          if (outcome instanceof Error) throw outcome;
          return outcome;
        },
      });
      await settle();
    },
    async moveTo(ms: number) {
      now = ms;
      for (const timer of timers.filter(({ atMs }) => atMs <= ms)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.call();
      }
      await settle();
    },
    timers,
  };
}

test('each sample counts where it first agreed with the database', async () => {
  const { checker, read, moveTo } = setUp();
  await read('equal');
  await read('different', 'equal');
  await read('different', 'different', 'equal');
  await read('different', 'different', 'different', 'equal');
  await read('different', 'different', 'different', 'different');
  expect(checker.report()).toMatchObject({ samples: 1, waiting: 4 });
  for (const ms of [999, 1_000, 9_999, 10_000, 60_000]) await moveTo(ms);
  expect(checker.report()).toEqual({
    samples: 5,
    consistentWithin: { '1s': 2, '10s': 3, '60s': 4 },
    inconsistent: 1,
    unknown: 0,
    waiting: 0,
    // Those that agreed a second later were not stale beyond that.
    minutes: [{ startMs: 0, compared: 5, staleFor: { '1s': 1, '10s': 1, '60s': 1 } }],
  });
});

test('a minute is told when it is over and none of its samples waits, by when their reads were', async () => {
  const told: unknown[] = [];
  const listen = (message: unknown) => told.push(message);
  subscribe('larder:cache:compared', listen);
  const { checker, read, moveTo } = setUp();
  await moveTo(59_500);
  await read('equal');
  await read('different', 'different', 'equal');
  await read('unknown');
  await moveTo(60_500);
  await read('equal');
  expect([told, checker.report().minutes]).toEqual([[], []]);
  // The look that is due ten seconds after the read of the first minute.
  await moveTo(69_500);
  const first = { startMs: 0, compared: 2, staleFor: { '1s': 1, '10s': 0, '60s': 0 } };
  expect([told, checker.report().minutes]).toEqual([[{ cache: 'test', ...first }], [first]]);
  await moveTo(120_000);
  expect(checker.report().minutes.map(({ compared }) => compared)).toEqual([2, 1]);
  expect(told).toHaveLength(2);
  unsubscribe('larder:cache:compared', listen);
});

test('what gave no answer is neither right nor wrong', async () => {
  const { checker, read } = setUp();
  await read('unknown');
  await read(new Error('The database is gone.'));
  expect(checker.report()).toMatchObject({ samples: 0, unknown: 2, inconsistent: 0 });
});

test('no more samples in a second than allowed, and none after the end', async () => {
  const { checker, read, moveTo, timers } = setUp(2);
  for (let i = 0; i < 5; i += 1) await read('different', 'equal');
  expect(checker.report().waiting).toBe(2);
  await moveTo(1_000);
  await read('different', 'equal');
  expect(checker.report()).toMatchObject({ samples: 2, waiting: 1 });
  checker.close();
  expect(timers).toEqual([]);
});

test('one read in so many is sampled, at no fixed distance', () => {
  const distances = Array.from({ length: 1_000 }, (_, i) => untilSample(16, ((i * 619) % 1_000) / 1_000));
  const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
  expect(mean).toBeGreaterThan(15);
  expect(mean).toBeLessThan(17);
  expect(new Set(distances).size).toBeGreaterThan(20);
  expect(untilSample(1, 0.999)).toBe(1);
});
