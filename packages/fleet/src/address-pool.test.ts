import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressesOfBlock } from './address-pool.ts';

describe("a data directory's block of addresses", () => {
  test('holds 4,094 of them, each once, all inside 127.64.0.0/10', () => {
    fc.assert(
      fc.property(fc.string(), (directory) => {
        const addresses = [...addressesOfBlock(directory)];
        expect(new Set(addresses).size).toBe(4_094);
        for (const address of addresses) {
          const [a, b, ...rest] = address.split('.').map(Number);
          expect(a === 127 && b! >= 64 && b! < 128 && rest.every((part) => part >= 0 && part < 256)).toBe(
            true,
          );
        }
        // The block's own first and last address are nobody's.
        expect(addresses[0]).toMatch(/\.1$/);
        expect(addresses.at(-1)).toMatch(/\.254$/);
      }),
      { numRuns: 20 },
    );
  });

  test("is the same at every start, and hardly another directory's", () => {
    const firsts = Array.from({ length: 20 }, (_, index) => [...addressesOfBlock(`/data/${index}`)][0]);
    expect(new Set(firsts).size).toBeGreaterThanOrEqual(18);
    expect([...addressesOfBlock('/data/3')][0]).toBe(firsts[3]);
  });
});
