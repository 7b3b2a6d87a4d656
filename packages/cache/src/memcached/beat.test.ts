import { expect, test } from 'vitest';
import { randomOf } from '../testing/random.ts';
import { type Beat, BeatWatch, encodeBeat, parseBeat } from './beat.ts';

const never = Number.NEGATIVE_INFINITY;

function beat(counter: number, epoch = '00000000000a'): Beat {
  return {
    epoch,
    counter,
    applied: '0'.repeat(16),
    digest: 'd'.repeat(12),
    voids: '',
    history: 'slot of db',
  };
}

test('a beat is text, and nothing else is a beat', () => {
  const voids = `${'0'.repeat(8)}${'f'.repeat(16)}`;
  for (const each of [beat(0), { ...beat(7), voids }, { ...beat(1), history: 'a b\n%' }]) {
    expect(parseBeat(encodeBeat(each))).toEqual(each);
  }
  const text = encodeBeat(beat(1));
  for (const other of [
    '',
    'LM2',
    text.replace('LM1', 'LM2'),
    `${text} x`,
    text.slice(4),
    text.replace('-', 'xy'),
  ]) {
    expect(parseBeat(other)).toBeUndefined();
  }
  expect(parseBeat(text.replace(/ [^ ]*$/, ' %zz'))).toBeUndefined();
});

test('a beat proves what was before a read that found one at least two less', () => {
  const watch = new BeatWatch();
  watch.observe(beat(1), 10);
  expect(watch.provenSinceMs(beat(1))).toBe(never);
  watch.observe(beat(1), 20);
  watch.observe(beat(2), 30);
  expect(watch.provenSinceMs(beat(2))).toBe(never);
  watch.observe(beat(3), 40);
  expect(watch.provenSinceMs(beat(3))).toBe(20);
  watch.observe(beat(3), 45);
  watch.observe(beat(6), 50);
  expect(watch.provenSinceMs(beat(6))).toBe(45);
  // Late replies, other epochs.
  watch.observe(beat(5), 60);
  expect(watch.provenSinceMs(beat(6))).toBe(45);
  expect(watch.provenSinceMs(beat(5))).toBe(never);
  watch.observe(beat(7, '00000000000b'), 70);
  expect(watch.provenSinceMs(beat(7, '00000000000b'))).toBe(never);
});

/** Rounds with any delays, readers at any times: what a reader concludes is never later than the question was. */
test('no schedule makes a reader believe too much', () => {
  const seed = (Date.now() ^ (process.pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  let conclusions = 0;
  for (let run = 0; run < 300; run += 1) {
    let now = 0;
    let stored = beat(0);
    let version = 0;
    const askedAt = new Map<number, number>([[0, 0]]);
    const watches = [new BeatWatch(), new BeatWatch()];
    /** Of two invalidators: the version that it builds on, and when it asked. */
    const rounds: ({ version: number; counter: number; askedMs: number } | undefined)[] = [
      undefined,
      undefined,
    ];
    const lateStores: { version: number; counter: number; askedMs: number }[] = [];
    const land = (store: { version: number; counter: number; askedMs: number }): void => {
      if (store.version !== version) return;
      version += 1;
      stored = beat(store.counter);
      askedAt.set(store.counter, store.askedMs);
    };
    for (let step = 0; step < 200; step += 1) {
      now += random() * 10;
      const who = random() < 0.5 ? 0 : 1;
      const dice = random();
      if (dice < 0.35) {
        const round = rounds[who];
        if (round === undefined) rounds[who] = { version, counter: stored.counter + 1, askedMs: now };
        else {
          rounds[who] = undefined;
          if (random() < 0.3) lateStores.push(round);
          else land(round);
        }
      } else if (dice < 0.45 && lateStores.length > 0) {
        land(lateStores.splice(Math.floor(random() * lateStores.length), 1)[0]!);
      } else {
        const watch = watches[who]!;
        watch.observe(stored, now - random() * 5);
        const proven = watch.provenSinceMs(stored);
        if (proven === never) continue;
        conclusions += 1;
        expect(proven).toBeLessThanOrEqual(askedAt.get(stored.counter)!);
      }
    }
  }
  expect(conclusions).toBeGreaterThan(1_000);
});
