/** What one shop process counts. Everything here only ever grows, so that readers can take differences. */
import type { ServedFrom } from './catalogue.ts';

export type PageName =
  | 'home'
  | 'category'
  | 'product'
  | 'login'
  | 'cart'
  | 'checkout'
  | 'orders'
  | 'static'
  | 'other';

export interface Counters {
  readonly pages: Record<PageName, number>;
  /** Answers by status class. */
  readonly answers: { ok: number; redirect: number; refused: number; failed: number };
  /** Product pages by where the product came from. */
  readonly productsFrom: Record<ServedFrom, number>;
  readonly orders: {
    placed: number;
    /** A repeated idempotency key: the same order was answered again. */
    repeated: number;
    /** Refused for want of stock without asking the database. */
    soldOutByCache: number;
    /** Refused for want of stock by the database, which has the last word. */
    soldOutByDatabase: number;
  };
  /** Session operations that had to be tried again, and those that failed in the end. */
  readonly sessions: { retried: number; failed: number };
  /** Times the cache server failed and the shop went on without it. */
  cacheFailures: number;
  /** Product pages read from the database. */
  productLoads: number;
  readonly productLoadsById: Map<number, number>;
}

export function newCounters(): Counters {
  return {
    pages: {
      home: 0,
      category: 0,
      product: 0,
      login: 0,
      cart: 0,
      checkout: 0,
      orders: 0,
      static: 0,
      other: 0,
    },
    answers: { ok: 0, redirect: 0, refused: 0, failed: 0 },
    productsFrom: { near: 0, far: 0, database: 0 },
    orders: { placed: 0, repeated: 0, soldOutByCache: 0, soldOutByDatabase: 0 },
    sessions: { retried: 0, failed: 0 },
    cacheFailures: 0,
    productLoads: 0,
    productLoadsById: new Map(),
  };
}

export function countProductLoad(counters: Counters, id: number): void {
  counters.productLoads += 1;
  counters.productLoadsById.set(id, (counters.productLoadsById.get(id) ?? 0) + 1);
}
