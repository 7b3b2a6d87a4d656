import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { unusedPrice } from './price-changer.ts';

test('a product never has the same price twice, however low it is and however often it changes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer(), (first, seed) => {
      const random = seededRandom(seed);
      const prices = [first];
      for (let change = 0; change < 60; change += 1) prices.push(unusedPrice(prices, random));
      expect(new Set(prices).size).toBe(prices.length);
      expect(Math.min(...prices)).toBeGreaterThan(0);
    }),
    { numRuns: 30 },
  );
});
