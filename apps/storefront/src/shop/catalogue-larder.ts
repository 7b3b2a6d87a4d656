/**
 * The shop on Larder. The definitions say which rows a value is made of; PostgreSQL's own change feed then
 * takes every changed value out of the shared cache and out of the memory of every shop process, whoever
 * wrote the row: this shop, another program, somebody in psql. Nothing here deletes a key.
 */
import { type Cache, createCache } from '@larder/cache';
import { nodeRedis } from '@larder/cache/node-redis';
import { type CacheAddress, type CacheServer, closeCacheServer } from './cache-server.ts';
import type { Catalogue, Served } from './catalogue.ts';
import { type Counters, countProductLoad } from './counters.ts';
import type { Query } from './database.ts';
import {
  type Category,
  type CategoryPage,
  cardsPerPage,
  loadCategories,
  loadCategory,
  loadCategoryProductIds,
  loadProduct,
  loadProducts,
  loadTrendingIds,
  type Product,
  trendingCount,
} from './product.ts';
import { bestSellers, recordSales } from './trending.ts';

export interface ShopCache {
  readonly cache: Cache;
  readonly product: Cached<number, Product>;
  readonly category: Cached<number, Category>;
  readonly categoryProductIds: Cached<number, number[]>;
  readonly categories: Cached<'all', Category[]>;
  readonly trendingStart: Cached<'all', number[]>;
}

/** The part of a definition that the pages use. */
export interface Cached<Argument, Value> {
  near(argument: Argument): Value | null | undefined;
  get(argument: Argument): Promise<Value | null>;
  many(args: readonly Argument[]): Promise<(Value | null)[]>;
}

/** What the shop caches. The invalidator process defines the same, and never loads. */
export function shopCache(address: CacheAddress, query: Query, counters: Counters): ShopCache {
  const cache = createCache({
    name: 'shop',
    far: nodeRedis(address),
    near: { maxBytes: 64 * 2 ** 20 },
    boundMs: 250,
    loads: { maxConcurrent: 16, timeoutMs: 2_000 },
  });

  const product = cache.define<number, Product>({
    name: 'product',
    key: (id) => id,
    async load(id) {
      const value = await loadProduct(query, id);
      if (value !== null) countProductLoad(counters, id);
      return value;
    },
    async loadMany(ids) {
      const values = await loadProducts(query, ids);
      for (const id of values.keys()) countProductLoad(counters, id);
      return values;
    },
    freshMs: 60_000,
    absentMs: 5_000,
    jitter: 0.1,
    watches: [
      { table: 'public.products', key: (row) => row.id },
      // A new order changes "bought lately" and "sold in 7 days"; nobody changes an order that was placed.
      { table: 'public.order_lines', key: (row) => row.product_id, appendOnly: true },
    ],
  });

  const category = cache.define<number, Category>({
    name: 'category',
    key: (id) => id,
    load: (id) => loadCategory(query, id),
    watches: [{ table: 'public.categories', key: (row) => row.id }],
  });

  // Only the ids: prices and stock come from `product`, so that a page of cards costs few bytes here.
  const categoryProductIds = cache.define<number, number[]>({
    name: 'category-product-ids',
    key: (id) => id,
    load: (id) => loadCategoryProductIds(query, id),
    watches: [{ table: 'public.products', key: (row) => row.category_id }],
  });

  const categories = cache.define<'all', Category[]>({
    name: 'categories',
    key: (all) => all,
    load: () => loadCategories(query),
    watches: [{ table: 'public.categories', key: () => 'all' }],
  });

  // Where the leaderboard begins while too little was sold since the start. Correct to a minute, as it says.
  const trendingStart = cache.define<'all', number[]>({
    name: 'trending-start',
    key: (all) => all,
    load: () => loadTrendingIds(query),
    freshMs: 60_000,
  });

  return { cache, product, category, categoryProductIds, categories, trendingStart };
}

/** Waits until the cache is connected and proven, a second at most; without it the shop starts all the same. */
export async function catalogueLarder(
  shop: ShopCache,
  server: CacheServer,
  counters: Counters,
): Promise<Catalogue> {
  const { cache, product, category, categoryProductIds, categories, trendingStart } = shop;
  await cache.ready();

  /** Loads of `ids` by this process so far: if there are more after a read than before, the read waited for one. */
  const loadsOf = (ids: readonly number[]): number =>
    ids.reduce((sum, id) => sum + (counters.productLoadsById.get(id) ?? 0), 0);

  async function cards(ids: readonly number[]): Promise<Served<readonly Product[]>> {
    const near = ids.map((id) => product.near(id));
    if (near.every((one) => one !== undefined))
      return { value: near.filter((one) => one !== null), from: 'near' };
    const before = loadsOf(ids);
    const value = (await product.many(ids)).filter((one) => one !== null);
    return { value, from: loadsOf(ids) > before ? 'database' : 'far' };
  }

  return {
    nearProduct: (id) => product.near(id) ?? undefined,
    async product(id) {
      const before = loadsOf([id]);
      const value = await product.get(id);
      return { value, from: value === null || loadsOf([id]) > before ? 'database' : 'far' };
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
