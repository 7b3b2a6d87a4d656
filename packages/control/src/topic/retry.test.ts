import { expect, test } from 'vitest';
import { nextAttemptMs, retryPolicy } from './retry.ts';

const at = (change: object) =>
  nextAttemptMs(retryPolicy, { attempts: 1, sinceMs: 0, nowMs: 0, random: 0, ...change });

test.each([
  ['half a second at the earliest', {}, 500],
  ['nearly a second at the latest', { random: 0.999 }, 1_000],
  ['twice as long each time', { attempts: 5, random: 0.999 }, 15_992],
  ['five minutes at the longest', { attempts: 23, random: 0.999 }, 299_850],
  ['from now on', { nowMs: 60_000 }, 60_500],
  ['never after the last attempt', { attempts: 24 }, undefined],
  ['never when it would be too old', { nowMs: 6 * 3_600_000 }, undefined],
])('tried again %s', (_, change, expected) => {
  expect(at(change)).toBe(expected);
});
