/** What the shop's pages show, and the SQL that reads it: the same for the three ways of caching. */
import type { Query, Statement } from './database.ts';

export interface Product {
  readonly id: number;
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly categoryId: number;
  readonly categoryName: string;
  readonly priceCents: number;
  readonly stock: number;
  readonly unitsSoldIn7Days: number;
  /** Newest first, at most five. */
  readonly recentOrders: readonly RecentOrder[];
}

export interface RecentOrder {
  readonly country: string;
  readonly quantity: number;
  /** Seconds since 1970. */
  readonly placedAtSeconds: number;
  /** The customer had ordered before this order; guests never count as returning. */
  readonly returning: boolean;
}

export interface Category {
  readonly id: number;
  readonly name: string;
}

/** The part of a product that a list shows. */
export interface ProductCard {
  readonly id: number;
  readonly name: string;
  readonly priceCents: number;
  readonly stock: number;
}

export interface CategoryPage {
  readonly category: Category;
  readonly cards: readonly ProductCard[];
  readonly pageNumber: number;
  readonly pageCount: number;
}

export const cardsPerPage = 24;
export const trendingCount = 12;

/** One round trip for a whole product page: what a careful team would write, and not a cheap query. */
export async function loadProduct(query: Query, id: number): Promise<Product | null> {
  const [row] = await query<Product>(productStatement, [id]);
  return row ?? null;
}

export async function loadProducts(query: Query, ids: readonly number[]): Promise<Map<number, Product>> {
  const rows = await query<Product>(productsStatement, [ids]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** The cards of `ids`, in that order, without those that no longer exist. */
export async function loadCards(query: Query, ids: readonly number[]): Promise<ProductCard[]> {
  return query<ProductCard>(cardsStatement, [ids]);
}

export async function loadCategories(query: Query): Promise<Category[]> {
  return query<Category>(categoriesStatement);
}

export async function loadCategory(query: Query, id: number): Promise<Category | null> {
  const [row] = await query<Category>(categoryStatement, [id]);
  return row ?? null;
}

/** Ids of a category's products, in the order its pages show them. */
export async function loadCategoryProductIds(query: Query, id: number): Promise<number[]> {
  const rows = await query<{ id: number }>(categoryProductIdsStatement, [id]);
  return rows.map((row) => row.id);
}

/** One page of a category straight from its tables; null when there is no such category. */
export async function loadCategoryPage(
  query: Query,
  id: number,
  pageNumber: number,
): Promise<CategoryPage | null> {
  const category = await loadCategory(query, id);
  if (category === null) return null;
  const rows = await query<ProductCard & { total: number }>(categoryPageStatement, [
    id,
    cardsPerPage,
    (pageNumber - 1) * cardsPerPage,
  ]);
  const pageCount = Math.max(1, Math.ceil((rows[0]?.total ?? 0) / cardsPerPage));
  return { category, cards: rows, pageNumber, pageCount };
}

/** What sold most in the last hour; in a quiet hour, in the last 7 days. */
export async function loadTrendingIds(query: Query): Promise<number[]> {
  const lastHour = await query<{ id: number }>(trendingStatement, [3_600, trendingCount]);
  if (lastHour.length === trendingCount) return lastHour.map((row) => row.id);
  const lastWeek = await query<{ id: number }>(trendingStatement, [7 * 86_400, trendingCount]);
  return lastWeek.map((row) => row.id);
}

const productColumns = `
  p.id, p.sku, p.name, p.description, p.category_id AS "categoryId", c.name AS "categoryName",
  p.price_cents AS "priceCents", p.stock,
  (SELECT coalesce(sum(l.quantity), 0)::integer FROM order_lines l
    WHERE l.product_id = p.id AND l.placed_at > now() - interval '7 days') AS "unitsSoldIn7Days",
  coalesce((SELECT json_agg(recent) FROM (
    SELECT o.country, l.quantity, extract(epoch FROM l.placed_at)::integer AS "placedAtSeconds",
      EXISTS (SELECT FROM orders earlier
        WHERE earlier.customer_id = o.customer_id AND earlier.placed_at < o.placed_at) AS returning
    FROM order_lines l JOIN orders o ON o.id = l.order_id
    WHERE l.product_id = p.id ORDER BY l.placed_at DESC, l.id DESC LIMIT 5) recent), '[]') AS "recentOrders"`;

const productStatement: Statement = {
  name: 'product',
  text: `SELECT ${productColumns}
    FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = $1`,
};

const productsStatement: Statement = {
  name: 'products',
  text: `SELECT ${productColumns}
    FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = ANY($1::integer[])`,
};

const cardsStatement: Statement = {
  name: 'cards',
  text: `SELECT p.id, p.name, p.price_cents AS "priceCents", p.stock
    FROM unnest($1::integer[]) WITH ORDINALITY AS wanted(id, place) JOIN products p USING (id) ORDER BY place`,
};

const categoriesStatement: Statement = {
  name: 'categories',
  text: 'SELECT id, name FROM categories ORDER BY name',
};

const categoryStatement: Statement = {
  name: 'category',
  text: 'SELECT id, name FROM categories WHERE id = $1',
};

const categoryProductIdsStatement: Statement = {
  name: 'category_product_ids',
  text: 'SELECT id FROM products WHERE category_id = $1 ORDER BY id',
};

const categoryPageStatement: Statement = {
  name: 'category_page',
  text: `SELECT id, name, price_cents AS "priceCents", stock, count(*) OVER () AS total
    FROM products WHERE category_id = $1 ORDER BY id LIMIT $2 OFFSET $3`,
};

const trendingStatement: Statement = {
  name: 'trending',
  text: `SELECT product_id AS id FROM order_lines WHERE placed_at > now() - $1 * interval '1 second'
    GROUP BY product_id ORDER BY sum(quantity) DESC, product_id LIMIT $2`,
};
