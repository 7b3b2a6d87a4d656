import { expect, test } from 'vitest';
import { isVoids, mergedVoids, newlyVoid, voidedThrough, voidHashOf } from './voids.ts';

const [product, list] = [voidHashOf('product:1:'), voidHashOf('list:1:')];
const at = (n: number): string => n.toString(16).padStart(16, '0');

test('finds the definition at its place only, whatever the positions spell', () => {
  const voids = list + (product + product).slice(0, 16) + product + at(7);
  expect(voidedThrough(voids, product)).toBe(at(7));
  expect(voidedThrough('', product)).toBe('');
  expect(voidedThrough(list + at(3), product)).toBe('');
});

test('tells what is new', () => {
  expect(newlyVoid('', product + at(7))).toEqual([product]);
  expect(newlyVoid(product + at(7), product + at(7) + list + at(1))).toEqual([list]);
  expect(newlyVoid(product + at(7), product + at(9))).toEqual([product]);
  expect(newlyVoid(product + at(9), product + at(9))).toEqual([]);
});

test('two lists merge into what is most void', () => {
  expect(mergedVoids(product + at(7), product + at(9) + list + at(1))).toBe(product + at(9) + list + at(1));
  expect(mergedVoids(product + at(9), product + at(7))).toBe(product + at(9));
  expect(mergedVoids('', '')).toBe('');
});

test('anything else is no list', () => {
  expect([isVoids(''), isVoids(product + at(1)), isVoids('xyz'), isVoids('z'.repeat(24))]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
