import { expect, test } from 'vitest';
import { bucketCount, bucketOffset, hashKey, partitionIndex, partitionsOf, slotOf } from './partition.ts';

test('slots are those of the cluster specification', () => {
  expect(slotOf('123456789')).toBe(0x31c3);
  expect(slotOf('foo')).toBe(12_182);
});

test('partitions spread evenly over the slots, the same everywhere', () => {
  const partitions = partitionsOf('shop', 16);
  expect(partitions.map(({ slot }) => Math.floor(slot / 1_024))).toEqual(
    Array.from({ length: 16 }, (_, i) => i),
  );
  expect(partitionsOf('shop', 16)).toEqual(partitions);
  for (const { tag, slot, state } of partitions) {
    expect(slotOf(tag.slice(1, -1))).toBe(slot);
    expect(state.startsWith(tag)).toBe(true);
  }
});

test('the hash is FNV-1a over UTF-8, finalized', () => {
  expect(hashKey('')).toBe(finalize(0x811c9dc5));
  expect(hashKey('foobar')).toBe(finalize(0xbf9cf968));
  expect(hashKey('é')).toBe(finalize(fnv([0xc3, 0xa9])));
});

test('keys that differ in their last digits spread over partitions and buckets', () => {
  const hashes = Array.from({ length: 1_000 }, (_, i) => hashKey(`product:1:${i}`));
  const perPartition = new Map<number, number>();
  for (const hash of hashes) {
    const index = partitionIndex(hash, 16);
    perPartition.set(index, (perPartition.get(index) ?? 0) + 1);
  }
  expect(perPartition.size).toBe(16);
  expect(Math.max(...perPartition.values())).toBeLessThan(110);
  expect(new Set(hashes.map(bucketOffset)).size).toBeGreaterThan(970);
});

test('offsets stay within the stamp table', () => {
  expect(bucketOffset(0xffff_ffff)).toBe((bucketCount - 1) * 12);
});

function fnv(bytes: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function finalize(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
