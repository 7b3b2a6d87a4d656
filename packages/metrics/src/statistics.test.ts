import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeSummaries } from './merge-summaries.ts';
import { parseStatistic, statisticOf } from './statistics.ts';
import { type Summary, summaryOf } from './summary.ts';

const summary = (...values: number[]) => mergeSummaries(values.map(summaryOf));
const of = (text: string, given: Summary) => statisticOf(given, parseStatistic(text)!);

const oneToTen = summary(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

test.each<[string, Summary, number | undefined]>([
  ['SampleCount', oneToTen, 10],
  ['Average', oneToTen, 5.5],
  ['Sum', oneToTen, 55],
  ['Minimum', oneToTen, 1],
  ['Maximum', oneToTen, 10],
  ['p0', oneToTen, 1],
  ['p10', oneToTen, 1],
  ['p50', oneToTen, 5],
  ['p90', oneToTen, 9],
  ['p90.1', oneToTen, 10],
  ['p100', oneToTen, 10],
  ['p99.9', summary(7), 7],
  ['p50', summary(1, 1, 1, 9), 1],
  ['tm90', oneToTen, 5],
  ['TM(10%:90%)', oneToTen, 5.5],
  ['TM(10% : 90%)', oneToTen, 5.5],
  ['TM(80%:)', oneToTen, 9.5],
  ['TM(:50%)', oneToTen, 3],
  ['TM(2:4)', oneToTen, 3.5],
  ['TM(20:30)', oneToTen, undefined],
  ['tm99', summary(4), 4],
  ['tm40', summary(4), undefined],
  ['IQM', oneToTen, 5.5],
  ['IQM', summary(1, 100), 50.5],
  ['wm90', oneToTen, 5.4],
  ['WM(20%:80%)', oneToTen, 5.5],
  ['WM(4:6)', oneToTen, (4 * 4 + 5 + 6 * 5) / 10],
  ['tc90', oneToTen, 9],
  ['TC(2:4)', oneToTen, 2],
  ['TC(20:30)', oneToTen, 0],
  ['ts90', oneToTen, 45],
  ['TS(:3)', oneToTen, 6],
  ['PR(:3)', oneToTen, 30],
  ['PR(3:)', oneToTen, 70],
  ['PR(2:4)', oneToTen, 20],
  ['PR(-5:0)', summary(-1, 1), 50],
])('%s of %j is %s', (statistic, given, expected) => {
  const value = of(statistic, given);
  if (expected === undefined) expect(value).toBeUndefined();
  else expect(value).toBeCloseTo(expected, 9);
});

test.each([
  ...['average', 'p', 'p101', 'p-1', 'P50', 'pp50', 'p50.12345678901', 'tm101', 'TM()', 'TM(:)', 'TM(%:)'],
  ...['TM(10%:90)', 'TM(10:90%)', 'TM(90%:10%)', 'TM(5:5)', 'TM(10%:110%)', 'PR(10%:90%)', 'XX(1:2)', 'iqm'],
  ...['TM(1:2', 'TM(Infinity:)', '', 'TM(1:2)x', 'constructor'],
])('%s is no statistic', (text) => {
  expect(parseStatistic(text)).toBeUndefined();
});

test('of a statistic set percentiles are known only when its values are alike', () => {
  const set: Summary = { sampleCount: 4, sum: 10, minimum: 1, maximum: 4 };
  expect(of('Average', set)).toBe(2.5);
  expect(of('p50', set)).toBeUndefined();
  expect(of('TM(10%:90%)', set)).toBeUndefined();
  expect(of('p50', { sampleCount: 3, sum: 6, minimum: 2, maximum: 2 })).toBe(2);
});

test('trimmed count, sum and mean belong together; whatever is asked lies between the bounds', () => {
  const values = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 40 });
  const bounds = fc
    .uniqueArray(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 2 })
    .map((pair) => pair.sort((a, b) => a - b));
  fc.assert(
    fc.property(values, bounds, (given, [lower, upper]) => {
      const of_ = (kind: string) => of(`${kind}(${lower}%:${upper}%)`, summary(...given));
      const [count, sum, mean, winsorised] = ['TC', 'TS', 'TM', 'WM'].map(of_);
      expect(Number.isInteger(count)).toBe(true);
      if (mean === undefined) expect(count).toBe(0);
      else expect(mean * count!).toBeCloseTo(sum!, 6);
      for (const each of [mean, winsorised, of(`p${lower}`, summary(...given))]) {
        if (each === undefined) continue;
        expect(each).toBeGreaterThanOrEqual(Math.min(...given) - 1e-9);
        expect(each).toBeLessThanOrEqual(Math.max(...given) + 1e-9);
      }
    }),
  );
});
