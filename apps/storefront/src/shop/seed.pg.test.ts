import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { resetShop } from './fill.ts';
import { type SeedSize, seededContents, seedShop } from './seed.ts';

const size: SeedSize = { seed: 3, products: 300, customers: 100, orders: 2_000, hotStock: 500 };
let postgres: TestPostgres;
let sql: pg.Client;

beforeAll(async () => {
  postgres = await startTestPostgres({ track_commit_timestamp: 'on' });
  sql = new pg.Client(postgres.address);
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await postgres.remove();
});

function listed(of: SeedSize): unknown {
  const { categories, products, customers, orders, orderLines, hotProductId } = seededContents(of);
  return {
    hotProductId,
    rows: [categories, products, customers, orders, orderLines].map((rows) => [...rows]),
  };
}

test('the same seed gives the same shop, another seed another', () => {
  expect(listed(size)).toEqual(listed(size));
  expect(listed(size)).not.toEqual(listed({ ...size, seed: 4 }));
});

test('names are all different, and the hot product sells most', async () => {
  const filled = await seedShop(sql, size);
  const names = await sql.query('SELECT count(DISTINCT name)::integer AS count FROM products');
  expect(names.rows[0].count).toBe(size.products);
  const best = await sql.query(
    'SELECT product_id FROM order_lines GROUP BY product_id ORDER BY count(*) DESC LIMIT 1',
  );
  expect(best.rows[0].product_id).toBe(filled.hotProductId);
});

test('seeding again keeps what is there; another size replaces it', async () => {
  await seedShop(sql, size);
  expect((await seedShop(sql, size)).reused).toBe(true);
  expect((await seedShop(sql, { ...size, hotStock: 501 })).reused).toBe(false);
  await seedShop(sql, size);
});

test('the database writes every price and stock into the audit history, with a commit time', async () => {
  const { hotProductId } = await seedShop(sql, size);
  await resetShop(sql);
  await sql.query('UPDATE products SET price_cents = 123 WHERE id = $1', [hotProductId]);
  await sql.query("UPDATE products SET description = 'no news' WHERE id = $1", [hotProductId]);
  await sql.query('BEGIN');
  await sql.query('UPDATE products SET stock = 7 WHERE id = $1', [hotProductId]);
  await sql.query('ROLLBACK');
  await sql.query('UPDATE products SET stock = 8 WHERE id = $1', [hotProductId]);
  const { rows } = await sql.query(
    `SELECT price_cents, stock, pg_xact_commit_timestamp(xid::xid) AS committed
     FROM audit.product_history WHERE product_id = $1 ORDER BY seq`,
    [hotProductId],
  );
  expect(rows.slice(1).map(({ price_cents, stock }) => [price_cents, stock])).toEqual([
    [123, 500],
    [123, 8],
  ]);
  for (const row of rows) expect(row.committed).toBeInstanceOf(Date);
});

test('a reset brings back prices and stock and drops the new orders', async () => {
  await seedShop(sql, size);
  await resetShop(sql);
  const before = await sql.query('SELECT id, price_cents, stock FROM products ORDER BY id');
  await sql.query('UPDATE products SET price_cents = price_cents + 1, stock = stock / 2');
  await sql.query(
    `WITH o AS (INSERT INTO orders (idempotency_key, customer_id, country) VALUES ('later', 1, 'Spain') RETURNING id)
     INSERT INTO order_lines (order_id, product_id, quantity, unit_price_cents) SELECT id, 1, 1, 1 FROM o`,
  );
  await resetShop(sql);
  expect((await sql.query('SELECT id, price_cents, stock FROM products ORDER BY id')).rows).toEqual(
    before.rows,
  );
  expect((await sql.query('SELECT count(*)::integer AS count FROM orders')).rows[0].count).toBe(size.orders);
  const history = await sql.query('SELECT count(*)::integer AS count FROM audit.product_history');
  expect(history.rows[0].count).toBe(size.products);
});

test('the database refuses to sell what is not there', async () => {
  await seedShop(sql, size);
  await expect(sql.query('UPDATE products SET stock = stock - 100000')).rejects.toThrow(
    'products_stock_check',
  );
});
