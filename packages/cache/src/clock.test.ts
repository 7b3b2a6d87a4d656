import { expect, test } from 'vitest';
import { EngineClock } from './clock.ts';

test('ages are never too small, and too large by at most the round trip', () => {
  const clock = new EngineClock();
  // The engine is 1,000,000 ahead; its clock was read at local 103, the reply came at 110.
  clock.observe(100, 1_000_103, 110);
  expect(clock.ageMs(1_000_103, 103)).toBe(3);
  expect(clock.engineNowMs(200)).toBeGreaterThanOrEqual(1_000_200);
});

test('a tighter sample is kept, a looser one is not', () => {
  const clock = new EngineClock();
  clock.observe(0, 1_005, 10);
  clock.observe(20, 1_021, 22);
  expect(clock.engineNowMs(100)).toBe(1_101);
  clock.observe(30, 1_039, 45);
  expect(clock.engineNowMs(100)).toBe(1_101);
});

test('a clock that was set, forward or back, is followed at the next sample', () => {
  const clock = new EngineClock();
  clock.observe(0, 1_000, 1);
  clock.observe(10, 6_010, 11);
  expect(clock.engineNowMs(20)).toBe(6_020);
  clock.observe(30, 530, 31);
  expect(clock.engineNowMs(40)).toBe(540);
});

test('nothing is usable before the first sample', () => {
  const clock = new EngineClock();
  expect(clock.ageMs(0, 0) <= Number.POSITIVE_INFINITY).toBe(false);
  clock.observe(0, 0, 0);
  clock.reset();
  expect(clock.ageMs(0, 0)).toBeNaN();
});
