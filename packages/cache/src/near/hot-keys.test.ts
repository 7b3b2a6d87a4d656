import { expect, test } from 'vitest';
import { HotKeys } from './hot-keys.ts';

/** A small generator, so that a failure repeats. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('finds the few keys that make most of the reads among very many', () => {
  const hot = new HotKeys();
  const random = numbers(7);
  for (let i = 0; i < 9_000; i += 1) {
    const r = random();
    hot.note(r < 0.2 ? 'first' : r < 0.3 ? 'second' : `other:${Math.floor(random() * 100_000)}`);
  }
  const [first, second] = hot.top(2);
  expect([first?.key, second?.key]).toEqual(['first', 'second']);
  expect(first!.share).toBeGreaterThan(0.18);
  expect(first!.share).toBeLessThan(0.3);
});

test('what was hot yesterday gives way', () => {
  const hot = new HotKeys();
  for (let i = 0; i < 9_999; i += 1) hot.note('yesterday');
  for (let i = 0; i < 40_000; i += 1) hot.note(i % 2 === 0 ? 'today' : `other:${i}`);
  expect(hot.top(1)[0]?.key).toBe('today');
});
