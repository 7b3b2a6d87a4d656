/**
 * The shop with a cache as most shops have it: GET, on a miss the query and SET EX 60, DEL after the shop's
 * own writes. Fast, and wrong in two ways that no care in this file mends: a price changed by anyone else
 * stays old for up to a minute, and a slow reader can put an old value back after the DEL.
 */
import { type CacheServer, closeCacheServer } from './cache-server.ts';
import type { Catalogue, Served } from './catalogue.ts';
import { type Counters, countProductLoad } from './counters.ts';
import type { Database } from './database.ts';
import {
  loadCategories,
  loadCategoryPage,
  loadProduct,
  loadProducts,
  loadTrendingIds,
  type Product,
  trendingCount,
} from './product.ts';
import { bestSellers, recordSales } from './trending.ts';

const expiration = { type: 'EX', value: 60 } as const;

export function catalogueTtl(database: Database, server: CacheServer, counters: Counters): Catalogue {
  const { query } = database;

  async function cached<Value>(key: string, load: () => Promise<Value>): Promise<Served<Value>> {
    try {
      const text = await server.get(key);
      if (text !== null) return { value: JSON.parse(text) as Value, from: 'far' };
    } catch {
      counters.cacheFailures += 1;
    }
    const value = await load();
    await store(key, value);
    return { value, from: 'database' };
  }

  async function store(key: string, value: unknown): Promise<void> {
    if (value === null) return;
    try {
      await server.set(key, JSON.stringify(value), { expiration });
    } catch {
      counters.cacheFailures += 1;
    }
  }

  async function product(id: number): Promise<Served<Product | null>> {
    return cached(`product:${id}`, async () => {
      const value = await loadProduct(query, id);
      if (value !== null) countProductLoad(counters, id);
      return value;
    });
  }

  async function cards(ids: readonly number[]): Promise<Served<readonly Product[]>> {
    const keys = ids.map((id) => `product:${id}`);
    const texts = await server.mGet(keys).catch(() => {
      counters.cacheFailures += 1;
      return [];
    });
    const found = new Map<number, Product>();
    for (const [index, id] of ids.entries()) {
      const text = texts[index];
      if (text) found.set(id, JSON.parse(text) as Product);
    }
    const missing = ids.filter((id) => !found.has(id));
    if (missing.length > 0) {
      for (const [id, value] of await loadProducts(query, missing)) {
        countProductLoad(counters, id);
        found.set(id, value);
        await store(`product:${id}`, value);
      }
    }
    const value = ids.flatMap((id) => found.get(id) ?? []);
    return { value, from: missing.length > 0 ? 'database' : 'far' };
  }

  return {
    nearProduct: () => undefined,
    product,
    cards: (ids) => (ids.length === 0 ? Promise.resolve({ value: [], from: 'far' }) : cards(ids)),
    category: (id, page) => cached(`category:${id}:${page}`, () => loadCategoryPage(query, id, page)),
    categories: async () => (await cached('categories', () => loadCategories(query))).value,
    async trending() {
      let ids = await bestSellers(server, trendingCount, Date.now()).catch(() => [] as number[]);
      if (ids.length < trendingCount) {
        ids = (await cached('trending:start', () => loadTrendingIds(query))).value;
      }
      return cards(ids);
    },
    async sold(units) {
      try {
        await server.del(units.map(({ productId }) => `product:${productId}`));
        await recordSales(server, units, Date.now());
      } catch {
        counters.cacheFailures += 1;
      }
    },
    statistics: () => null,
    close: () => closeCacheServer(server),
  };
}
