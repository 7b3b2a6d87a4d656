/**
 * The shop on Larder. The definitions say which rows a value is made of; PostgreSQL's own change feed then
 * takes every changed value out of the shared cache and out of the memory of every shop process, whoever
 * wrote the row: this shop, another program, somebody in psql. Nothing here deletes a key.
 */
import { createCache } from '@larder/cache';
import { nodeRedis } from '@larder/cache/node-redis';
import { type CacheAddress, type CacheServer, closeCacheServer } from './cache-server.ts';
import type { Catalogue, ServedFrom } from './catalogue.ts';
import { type Counters, countProductLoad } from './counters.ts';
import type { Query } from './database.ts';
import {
  type CategoryPage,
  cardsPerPage,
  loadCategories,
  loadCategory,
  loadCategoryProductIds,
  loadProduct,
  loadTrendingIds,
  type Product,
  trendingCount,
} from './product.ts';
import { bestSellers, recordSales } from './trending.ts';

/** What the shop caches. The invalidator process defines the same, and never loads. */
export function shopCache(address: CacheAddress, query: Query, counters: Counters) {
  const cache = createCache({
    name: 'shop',
    far: nodeRedis(address),
    near: { maxBytes: 64 * 2 ** 20 },
    boundMs: 250,
    loads: { maxConcurrent: 16, timeoutMs: 2_000 },
  });
  // Objects a loader just made, to tell a page from the database from one out of the cache.
  const fresh = new WeakSet<object>();

  const product = cache.define({
    name: 'product',
    key: (id: number) => String(id),
    async load(id: number): Promise<Product | null> {
      const value = await loadProduct(query, id);
      if (value === null) return null;
      countProductLoad(counters, id);
      fresh.add(value);
      return value;
    },
    freshMs: 60_000,
    absentMs: 5_000,
    jitter: 0.1,
    watches: [
      { table: 'public.products', key: (row) => row.id },
      // A new order changes "bought lately" and "sold in 7 days".
      { table: 'public.order_lines', key: (row) => row.product_id },
    ],
  });

  const category = cache.define({
    name: 'category',
    key: (id: number) => String(id),
    load: (id: number) => loadCategory(query, id),
    freshMs: 60_000,
    absentMs: 5_000,
    watches: [{ table: 'public.categories', key: (row) => row.id }],
  });

  // Only the ids: prices and stock come from `product`, so a sale changes one entry and not the whole list.
  const categoryProductIds = cache.define({
    name: 'category-product-ids',
    key: (id: number) => String(id),
    load: (id: number) => loadCategoryProductIds(query, id),
    freshMs: 60_000,
    absentMs: 5_000,
    watches: [{ table: 'public.products', key: (row) => row.category_id }],
  });

  const categories = cache.define({
    name: 'categories',
    key: (_all: 'all') => 'all',
    load: () => loadCategories(query),
    freshMs: 60_000,
    absentMs: 5_000,
    watches: [{ table: 'public.categories', key: () => 'all' }],
  });

  // Where the leaderboard begins while too little was sold since the start; correct to a minute.
  const trendingStart = cache.define({
    name: 'trending-start',
    key: (_all: 'all') => 'all',
    load: () => loadTrendingIds(query),
    freshMs: 60_000,
    absentMs: 5_000,
    watches: [],
  });

  return { cache, product, category, categoryProductIds, categories, trendingStart, fresh };
}

export function catalogueLarder(
  shop: ReturnType<typeof shopCache>,
  server: CacheServer,
  counters: Counters,
): Catalogue {
  const { cache, product, category, categoryProductIds, categories, trendingStart, fresh } = shop;
  const sourceOf = (value: object | null): ServedFrom =>
    value === null || fresh.has(value) ? 'database' : 'far';

  async function cards(ids: readonly number[]): Promise<{ value: Product[]; from: ServedFrom }> {
    const value: Product[] = [];
    for (const id of ids) {
      const near = product.near(id);
      if (near) value.push(near);
    }
    if (value.length === ids.length) return { value, from: 'near' };
    const all = await product.many(ids);
    const found = ids.flatMap((id) => all.get(id) ?? []);
    return { value: found, from: found.some((one) => fresh.has(one)) ? 'database' : 'far' };
  }

  return {
    nearProduct: (id) => product.near(id) ?? undefined,
    async product(id) {
      const value = await product.get(id);
      return { value, from: sourceOf(value) };
    },
    cards,
    async category(id, pageNumber) {
      const [found, ids] = await Promise.all([category.get(id), categoryProductIds.get(id)]);
      if (found === null || ids === null) return { value: null, from: 'far' };
      const first = (pageNumber - 1) * cardsPerPage;
      const { value, from } = await cards(ids.slice(first, first + cardsPerPage));
      const pageCount = Math.max(1, Math.ceil(ids.length / cardsPerPage));
      const page: CategoryPage = { category: found, cards: value, pageNumber, pageCount };
      return { value: page, from };
    },
    categories: async () => (await categories.get('all')) ?? [],
    async trending() {
      let ids: readonly number[] = await bestSellers(server, trendingCount, Date.now()).catch(() => []);
      if (ids.length < trendingCount) ids = (await trendingStart.get('all')) ?? [];
      return cards(ids);
    },
    async sold(units) {
      await recordSales(server, units, Date.now()).catch(() => {
        counters.cacheFailures += 1;
      });
    },
    statistics: () => cache.stats(),
    async close() {
      await cache.close();
      await closeCacheServer(server);
    },
  };
}
