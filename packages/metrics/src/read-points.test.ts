import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryMetricStore } from './memory-metric-store.ts';
import { firstPeriodMs, isPeriod, keptMs } from './periods.ts';
import { readPoints } from './read-points.ts';
import { summaryOf } from './summary.ts';

const metric = { namespace: 'n', name: 'm', dimensions: [] };

test('periods that begin anywhere hold what fell into them, each value once', async () => {
  const store = memoryMetricStore();
  const seconds = Array.from({ length: 200 }, (_, index) => index * 7);
  await store.record([
    {
      metric,
      unit: 'None',
      resolutionSeconds: 1,
      data: seconds.map((second) => ({ atMs: second * 1000, summary: summaryOf(second) })),
    },
  ]);
  const period = fc.constantFrom(1, 5, 10, 20, 30, 60, 120, 300, 420);
  await fc.assert(
    fc.asyncProperty(fc.nat(600), fc.nat(900), period, async (start, length, periodSeconds) => {
      const query = { metric, startMs: start * 1000, endMs: (start + length) * 1000, periodSeconds };
      const points = await readPoints(store, query);
      const end = start + Math.ceil(length / periodSeconds) * periodSeconds;
      const expected = new Map<number, number>();
      for (const second of seconds) {
        if (second < start || second >= end) continue;
        const at = second - ((second - start) % periodSeconds);
        expected.set(at * 1000, (expected.get(at * 1000) ?? 0) + second);
      }
      expect(points.map(({ startMs, summary }) => [startMs, summary.sum])).toEqual([...expected]);
    }),
  );
});

test.each([
  [1, true],
  [2, false],
  [5, true],
  [30, true],
  [45, false],
  [60, true],
  [90, false],
  [3600, true],
  [86_400, true],
  [86_460, false],
  [60.5, false],
  [-60, false],
  [0, false],
])('%d s is a period: %s', (seconds, expected) => {
  expect(isPeriod(seconds)).toBe(expected);
});

const day = 24 * 3_600_000;
test.each([
  [30, day / 8],
  [60, 15 * day],
  [300, 63 * day],
  [600, 63 * day],
  [900, 63 * day],
  [3600, 455 * day],
])('data of %d s are kept %d ms', (seconds, expected) => {
  expect(keptMs(seconds)).toBe(expected);
});

test('the first period begins at a whole minute, farther back at coarser ones', () => {
  const now = Date.parse('2026-11-24T10:00:00Z');
  const first = (text: string, period: number) =>
    new Date(firstPeriodMs(Date.parse(text), period, now)).toISOString();
  expect(first('2026-11-24T09:12:34Z', 10)).toBe('2026-11-24T09:12:30.000Z');
  expect(first('2026-11-24T09:12:34Z', 3600)).toBe('2026-11-24T09:12:00.000Z');
  expect(first('2026-11-01T09:12:34Z', 300)).toBe('2026-11-01T09:10:00.000Z');
  expect(first('2026-08-01T09:12:34Z', 3600)).toBe('2026-08-01T09:00:00.000Z');
});
