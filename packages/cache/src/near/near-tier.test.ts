import { expect, test } from 'vitest';
import type { PartitionState } from '../far/partition-state.ts';
import { freezeJson, type NearEntry, NearTier } from './near-tier.ts';

const partition = {} as PartitionState;

function put(near: NearTier, map: Map<string, NearEntry>, key: string, payloadLength = 100): void {
  near.put({
    map,
    key,
    partition,
    value: key,
    payload: 'x'.repeat(payloadLength),
    nearSession: 1,
    selfProvenUntilMs: 0,
    expiresAtMs: 1,
  });
}

test('never more bytes than allowed, and the books balance', () => {
  const near = new NearTier(10_000);
  const map = new Map<string, NearEntry>();
  for (let i = 0; i < 1_000; i += 1) {
    put(near, map, `k${i % 70}`, (i * 37) % 400);
    expect(near.bytes).toBeLessThanOrEqual(10_000);
  }
  expect(near.entries).toBe(map.size);
  expect(near.bytes).toBe([...map.values()].reduce((sum, entry) => sum + entry.bytes, 0));
  for (const entry of [...map.values()]) near.remove(entry);
  expect([near.entries, near.bytes, map.size]).toEqual([0, 0, 0]);
});

test('what was touched since gets a second chance', () => {
  const near = new NearTier(2_300);
  const map = new Map<string, NearEntry>();
  for (const key of ['a', 'b', 'c', 'd']) put(near, map, key);
  map.get('a')!.touched = true;
  put(near, map, 'e');
  expect([...map.keys()].sort()).toEqual(['a', 'c', 'd', 'e']);
});

test('a scan over everything does not push out what everybody reads', () => {
  const near = new NearTier(100_000);
  const map = new Map<string, NearEntry>();
  const hot = Array.from({ length: 100 }, (_, i) => `hot:${i}`);
  for (let round = 0; round < 5; round += 1) for (const key of hot) put(near, map, key);
  for (let i = 0; i < 5_000; i += 1) {
    put(near, map, `scanned:${i}`);
    const read = map.get(hot[i % hot.length]!);
    if (read !== undefined) read.touched = true;
  }
  expect(hot.filter((key) => map.has(key)).length).toBeGreaterThan(90);
  expect(near.evictions).toBeGreaterThan(0);
  // What is asked for again and again gets in.
  for (let i = 0; i < 8; i += 1) put(near, map, 'new favourite');
  expect(map.has('new favourite')).toBe(true);
});

test('a value too large for the tier is not kept, and replaces nothing silently', () => {
  const near = new NearTier(2_000);
  const map = new Map<string, NearEntry>();
  put(near, map, 'a', 10);
  put(near, map, 'a', 5_000);
  expect([near.entries, near.bytes]).toEqual([0, 0]);
});

test('values are frozen all the way down', () => {
  const value = freezeJson({ list: [{ price: 1 }] });
  expect(() => {
    (value.list[0] as { price: number }).price = 2;
  }).toThrow(TypeError);
});
