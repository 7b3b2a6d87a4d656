/** Seeded randomness: the same seed gives the same shop and the same crowd, on every machine. */

export interface Random {
  /** A number from 0 (included) to 1 (excluded). */
  next(): number;
  /** A whole number from 0 (included) to `limit` (excluded). */
  below(limit: number): number;
  /** One of `list`, which must not be empty. */
  pick<T>(list: readonly T[]): T;
  /** A generator of its own, so that drawing more from one never changes what another draws. */
  fork(label: string): Random;
}

/** sfc32 (Chris Doty-Humphrey): passes PractRand, 32-bit integer arithmetic only, so exact in JavaScript. */
export function seededRandom(seed: number | string): Random {
  const text = String(seed);
  let a = hash(text, 0x9e3779b9);
  let b = hash(text, 0x243f6a88);
  let c = hash(text, 0xb7e15162);
  let counter = 1;
  function next(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }
  // The first values still show the seed's bits.
  for (let round = 0; round < 12; round += 1) next();
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick: (list) => list[below(list.length)]!,
    fork: (label) => seededRandom(`${text}/${label}`),
  };
}

/**
 * Draws ranks 0 … count-1 where rank r has weight 1 / (r + 1) ** exponent. With exponent 1 and 5,000 ranks
 * the first gets 11 % of all draws: how sales spread over a shop's products.
 */
export function zipf(count: number, exponent: number, random: Random): () => number {
  const weights = Array.from({ length: count }, (_, rank) => 1 / (rank + 1) ** exponent);
  return weighted(weights, random);
}

/** Draws an index of `weights`, each in proportion to its weight; at least one must be above zero. */
export function weighted(weights: readonly number[], random: Random): () => number {
  const cumulative = new Float64Array(weights.length);
  let total = 0;
  for (const [index, weight] of weights.entries()) {
    total += weight;
    cumulative[index] = total;
  }
  return () => {
    const target = random.next() * total;
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** FNV-1a: spreads the seed's text over 32 bits. */
function hash(text: string, basis: number): number {
  let value = basis;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value;
}
