/** What Larder is for: a row changed by somebody else is on the page within the bound, in every list it is in. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Buyer, type ShopFixture, shownProduct, startShopFixture } from './shop.test-support.ts';
import type { Shop } from './shop.ts';

// The library's bound, and what this machine may need to notice that it is over.
const boundMs = 250;

let fixture: ShopFixture;
let larder: Shop;
let ttl: Shop;
beforeAll(async () => {
  fixture = await startShopFixture();
  [larder, ttl] = await Promise.all([fixture.start('larder'), fixture.start('ttl')]);
});
afterAll(() => fixture.remove());

/** The first page after the bound; every page until then may be either, and no page after it may be old. */
async function afterBound(shop: Shop, path: string): Promise<string> {
  const deadline = performance.now() + boundMs;
  const buyer = new Buyer(shop.url);
  while (performance.now() < deadline) await buyer.get(path);
  return (await buyer.get(path)).text;
}

test('a price changed in SQL', async () => {
  const path = '/product/17';
  for (const shop of [larder, ttl]) {
    for (let visit = 0; visit < 3; visit += 1) await new Buyer(shop.url).get(path);
  }
  const before = shownProduct(await new Buyer(ttl.url).get(path)).priceCents;
  await fixture.sql.query('UPDATE products SET price_cents = 4242 WHERE id = 17');
  expect(await afterBound(larder, path)).toContain('data-price-cents="4242"');
  // The ordinary cache goes on with the old price for up to a minute: the reason for all this.
  expect(await afterBound(ttl, path)).toContain(`data-price-cents="${before}"`);
});

test('hardly more than one load per change, however many readers', async () => {
  const buyer = new Buyer(larder.url);
  await buyer.get('/product/18');
  const before = larder.metrics([18]).productLoadsById[18]!;
  await fixture.sql.query('UPDATE products SET price_cents = 4343 WHERE id = 18');
  const pages = await Promise.all(Array.from({ length: 300 }, () => buyer.get('/product/18')));
  expect(pages.every((page) => page.status === 200)).toBe(true);
  expect(await afterBound(larder, '/product/18')).toContain('data-price-cents="4343"');
  // One, and on a machine so slow that the feed misses its bound a few more: the cache then proves by loading.
  expect(larder.metrics([18]).productLoadsById[18]! - before).toBeLessThanOrEqual(5);
});

test('a product that moves to another department, in both lists', async () => {
  const buyer = new Buyer(larder.url);
  const { rows } = await fixture.sql.query('SELECT category_id FROM products WHERE id = 19');
  const from = rows[0].category_id as number;
  const to = (from % 40) + 1;
  for (const id of [from, to]) await buyer.get(`/category/${id}`);
  await fixture.sql.query('UPDATE products SET category_id = $1 WHERE id = 19', [to]);
  expect(await afterBound(larder, `/category/${from}`)).not.toContain('href="/product/19"');
  expect(await afterBound(larder, `/category/${to}`)).toContain('href="/product/19"');
});

test('a renamed department, on the home page, its own page and its products', async () => {
  const { rows } = await fixture.sql.query('SELECT category_id FROM products WHERE id = 20');
  const id = rows[0].category_id as number;
  const paths = ['/', `/category/${id}`, '/product/20'];
  for (const path of paths) await new Buyer(larder.url).get(path);
  await fixture.sql.query("UPDATE categories SET name = 'Renamed & new' WHERE id = $1", [id]);
  for (const path of paths) expect(await afterBound(larder, path)).toContain('Renamed &amp; new');
});

test('a new and a deleted product, which nobody had a page of', async () => {
  const buyer = new Buyer(larder.url);
  expect((await buyer.get('/product/900')).status).toBe(404);
  await fixture.sql.query(
    `INSERT INTO products (id, sku, name, description, category_id, price_cents, stock)
     VALUES (900, 'NEW-900', 'New', 'New.', 1, 100, 1)`,
  );
  expect(await afterBound(larder, '/product/900')).toContain('data-product="900"');
  await fixture.sql.query('DELETE FROM products WHERE id = 900');
  expect(await afterBound(larder, '/product/900')).toContain('There is no such product');
});
