import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSlots, parseSlots, slotCount, splitEvenly, tileAllSlots } from './slots.ts';

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
