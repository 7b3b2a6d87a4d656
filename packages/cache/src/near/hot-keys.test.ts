import { expect, test } from 'vitest';
import { HotKeys, Sampler } from './hot-keys.ts';

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

test('one read in so many is sampled, at no fixed distance', () => {
  const sampler = new Sampler(16, numbers(3));
  const at: number[] = [];
  for (let i = 0; i < 16_000; i += 1) if (sampler.hit()) at.push(i);
  expect(at.length).toBeGreaterThan(900);
  expect(at.length).toBeLessThan(1_100);
  expect(new Set(at.slice(1).map((each, i) => each - at[i]!)).size).toBeGreaterThan(10);
});
