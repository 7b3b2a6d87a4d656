import { expect, test } from 'vitest';
import { judge } from './bar.ts';
import { helpText, numberOption, parseOptions, UsageError } from './command-line.ts';
import { seededRandom } from './seeded-random.ts';
import { quantile, ratiosWithinRounds, shuffled, spreadOf } from './statistics.ts';
import { barTable, figure, spreadText, table } from './table.ts';

test('quantiles interpolate, and do not depend on the order of the values', () => {
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([], 0.5)).toBeNaN();
  expect(spreadOf([5, 1, 3, 2, 4])).toEqual({ median: 3, q1: 2, q3: 4, min: 1, max: 5, count: 5 });
});

test('ratios are taken within a round', () => {
  // Both are twice as slow in the second round; the ratio does not notice.
  expect(ratiosWithinRounds([10, 20], [5, 10])).toEqual([2, 2]);
  expect(() => ratiosWithinRounds([1], [1, 2])).toThrow('1 rounds against 2');
});

test('shuffling keeps what there is and follows the seed', () => {
  const cards = [1, 2, 3, 4, 5, 6, 7, 8];
  const once = shuffled(cards, seededRandom(7));
  expect(once).not.toEqual(cards);
  expect([...once].sort()).toEqual(cards);
  expect(shuffled(cards, seededRandom(7))).toEqual(once);
});

test('a bar is missed only when its whole spread is', () => {
  const bar = { name: 'x', better: 'lower', limit: 2, unit: '' } as const;
  expect(judge({ ...bar, values: [1, 1.5, 2] }).verdict).toBe('met');
  expect(judge({ ...bar, values: [1.5, 2.1, 3] }).verdict).toBe('near');
  expect(judge({ ...bar, values: [2.5, 3, 4] }).verdict).toBe('missed');
  expect(judge({ ...bar, values: [] }).verdict).toBe('missed');
  expect(judge({ ...bar, better: 'higher', values: [1, 1, 1] }).verdict).toBe('missed');
  expect(judge({ ...bar, better: 'higher', values: [1, 1.9, 2.1, 2.2] }).verdict).toBe('met');
});

test('tables line up', () => {
  expect(
    table(
      ['a', 'bbb'],
      [
        ['long', '1'],
        ['b', '22'],
      ],
    ),
  ).toBe(['a     bbb', '----  ---', 'long    1', 'b      22'].join('\n'));
  expect([figure(1234567), figure(0.012345), figure(12.3456), figure(Number.NaN)]).toEqual([
    '1,234,567',
    '0.0123',
    '12.3',
    '-',
  ]);
  expect(spreadText(spreadOf([1, 2, 3]))).toBe('2 [1.5..2.5]');
  const line = barTable([judge({ name: 'n', better: 'higher', limit: 3, unit: 'ms', values: [4] })]);
  expect(line).toContain('≥ 3 ms');
  expect(line).toContain('met');
});

test('options: names, ranges, and what is said about wrong ones', () => {
  const options = { seconds: { value: 'N', text: 'how long' } };
  expect(parseOptions(options, ['--seconds', '5'])).toEqual({ help: false, seconds: '5' });
  expect(parseOptions(options, ['--help']).help).toBe(true);
  expect(() => parseOptions(options, ['--minutes', '5'])).toThrow(UsageError);
  expect(() => parseOptions(options, ['five'])).toThrow(UsageError);
  const range = { fallback: 7, least: 1, most: 10 };
  expect(numberOption('seconds', undefined, range)).toBe(7);
  expect(numberOption('seconds', '10', range)).toBe(10);
  for (const wrong of ['11', '0', 'x', '']) {
    expect(() => numberOption('seconds', wrong, range)).toThrow('--seconds takes a number from 1 to 10');
  }
  expect(helpText('npm run x', 'Measures.', options)).toContain('--seconds N  how long');
});
