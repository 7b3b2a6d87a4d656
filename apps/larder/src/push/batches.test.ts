import { expect, test } from 'vitest';
import { batchesOf } from './batches.ts';

const data = (count: number, length = 1) =>
  Array.from({ length: count }, (_, index) => ({ MetricName: `${index}`.padEnd(length, 'x'), Value: 1 }));

test.each([
  ['nothing', data(0), []],
  ['a thousand', data(1_000), [1_000]],
  ['one more', data(1_001), [1_000, 1]],
  ['long names', data(10, 300_000), [2, 2, 2, 2, 2]],
  ['one that is too long', data(2, 900_000), [1, 1]],
])('%s', (_, given, sizes) => {
  const batches = batchesOf(given);
  expect(batches.map(({ length }) => length)).toEqual(sizes);
  expect(batches.flat()).toEqual(given);
});
