import { expect, test } from 'vitest';
import { latenciesOf } from './invalidation-latency.ts';

const never = Number.POSITIVE_INFINITY;
const writes = [
  { key: 1, beganMs: 90, returnedMs: 100, before: 1_000n },
  { key: 2, beganMs: 110, returnedMs: 120, before: 2_000n },
];

test('a write is matched with the first confirmation beyond it, which may come before its answer', () => {
  const acknowledgements = [
    { position: 900n, atMs: 91 },
    { position: 1_500n, atMs: 98 },
    { position: 2_500n, atMs: 127 },
  ];
  expect(latenciesOf(writes, acknowledgements, []).engine).toEqual([-2, 7]);
});

test('the slowest process counts, and only drops after the write began', () => {
  const drops = [
    [
      { key: 1, atMs: 50 },
      { key: 1, atMs: 101 },
      { key: 2, atMs: 125 },
    ],
    [
      { key: 1, atMs: 104 },
      { key: 2, atMs: 122 },
    ],
  ];
  expect(latenciesOf(writes, [], drops).near).toEqual([4, 5]);
});

test('what never came is never, not left out', () => {
  expect(latenciesOf(writes, [], [[{ key: 1, atMs: 101 }]])).toEqual({
    engine: [never, never],
    near: [1, never],
  });
});
