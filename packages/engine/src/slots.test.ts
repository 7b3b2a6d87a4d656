import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countSlots,
  formatSlots,
  listSlots,
  parseSlots,
  rangesOf,
  sameSlots,
  slotCount,
  slotOfKey,
  splitEvenly,
  tileAllSlots,
  withoutSlots,
} from './slots.ts';

const slot = fc.nat(slotCount - 1);
const range = fc.tuple(slot, slot).map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));

describe('slots', () => {
  test('three shards get what ElastiCache gives them', () => {
    expect(splitEvenly(3).map((each) => formatSlots([each]))).toEqual([
      '0-5461',
      '5462-10922',
      '10923-16383',
    ]);
  });

  test('a split covers all slots once, in runs that differ by one at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (shards) => {
        const split = splitEvenly(shards);
        const lengths = split.map(({ first, last }) => last - first + 1);
        expect(split).toHaveLength(shards);
        expect(tileAllSlots(split.map((each) => [each]))).toBe(true);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('what is printed is read back', () => {
    fc.assert(
      fc.property(fc.array(range, { minLength: 1 }), (ranges) => {
        expect(parseSlots(formatSlots(ranges))).toEqual(ranges);
      }),
    );
  });

  test('as a list and as ranges they are the same, in the fewest ranges', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 5 }), fc.array(range, { maxLength: 5 }), (some, others) => {
        const slots = listSlots(some);
        expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b));
        const ranges = rangesOf(slots);
        expect(listSlots(ranges)).toEqual(slots);
        expect(countSlots(ranges)).toBe(slots.length);
        expect(sameSlots(some, ranges)).toBe(true);
        for (const [index, { first }] of ranges.entries()) {
          if (index > 0) expect(first).toBeGreaterThan(ranges[index - 1]!.last + 1);
        }
        const gone = new Set(listSlots(others));
        expect(listSlots(withoutSlots(some, others))).toEqual(slots.filter((each) => !gone.has(each)));
      }),
      { numRuns: 50 },
    );
    expect(sameSlots([{ first: 0, last: 1 }], [{ first: 0, last: 2 }])).toBe(false);
  });

  test('any other text is no list of slots, and never an exception', () => {
    for (const text of ['', '-', '5-', '-5', '9-8', '16384', '0-16384', '1;2', '1,,2', '0x1', '1e3', '１']) {
      expect([text, parseSlots(text)]).toEqual([text, undefined]);
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { first, last } of parseSlots(text) ?? []) {
          expect(first <= last && last < slotCount).toBe(true);
        }
      }),
    );
  });

  test('a split with a slot moved, doubled or left out no longer tiles', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 90 }), slot, (shards, at) => {
        const split = splitEvenly(shards).map((each) => [each]);
        expect(tileAllSlots([...split, [{ first: at, last: at }]])).toBe(false);
        expect(tileAllSlots(split.slice(1))).toBe(false);
        expect(tileAllSlots([...split].reverse())).toBe(true);
      }),
    );
    expect(tileAllSlots([])).toBe(false);
  });
});

test.each([
  ['123456789', 0x31c3],
  ['foo', 12_182],
  ['{foo}.bar', 12_182],
  ['bar{foo}{x}', 12_182],
  ['', 0],
])('the slot of %j', (key, expected) => {
  expect(slotOfKey(Buffer.from(key))).toBe(expected % slotCount);
});

test('with nothing between braces, or no end, the whole key counts', () => {
  const [empty, open] = ['{}foo', '{foo'].map((key) => slotOfKey(Buffer.from(key)));
  expect(empty).not.toBe(slotOfKey(Buffer.from('')));
  expect(open).not.toBe(slotOfKey(Buffer.from('foo')));
});
