/** The shop without a cache: every page asks PostgreSQL. Always right, and the first to melt in a sale. */
import type { Catalogue } from './catalogue.ts';
import { type Counters, countProductLoad } from './counters.ts';
import type { Database } from './database.ts';
import { loadCards, loadCategories, loadCategoryPage, loadProduct, loadTrendingIds } from './product.ts';

export function catalogueNone(database: Database, counters: Counters): Catalogue {
  const { query } = database;
  return {
    nearProduct: () => undefined,
    async product(id) {
      const value = await loadProduct(query, id);
      if (value !== null) countProductLoad(counters, id);
      return { value, from: 'database' };
    },
    cards: async (ids) => ({ value: await loadCards(query, ids), from: 'database' }),
    category: async (id, page) => ({ value: await loadCategoryPage(query, id, page), from: 'database' }),
    categories: () => loadCategories(query),
    trending: async () => ({
      value: await loadCards(query, await loadTrendingIds(query)),
      from: 'database',
    }),
    sold: async () => {},
    statistics: () => null,
    close: async () => {},
  };
}
