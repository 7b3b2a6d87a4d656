/** What buyers see while the cache server or the database is dead or hangs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from './catalogue.ts';
import { Buyer, buyerWith, type ShopFixture, shownProduct, startShopFixture } from './shop.test-support.ts';
import type { Shop } from './shop.ts';

let fixture: ShopFixture;
beforeAll(async () => {
  fixture = await startShopFixture();
});
afterAll(() => fixture.remove());

describe.each<Mode>(['ttl', 'larder'])('mode %s', (mode) => {
  const product = mode === 'ttl' ? 92 : 93;
  let shop: Shop;
  beforeAll(async () => {
    shop = await fixture.start(mode);
  });

  test('the cache server dies: pages go on, orders are right, sessions come back', async () => {
    await fixture.sql.query('UPDATE products SET stock = 5 WHERE id = $1', [product]);
    const buyer = await buyerWith(shop.url, 50, product, 1);
    expect(shownProduct(await buyer.get(`/product/${product}`)).stock).toBe(5);

    await fixture.engine.kill();
    for (const path of [`/product/${product}`, '/', '/category/5', '/product/1']) {
      expect((await buyer.get(path)).status).toBe(200);
    }
    // Its sessions are out of reach: after a while the buyer is told to try again.
    const cart = await buyer.get('/cart');
    expect(cart.status).toBe(503);
    expect(cart.text).toContain('try again');

    const restarted = fixture.engine.restart();
    const patient = new Buyer(shop.url);
    expect((await patient.post('/login', { customer: 51 })).status).toBe(303);
    await restarted;
    await patient.post('/cart', { product, quantity: 2 });
    expect((await patient.post('/checkout', { key: `after-the-crash-${mode}` })).status).toBe(303);
    const { rows } = await fixture.sql.query('SELECT stock FROM products WHERE id = $1', [product]);
    expect(rows[0].stock).toBe(3);
  });

  test('the cache server hangs: pages go on', async () => {
    const buyer = new Buyer(shop.url);
    expect((await buyer.get(`/product/${product}`)).status).toBe(200);
    process.kill(fixture.engine.pid, 'SIGSTOP');
    try {
      for (const path of [`/product/${product}`, '/product/2', '/']) {
        expect((await buyer.get(path)).status).toBe(200);
      }
    } finally {
      process.kill(fixture.engine.pid, 'SIGCONT');
    }
  });
});

// Last, because nothing works without it.
test('the database dies: every page says so or still shows what is cached', async () => {
  const shops = await Promise.all((['none', 'ttl', 'larder'] as const).map((mode) => fixture.start(mode)));
  for (const shop of shops) expect((await new Buyer(shop.url).get('/product/3')).status).toBe(200);
  await fixture.postgres.kill();
  for (const shop of shops) {
    const uncached = await new Buyer(shop.url).get('/product/4');
    expect(uncached.status).toBe(503);
    expect(uncached.headers.get('retry-after')).toBe('1');
    expect((await new Buyer(shop.url).get('/static')).status).toBe(200);
  }
  expect((await new Buyer(shops[1]!.url).get('/product/3')).status).toBe(200);
});
