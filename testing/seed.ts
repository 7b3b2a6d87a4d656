/** Chance that can be repeated: a failing test prints what it began with. */

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Prints the seed it chose. To repeat a run put the printed number in place of the call. */
export function chosenSeed(what: string): number {
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`${what}: seed ${seed}`);
  return seed;
}
