import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lifetimeOf, shouldRefreshEarly } from './lifetime.ts';

const options = { freshMs: 1_000, staleMs: 500, absentMs: 100, jitter: 0.2 };

test('jitter shortens, never below a millisecond, and staleness comes on top', () => {
  expect(lifetimeOf(options, false, 0)).toEqual({ freshForMs: 1_000, keepForMs: 1_500 });
  expect(lifetimeOf(options, false, 1)).toEqual({ freshForMs: 800, keepForMs: 1_300 });
  expect(lifetimeOf({ ...options, freshMs: 1, jitter: 1 }, false, 1).freshForMs).toBe(1);
});

test('absence has a life of its own, and is never served stale', () => {
  expect(lifetimeOf(options, true, 0)).toEqual({ freshForMs: 100, keepForMs: 100 });
});

test('the nearer the end and the dearer the load, the likelier a refresh; long before the end, none', () => {
  expect(shouldRefreshEarly(60_000, 5, 0.001)).toBe(false);
  expect(shouldRefreshEarly(1, 50, 0.5)).toBe(true);
  expect(shouldRefreshEarly(10, 0, 0.000_001)).toBe(false);
  const random = fc.double({ min: Number.MIN_VALUE, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      random,
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 1e4 }),
      (r, left, load) => {
        if (shouldRefreshEarly(left, load, r)) expect(shouldRefreshEarly(left / 2, load, r)).toBe(true);
        if (shouldRefreshEarly(left, load, r)) expect(shouldRefreshEarly(left, load * 2, r)).toBe(true);
      },
    ),
  );
});
