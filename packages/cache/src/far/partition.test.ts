import { expect, test } from 'vitest';
import { bucketCount, bucketOffset, hashKey, partitionsOf, slotOf } from './partition.ts';

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

test('the hash is FNV-1a over UTF-8', () => {
  expect(hashKey('')).toBe(0x811c9dc5);
  expect(hashKey('a')).toBe(0xe40c292c);
  expect(hashKey('foobar')).toBe(0xbf9cf968);
  expect(hashKey('é')).toBe(hashOf([0xc3, 0xa9]));
});

test('offsets stay within the stamp table', () => {
  expect(bucketOffset(0xffff_ffff)).toBe((bucketCount - 1) * 12);
});

function hashOf(bytes: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
