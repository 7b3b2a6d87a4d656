/** What must hold when everybody buys at once. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from './catalogue.ts';
import { Buyer, buyerWith, type ShopFixture, startShopFixture } from './shop.test-support.ts';
import type { Shop } from './shop.ts';

let fixture: ShopFixture;
beforeAll(async () => {
  fixture = await startShopFixture();
});
afterAll(() => fixture.remove());

async function sold(product: number): Promise<number> {
  const { rows } = await fixture.sql.query(
    `SELECT coalesce(sum(quantity), 0)::integer AS units FROM order_lines
     WHERE product_id = $1 AND order_id > (SELECT last_order_id FROM shop_contents)`,
    [product],
  );
  return rows[0].units;
}
async function stock(product: number): Promise<number> {
  return (await fixture.sql.query('SELECT stock FROM products WHERE id = $1', [product])).rows[0].stock;
}

const modes: Mode[] = ['none', 'ttl', 'larder'];

describe.each(modes.map((mode, index) => ({ mode, base: 40 + 10 * index })))('mode $mode', ({
  mode,
  base,
}) => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await fixture.start(mode);
  });

  test('50 buyers of 10 units: exactly 10 are sold, and everybody gets an answer', async () => {
    const product = base + 1;
    await fixture.sql.query('UPDATE products SET stock = 10 WHERE id = $1', [product]);
    const buyers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => buyerWith(shop.url, index + 1, product, 1)),
    );
    const answers = await Promise.all(
      buyers.map((buyer, index) => buyer.post('/checkout', { key: `fifty-buyers-${mode}-${index}` })),
    );
    expect(answers.filter((answer) => answer.status === 303)).toHaveLength(10);
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(40);
    expect(await sold(product)).toBe(10);
    expect(await stock(product)).toBe(0);
  });

  test('ten requests with one key make one order', async () => {
    const product = base + 2;
    const before = await stock(product);
    const buyer = await buyerWith(shop.url, 9, product, 2);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => buyer.post('/checkout', { key: `ten-requests-${mode}` })),
    );
    expect(new Set(answers.map((answer) => answer.headers.get('location'))).size).toBe(1);
    expect(await sold(product)).toBe(2);
    expect(await stock(product)).toBe(before - 2);
  });

  test('a cart with one sold-out product orders nothing', async () => {
    const [first, second] = [base + 3, base + 4];
    const buyer = await buyerWith(shop.url, 10, first, 1);
    await buyer.post('/cart', { product: second, quantity: 1 });
    await fixture.sql.query('UPDATE products SET stock = 0 WHERE id = $1', [second]);
    const before = await stock(first);
    expect((await buyer.post('/checkout', { key: `half-sold-out-${mode}` })).status).toBe(409);
    expect(await stock(first)).toBe(before);
    expect(await sold(first)).toBe(0);
  });

  test('carts with the same products in different order do not block each other for good', async () => {
    const products = [base + 5, base + 6, base + 7];
    await fixture.sql.query('UPDATE products SET stock = 1000 WHERE id = ANY($1)', [products]);
    const buyers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const turned = index % 2 === 0 ? products : [...products].reverse();
        const buyer = await buyerWith(shop.url, index + 1, turned[0]!, 1);
        for (const product of turned.slice(1)) await buyer.post('/cart', { product, quantity: 1 });
        return buyer;
      }),
    );
    const answers = await Promise.all(
      buyers.map((buyer, index) => buyer.post('/checkout', { key: `crossed-carts-${mode}-${index}` })),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(12).fill(303));
    for (const product of products) expect(await sold(product)).toBe(12);
  });
});

describe.each<Mode>(['ttl', 'larder'])('mode %s', (mode) => {
  test('buyers of a sold-out product never reach the database', async () => {
    const shop = await fixture.start(mode);
    const product = mode === 'ttl' ? 91 : 92;
    await fixture.sql.query('UPDATE products SET stock = 0 WHERE id = $1', [product]);
    const buyers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => buyerWith(shop.url, index + 1, product, 1)),
    );
    await new Buyer(shop.url).get(`/product/${product}`);
    const before = shop.metrics().database.queries;
    const answers = await Promise.all(
      buyers.map((buyer, index) => buyer.post('/checkout', { key: `sold-out-for-all-${mode}-${index}` })),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(30).fill(409));
    expect(shop.metrics().orders.soldOutByCache).toBe(30);
    expect(shop.metrics().database.queries).toBe(before);
  });
});
