/** What the sale takes from the shop's own data: who buys, what is popular, and by how much. */
import type pg from 'pg';
import type { CrowdPlan } from './crowd.ts';

export interface Market {
  readonly hotProductId: number;
  readonly hotProductName: string;
  readonly scarceProductId: number;
  /** Most popular first; weight 1 + units sold before. */
  readonly products: readonly { readonly id: number; readonly weight: number }[];
  readonly categoryIds: readonly number[];
  readonly customerIds: readonly number[];
}

const mostCustomers = 5_000;

/** @throws when the shop has too little in it for a sale. */
export async function readMarket(client: pg.ClientBase, hotProductId: number): Promise<Market> {
  const products = await client.query(
    `SELECT p.id, p.name, 1 + coalesce(sold.units, 0)::integer AS weight FROM products p
     LEFT JOIN (SELECT product_id, sum(quantity) AS units FROM order_lines GROUP BY product_id) sold
       ON sold.product_id = p.id
     ORDER BY weight DESC, p.id`,
  );
  const categories = await client.query('SELECT id FROM categories ORDER BY id');
  const customers = await client.query('SELECT id FROM customers ORDER BY id LIMIT $1', [mostCustomers]);
  const rows = products.rows as { id: number; name: string; weight: number }[];
  // The next most popular one that is not the hot one.
  const scarce = rows.find((row) => row.id !== hotProductId);
  const hot = rows.find((row) => row.id === hotProductId);
  if (hot === undefined || scarce === undefined || customers.rows.length === 0) {
    throw new Error('A sale needs at least two products and one customer in the shop.');
  }
  return {
    hotProductId,
    hotProductName: hot.name,
    scarceProductId: scarce.id,
    products: rows.map(({ id, weight }) => ({ id, weight })),
    categoryIds: categories.rows.map((row) => row.id),
    customerIds: customers.rows.map((row) => row.id),
  };
}

export function crowdPlan(market: Market, pagesPerSecond: number, seed: number): CrowdPlan {
  const { hotProductId, scarceProductId, products, categoryIds, customerIds } = market;
  return { pagesPerSecond, seed, hotProductId, scarceProductId, products, categoryIds, customerIds };
}
