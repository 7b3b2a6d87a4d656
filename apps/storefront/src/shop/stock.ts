/**
 * Holds on stock, so that buyers of what is already gone never reach the database. A hold is an optimisation
 * and never a promise: the database's conditional UPDATE and its CHECK decide, and when the cache server is
 * away they decide alone.
 */
import type { CacheServer } from './cache-server.ts';
import type { SoldUnits } from './catalogue.ts';
import type { Counters } from './counters.ts';

export type HoldAnswer =
  /** Go on to the database. */
  | { readonly kind: 'go-on' }
  /** Fewer units exist than wanted, as far as the cache knows. */
  | { readonly kind: 'sold-out'; readonly productId: number };

export interface StockHolds {
  /** @param holder the idempotency key: a repeated request holds nothing twice. Never throws. */
  hold(holder: string, units: readonly SoldUnits[]): Promise<HoldAnswer>;
  /**
   * After the order committed (`placed`) or failed. Never throws; a hold that stays behind runs out.
   * A placed order is remembered for an hour: its buyer, asking again, is not told "sold out".
   */
  release(holder: string, units: readonly SoldUnits[], placed: boolean): Promise<void>;
}

export const noHolds: StockHolds = {
  hold: async () => ({ kind: 'go-on' }),
  release: async () => {},
};

const holdMs = 10_000;
const placedSeconds = 3_600;
const contendedTries = 8;
const contendedPauseMs = 25;

/** @param knownStock units of a product as the catalogue knows them; null when there is no such product. */
export function stockHolds(
  server: CacheServer,
  knownStock: (productId: number) => Promise<number | null>,
  counters: Counters,
): StockHolds {
  async function holdOne(holder: string, { productId, quantity }: SoldUnits): Promise<HoldAnswer> {
    for (let attempt = 0; attempt < contendedTries; attempt += 1) {
      const stock = await knownStock(productId);
      // An unknown product is for the database to refuse.
      if (stock === null) return { kind: 'go-on' };
      const answer = await server.holdStock(keysOf(productId), { holder, quantity, stock, holdMs });
      if (answer === 'held') return { kind: 'go-on' };
      if (answer === 'sold-out') return { kind: 'sold-out', productId };
      // The last units are in other buyers' checkouts. Most settle within milliseconds, and one may fail.
      await new Promise((resolve) => setTimeout(resolve, contendedPauseMs));
    }
    return { kind: 'go-on' };
  }
  async function release(holder: string, units: readonly SoldUnits[], placed: boolean): Promise<void> {
    try {
      if (placed)
        await server.set(placedKey(holder), '1', { expiration: { type: 'EX', value: placedSeconds } });
      await Promise.all(
        units.map(({ productId, quantity }) => server.releaseStock(keysOf(productId), holder, quantity)),
      );
    } catch {
      counters.cacheFailures += 1;
    }
  }
  return {
    release,
    async hold(holder, units) {
      try {
        for (const [index, one] of units.entries()) {
          const answer = await holdOne(holder, one);
          if (answer.kind === 'go-on') continue;
          await release(holder, units.slice(0, index), false);
          if ((await server.exists(placedKey(holder))) === 0) return answer;
          return { kind: 'go-on' };
        }
      } catch {
        counters.cacheFailures += 1;
      }
      return { kind: 'go-on' };
    },
  };
}

function placedKey(holder: string): string {
  return `placed:${holder}`;
}

/** Both in one slot of a cluster. */
function keysOf(productId: number): readonly [holds: string, held: string] {
  return [`stock:{${productId}}:holds`, `stock:{${productId}}:held`];
}
