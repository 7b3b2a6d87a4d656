/** The pages of all three modes, over real PostgreSQL and real Valkey. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from './catalogue.ts';
import { Buyer, buyerWith, type ShopFixture, shownProduct, startShopFixture } from './shop.test-support.ts';
import type { Shop } from './shop.ts';

let fixture: ShopFixture;
beforeAll(async () => {
  fixture = await startShopFixture();
});
afterAll(() => fixture.remove());

describe.each<Mode>(['none', 'ttl', 'larder'])('mode %s', (mode) => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await fixture.start(mode);
  });

  test('shows home, departments and products, and the product carries its attributes once', async () => {
    const buyer = new Buyer(shop.url);
    const home = await buyer.get('/');
    expect(home.status).toBe(200);
    expect(home.text.match(/href="\/product\/\d+"/g)).toHaveLength(12);
    expect(home.text.match(/href="\/category\/\d+"/g)).toHaveLength(40);

    const department = await buyer.get('/category/3');
    const { rows } = await fixture.sql.query('SELECT id FROM products WHERE category_id = 3 ORDER BY id');
    const shown = [...department.text.matchAll(/href="\/product\/(\d+)"/g)].map((match) => Number(match[1]));
    expect(shown).toEqual(rows.map((row) => row.id));

    for (let visit = 0; visit < 3; visit += 1) {
      const page = await buyer.get(`/product/${fixture.hotProductId}`);
      const product = (
        await fixture.sql.query('SELECT id, price_cents, stock FROM products WHERE id = $1', [
          fixture.hotProductId,
        ])
      ).rows[0];
      expect(shownProduct(page)).toEqual({
        id: product.id,
        priceCents: product.price_cents,
        stock: product.stock,
      });
      expect(page.text.match(/data-product=/g)).toHaveLength(1);
      expect(page.text.match(/<li>\d+ × to /g)).toHaveLength(5);
    }
    const { productsFrom, productLoadsById, database } = shop.metrics([fixture.hotProductId]);
    expect(productsFrom.near + productsFrom.far + productsFrom.database).toBe(3);
    if (mode === 'none') expect(productLoadsById[fixture.hotProductId]).toBe(3);
    else expect(productLoadsById[fixture.hotProductId]).toBe(1);
    expect(database.queries).toBeGreaterThan(3);
  });

  test('a buyer signs in, fills a cart, orders once and sees the order', async () => {
    const product = 11;
    const before = shownProduct(await new Buyer(shop.url).get(`/product/${product}`));
    const buyer = await buyerWith(shop.url, 42, product, 3);
    const cart = await buyer.get('/cart');
    const key = /name="key" value="([^"]+)"/.exec(cart.text)![1]!;
    expect(cart.text).toContain('Cart (3)');

    const placed = await buyer.post('/checkout', { key });
    expect(placed.status).toBe(303);
    const again = await buyer.post('/checkout', { key });
    expect(again.headers.get('location')).toBe(placed.headers.get('location'));

    const history = await buyer.get(placed.headers.get('location')!);
    expect(history.text).toContain('Thank you.');
    expect(history.text).toContain('Cart (0)');
    const { rows } = await fixture.sql.query('SELECT stock FROM products WHERE id = $1', [product]);
    expect(rows[0].stock).toBe(before.stock - 3);
  });

  test('a signed-out session never comes back, and signing in makes a new one', async () => {
    const buyer = await buyerWith(shop.url, 5, 12, 1);
    const name = `shop_session_${mode}`;
    const id = buyer.cookies.get(name)!;
    await buyer.post('/login', { customer: 6 });
    expect(buyer.cookies.get(name)).not.toBe(id);
    const last = buyer.cookies.get(name)!;
    await buyer.post('/logout', {});

    for (const stolen of [id, last]) {
      const thief = await fetch(`${shop.url}/orders`, {
        redirect: 'manual',
        headers: { cookie: `${name}=${stolen}` },
      });
      expect(thief.headers.get('location')).toBe('/login');
      // Writing under the old id starts another session and does not revive this one.
      const body = new URLSearchParams({ product: '12', quantity: '1' });
      const write = await fetch(`${shop.url}/cart`, {
        method: 'POST',
        body,
        redirect: 'manual',
        headers: { cookie: `${name}=${stolen}` },
      });
      expect(write.headers.getSetCookie().join()).not.toContain(stolen);
    }
  });

  test.each([
    ['/product/0', 404],
    ['/product/abc', 404],
    ['/product/99999999999', 404],
    ['/product/2147483647', 404],
    ['/product/1%27%20OR%201=1', 404],
    ['/category/9999', 404],
    ['/category/1?page=0', 404],
    ['/category/1?page=100000', 404],
    ['/category/1?page=9000', 200],
    ['/nowhere', 404],
    ['/static', 200],
    ['/healthz', 200],
  ])('%s answers %d', async (path, status) => {
    expect((await new Buyer(shop.url).get(path)).status).toBe(status);
  });

  test.each<[string, Record<string, string>, number]>([
    ['/login', { customer: '0' }, 400],
    ['/login', { customer: '201' }, 404],
    ['/login', {}, 400],
    ['/cart', { product: '1', quantity: '11' }, 400],
    ['/cart', { product: '1', quantity: '-1' }, 400],
    ['/cart', { product: '1', quantity: '1e0' }, 400],
    ['/cart', { product: '5000', quantity: '1' }, 404],
    ['/checkout', { key: 'short' }, 400],
    ['/checkout', { key: "';DROP TABLE orders;--" }, 400],
    ['/checkout', { key: 'abcdefghijklmnopqrstuv' }, 303],
  ])('POST %s with %j answers %d', async (path, form, status) => {
    expect((await new Buyer(shop.url).post(path, form)).status).toBe(status);
  });

  test('refuses forms from other sites, of other kinds and of any size', async () => {
    const buyer = new Buyer(shop.url);
    const form = { product: 1, quantity: 1 };
    expect((await buyer.post('/cart', form, { origin: 'http://elsewhere.example' })).status).toBe(403);
    expect((await buyer.post('/cart', form, { origin: 'null' })).status).toBe(403);
    expect((await buyer.post('/cart', form, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await buyer.post('/cart', form, { origin: shop.url })).status).toBe(303);
    const json = await fetch(`${shop.url}/cart`, { method: 'POST', body: '{}' });
    expect(json.status).toBe(415);
    expect((await buyer.post('/cart', { ...form, filler: 'x'.repeat(5_000) })).status).toBe(413);
    const header = await fetch(shop.url, { headers: { 'x-filler': 'x'.repeat(20_000) } });
    expect(header.status).toBe(431);
  });

  test('a key that another customer used is refused', async () => {
    const key = `shared-key-of-mode-${mode}`;
    const first = await buyerWith(shop.url, 20, 30, 1);
    const second = await buyerWith(shop.url, 21, 30, 1);
    expect((await first.post('/checkout', { key })).status).toBe(303);
    expect((await second.post('/checkout', { key })).status).toBe(409);
  });

  test('a cart holds 20 products and no more', async () => {
    const buyer = new Buyer(shop.url);
    for (let product = 1; product <= 20; product += 1) await buyer.post('/cart', { product, quantity: 1 });
    expect((await buyer.post('/cart', { product: 21, quantity: 1 })).status).toBe(400);
    expect((await buyer.post('/cart', { product: 20, quantity: 0 })).status).toBe(303);
    expect((await buyer.post('/cart', { product: 21, quantity: 1 })).status).toBe(303);
  });

  test('nothing unexpected happened', () => {
    expect(fixture.errors).toEqual([]);
    expect(shop.metrics().answers.failed).toBe(0);
  });
});
