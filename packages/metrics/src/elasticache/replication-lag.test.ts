import { expect, test } from 'vitest';
import { type OffsetHistory, offsetSeen, replicationLag } from './replication-lag.ts';

function history(...points: readonly (readonly [atMs: number, offset: number])[]): OffsetHistory {
  let seen: OffsetHistory | undefined;
  for (const [atMs, offset] of points) seen = offsetSeen(seen, atMs, offset);
  return seen!;
}

test.each([
  ['one that has everything', [[1_000, 50]], 50, 0],
  ['one that was read a little later', [[1_000, 50]], 60, 0],
  [
    'a moment behind',
    [
      [1_000, 0],
      [2_000, 100],
    ],
    90,
    0.1,
  ],
  [
    'one that stands still while the primary writes',
    [
      [1_000, 0],
      [2_000, 100],
      [9_000, 200],
    ],
    100,
    7,
  ],
  [
    'from the end of a rest on',
    [
      [1_000, 100],
      [5_000, 100],
      [6_000, 200],
    ],
    100,
    1,
  ],
  [
    'further behind than is known',
    [
      [1_000, 100],
      [2_000, 200],
    ],
    50,
    undefined,
  ],
] as const)('%s', (_, points, offset, lag) => {
  expect(replicationLag(history(...points), offset)).toEqual(lag);
});

test('another history of writes begins anew', () => {
  expect(history([1_000, 500], [2_000, 10]).points).toEqual([{ atMs: 2_000, offset: 10 }]);
});

test('no more is kept than an hour', () => {
  const points = Array.from({ length: 5_000 }, (_, index) => [index * 1_000, index] as const);
  expect(history(...points).points.length).toBeLessThanOrEqual(3_601);
});
