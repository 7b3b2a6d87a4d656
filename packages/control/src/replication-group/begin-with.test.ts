import { listSlots, slotCount, splitEvenly } from '@larder/engine/slots';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { beginWith } from './begin-with.ts';

const zones = ['us-east-1a', 'us-east-1b'];
const kept = (count: number) => splitEvenly(count).map((range) => ({ slots: [range] }));
const wanted = (count: number) =>
  kept(count).map(({ slots }, index) => ({ index, slots, memberZones: zones }));
const shown = (from: number, to: number) =>
  beginWith(wanted(to), kept(from), zones).map(({ slots, resharding }) => [
    slots.length === 0 ? 'nothing' : kept(from).findIndex((each) => each.slots[0]!.first === slots[0]!.first),
    resharding?.leaving === true ? 'goes' : resharding?.gains,
  ]);

describe('a group made from a snapshot', () => {
  test('with its own shards moves nothing', () => {
    expect(beginWith(wanted(3), kept(3), zones)).toEqual(wanted(3));
  });

  test('with its own shards in another order moves nothing either', () => {
    const turned = wanted(2).map((each, index) => ({ ...each, slots: wanted(2)[1 - index]!.slots }));
    expect(beginWith(turned, kept(2), zones)).toEqual(turned);
  });

  test('with twice the shards begins with half of them', () => {
    expect(shown(2, 4)).toEqual([
      [0, 0],
      ['nothing', 4_096],
      [1, 0],
      ['nothing', 4_096],
    ]);
  });

  test('with fewer shards begins with more, which go when they are empty', () => {
    const beginning = beginWith(wanted(1), kept(3), zones);
    expect(shown(3, 1)).toEqual([
      [0, 2 * 5_461],
      [1, 'goes'],
      [2, 'goes'],
    ]);
    expect(beginning.map(({ index, memberZones }) => [index, memberZones.length])).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
    ]);
  });

  test('of a group without cluster mode begins with one shard, whatever slots were written down', () => {
    expect(beginWith(wanted(2), [{ slots: [] }], zones).map(({ slots }) => listSlots(slots).length)).toEqual([
      slotCount,
      0,
    ]);
  });

  test('has at most as many nodes as a group', () => {
    expect(() => beginWith(wanted(1), kept(46), zones)).toThrow('92 nodes');
  });

  test('every slot begins once and ends once, and every file is loaded once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 30 }), (from, to) => {
        const all = beginWith(wanted(to), kept(from), zones);
        const begins = all.flatMap(({ slots }) => listSlots(slots));
        const ends = all.flatMap(({ slots, resharding }) => listSlots(resharding?.slots ?? slots));
        for (const slots of [begins, ends]) {
          expect(slots).toHaveLength(slotCount);
          expect(new Set(slots).size).toBe(slotCount);
        }
        expect(all.filter(({ slots }) => slots.length > 0)).toHaveLength(from);
        expect(all.map(({ index }) => index)).toEqual(all.map((_, index) => index));
      }),
      { numRuns: 40 },
    );
  });
});
