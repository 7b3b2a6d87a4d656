import { expect, test } from 'vitest';
import { hashKey } from '../far/partition.ts';
import { FrequencySketch } from './frequency-sketch.ts';

test('counts what it saw, up to fifteen, and never too little', () => {
  const sketch = new FrequencySketch(1_024);
  const seen = new Map<number, number>();
  for (let i = 0; i < 3_000; i += 1) {
    const hash = hashKey(`key:${i % 300}`);
    seen.set(hash, (seen.get(hash) ?? 0) + 1);
    sketch.add(hash);
  }
  for (const [hash, count] of seen) expect(sketch.count(hash)).toBeGreaterThanOrEqual(Math.min(15, count));
  const strangers = Array.from({ length: 300 }, (_, i) => sketch.count(hashKey(`stranger:${i}`)));
  expect(strangers.filter((count) => count > 0).length).toBeLessThan(30);
});

test('forgets by halves', () => {
  const sketch = new FrequencySketch(16);
  const hash = hashKey('often');
  for (let i = 0; i < 10; i += 1) sketch.add(hash);
  expect(sketch.count(hash)).toBe(10);
  for (let i = 10; i < 16 * 8; i += 1) sketch.add(hashKey('often'));
  expect(sketch.count(hash)).toBe(7);
});
