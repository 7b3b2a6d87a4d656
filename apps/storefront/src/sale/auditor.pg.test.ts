import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { resetShop } from '../shop/fill.ts';
import { defaultSeedSize, seedShop } from '../shop/seed.ts';
import { auditStock, newAuditor } from './auditor.ts';

let postgres: TestPostgres;
let sql: pg.Client;
// These changes are seen as soon as they are committed.
const clock = { invisibleUntilMs: () => Number.NEGATIVE_INFINITY };

beforeAll(async () => {
  postgres = await startTestPostgres({ track_commit_timestamp: 'on' });
  sql = new pg.Client(postgres.address);
  await sql.connect();
  await seedShop(sql, { ...defaultSeedSize, products: 20, customers: 20, orders: 50 });
});
afterAll(async () => {
  await sql.end();
  await postgres.remove();
});
beforeEach(() => resetShop(sql));

async function product(id: number): Promise<{ priceCents: number; stock: number }> {
  const { rows } = await sql.query('SELECT price_cents AS "priceCents", stock FROM products WHERE id = $1', [
    id,
  ]);
  return rows[0];
}

test('a page that still shows the old price is stale by the database’s own clock', async () => {
  const auditor = newAuditor(sql, clock, 250);
  const before = await product(1);
  await sql.query('UPDATE products SET price_cents = price_cents + 1 WHERE id = 1');
  const replacedAtMs = Date.now();
  const late = (ms: number) => {
    return { productId: 1, ...before, sentAtMs: replacedAtMs + ms, receivedAtMs: replacedAtMs + ms + 1 };
  };
  auditor.observe([late(100), late(400)]);
  const { pages } = await auditor.finish();
  expect(pages).toMatchObject({ observations: 2, stalePages: 1, phantomPages: 0 });
  expect(pages.worstStaleMs).toBeGreaterThanOrEqual(399);
});

test('a change that was rolled back never was: who shows it shows a phantom', async () => {
  const auditor = newAuditor(sql, clock, 250);
  const { priceCents, stock } = await product(2);
  await sql.query('BEGIN');
  await sql.query('UPDATE products SET price_cents = price_cents + 7 WHERE id = 2');
  await sql.query('ROLLBACK');
  const now = Date.now();
  auditor.observe([{ productId: 2, priceCents: priceCents + 7, stock, sentAtMs: now, receivedAtMs: now }]);
  expect((await auditor.finish()).pages).toMatchObject({ phantomPages: 1 });
});

test('the live count sees what the last count will', async () => {
  const auditor = newAuditor(sql, clock, 250);
  const before = await product(3);
  await sql.query('UPDATE products SET price_cents = price_cents + 1 WHERE id = 3');
  const sentAtMs = Date.now() + 300;
  auditor.observe([{ productId: 3, ...before, sentAtMs, receivedAtMs: sentAtMs }]);
  const live = await waitFor(
    () => auditor.judgeLive(),
    (count) => count.judged === 1,
    { what: 'the page to be old enough to judge' },
  );
  expect(live.stalePages).toBe(1);
});

async function order(key: string, units: number, productId = 4): Promise<void> {
  const { rows } = await sql.query(
    `INSERT INTO orders (idempotency_key, customer_id, country) VALUES ($1, 1, 'Spain') RETURNING id`,
    [key],
  );
  await sql.query(
    'INSERT INTO order_lines (order_id, product_id, quantity, unit_price_cents) VALUES ($1, $2, $3, 100)',
    [rows[0].id, productId, units],
  );
}

test('orders that took their stock are fine; an order that took none is oversold', async () => {
  await sql.query('UPDATE products SET stock = stock - 2 WHERE id = 4');
  await order('took-its-stock', 2);
  expect(await auditStock(sql, new Map())).toMatchObject({
    soldUnits: 2,
    oversoldUnits: 0,
    duplicateOrders: 0,
  });
  await order('took-no-stock', 3);
  expect(await auditStock(sql, new Map())).toMatchObject({ soldUnits: 5, oversoldUnits: 3 });
});

test('units put in by hand may be sold', async () => {
  const { stock } = await product(5);
  await sql.query('UPDATE products SET stock = 0 WHERE id = 5');
  await order('all-and-four-more', stock + 4, 5);
  expect(await auditStock(sql, new Map([[5, 4]]))).toMatchObject({ oversoldUnits: 0 });
  expect(await auditStock(sql, new Map())).toMatchObject({ oversoldUnits: 4 });
});
