import { expect, test } from 'vitest';
import { throttle } from './throttle.ts';

test('some at once, then a few per second, each source by itself', () => {
  const failures = throttle({ burst: 3, perSecond: 2 });
  for (let n = 0; n < 3; n += 1) {
    expect(failures.allows('a', 1_000)).toBe(true);
    failures.failed('a', 1_000);
  }
  expect(failures.allows('a', 1_000)).toBe(false);
  expect(failures.allows('b', 1_000)).toBe(true);
  expect(failures.allows('a', 1_499)).toBe(false);
  expect(failures.allows('a', 1_500)).toBe(true);
  failures.failed('a', 1_500);
  expect(failures.allows('a', 1_500)).toBe(false);
  // A clock that was set back.
  expect(failures.allows('a', 0)).toBe(false);
  expect(failures.allows('a', 10_000)).toBe(true);
});

test('who failed longest ago is forgotten when there are too many', () => {
  const failures = throttle({ burst: 1, perSecond: 0 });
  failures.failed('first', 0);
  failures.failed('second', 0);
  failures.failed('first', 0);
  for (let n = 0; n < 9_999; n += 1) failures.failed(`other ${n}`, 0);
  expect(failures.allows('second', 0)).toBe(true);
  expect(failures.allows('first', 0)).toBe(false);
});
