import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinNeighbours, mergeSummaries } from './merge-summaries.ts';
import { type Summary, summaryOf } from './summary.ts';

const statisticSet: Summary = { sampleCount: 4, sum: 10, minimum: 1, maximum: 4 };

test('counts, sums and bounds are added up; equal values are counted', () => {
  expect(mergeSummaries([summaryOf(2), summaryOf(5), summaryOf(2)])).toEqual({
    sampleCount: 3,
    sum: 9,
    minimum: 2,
    maximum: 5,
    values: [
      [2, 2],
      [5, 1],
    ],
  });
});

test('one part whose values are unknown makes them unknown', () => {
  expect(mergeSummaries([summaryOf(7), statisticSet])).toEqual({
    sampleCount: 5,
    sum: 17,
    minimum: 1,
    maximum: 7,
  });
  expect(mergeSummaries([statisticSet])).toEqual(statisticSet);
});

test('beyond the bound neighbours are joined: few, ascending, with the same count and sum', () => {
  const value = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });
  fc.assert(
    fc.property(
      fc.uniqueArray(value, { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 3, max: 50 }),
      (given, most) => {
        const merged = mergeSummaries(given.map(summaryOf), most);
        const values = merged.values!;
        expect(values.length).toBeLessThanOrEqual(most);
        expect(values).toEqual([...values].sort(([a], [b]) => a - b));
        expect(values.reduce((sum, [, count]) => sum + count, 0)).toBe(given.length);
        expect(Math.min(...given)).toBe(merged.minimum);
        const total = values.reduce((sum, [each, count]) => sum + each * count, 0);
        const size = given.reduce((sum, each) => sum + Math.abs(each), 0);
        expect(Math.abs(total - merged.sum)).toBeLessThanOrEqual(1e-9 * size);
      },
    ),
  );
});

test('joined values stay close to what they stand for', () => {
  const values = Array.from({ length: 2_000 }, (_, index) => [1 + index / 100, 1] as const);
  const joined = joinNeighbours(values, 500);
  expect(joined.length).toBeGreaterThan(100);
  let passed = 0;
  for (const [value, count] of joined) {
    const middle = values[passed + Math.floor((count - 1) / 2)]![0];
    expect(Math.abs(value / middle - 1)).toBeLessThan(0.02);
    passed += count;
  }
});
