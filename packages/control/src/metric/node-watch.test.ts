import type { NodeFacts } from '@larder/metrics/elasticache/look';
import { expect, test } from 'vitest';
import { type NodeWatch, takenUp, type Watched, watchOn } from './node-watch.ts';

const facts: NodeFacts = { engine: 'valkey', vcpus: 2, memoryBytes: 1_000, baselineBytesPerSecond: 100 };
const startMs = Date.UTC(2026, 10, 24, 12);

const reading = (atMs: number, hits: number, run = 'r') => ({
  atMs,
  run,
  watch: 'w',
  counts: { keyspace_hits: hits, keyspace_misses: 0, used_memory: 5, total_net_input_bytes: hits * 10 },
});

function sumOf(values: Watched['second'] | undefined, name: string): number | undefined {
  return values?.find(({ metric }) => metric.name === name)?.summary.sum;
}

/** One reading after the other, each at a second of `startMs` with that many hits counted. */
function watched(...readings: readonly (readonly [second: number, hits: number, run?: string])[]): Watched[] {
  let watch: NodeWatch | undefined;
  return readings.map(([second, hits, run]) => {
    const atMs = startMs + second * 1_000;
    const seen = watchOn(watch, reading(atMs, hits, run), facts, atMs);
    watch = seen.watch;
    return seen;
  });
}

test('a second has what rose in it; a gap has nothing, and its increase is the minute’s alone', () => {
  const seen = watched([0, 100], [1, 103], [2, 104], [7, 150], [8, 151], [60, 160]);
  expect(seen.map(({ second }) => sumOf(second, 'CacheHits'))).toEqual([
    undefined,
    3,
    1,
    undefined,
    1,
    undefined,
  ]);
  expect(seen.map(({ second }) => sumOf(second, 'BytesUsedForCache'))).toEqual([5, 5, 5, 5, 5, 5]);
  expect(seen.slice(0, 5).every(({ minute }) => minute === undefined)).toBe(true);
  expect(seen[5]!.minute!.atMs).toBe(startMs);
  expect(sumOf(seen[5]!.minute!.values, 'CacheHits')).toBe(60);
});

test('the most in a second is that of the minute', () => {
  const seen = watched([0, 0], [1, 10], [2, 12], [60, 12], [61, 13]);
  expect(sumOf(seen[3]!.minute!.values, 'NetworkMaxBytesIn')).toBe(100);
});

test('an engine that was started anew loses nothing of the minute', () => {
  const seen = watched([0, 100], [1, 110], [2, 4, 'second'], [60, 9, 'second']);
  expect(sumOf(seen[2]!.second, 'CacheHits')).toBe(4);
  expect(sumOf(seen[3]!.minute!.values, 'CacheHits')).toBe(10 + 9);
});

test('a minute without a reading is a gap', () => {
  const seen = watched([0, 100], [130, 900], [180, 905]);
  expect(seen[1]!.minute).toBeUndefined();
  expect(sumOf(seen[2]!.minute!.values, 'CacheHits')).toBe(5);
});

test('a service that was started anew goes on where its minute began', () => {
  const [first] = watched([0, 100]);
  const atMs = startMs + 40_000;
  const after = watchOn(takenUp(first!.watch.minute), reading(atMs, 130), facts, atMs);
  expect(sumOf(after.second, 'CacheHits')).toBeUndefined();
  const nextMs = startMs + 60_000;
  const next = watchOn(after.watch, reading(nextMs, 131), facts, nextMs);
  expect(sumOf(next.minute!.values, 'CacheHits')).toBe(31);
});
