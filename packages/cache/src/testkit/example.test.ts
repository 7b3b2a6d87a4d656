/** How to test that your pages are fresh, without a server. Reads as documentation. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Definition } from '../definition.ts';
import { counted, faultyDriver, TestBed } from './testkit.ts';

// Your code: a table of prices, and a page that shows one.
const prices = new Map<number, number>();
const product = () =>
  counted({
    name: 'product',
    key: (id: number) => id,
    load: async (id: number) => ({ id, price: prices.get(id) ?? 0 }),
    watches: [{ table: 'public.products', key: (row) => row.id }],
  });
const page = async (id: number, products: Definition<number, { id: number; price: number }>) =>
  `Product ${id} costs ${(await products.get(id))?.price}`;

let bed: TestBed;
beforeEach(() => {
  bed = new TestBed({ replicas: 1 });
  prices.set(7, 95);
});
afterEach(() => bed.close());

test('my product page is fresh after the price changed', async () => {
  const cache = bed.cache();
  const products = cache.define(product());
  await bed.follow(cache);
  expect(await page(7, products)).toBe('Product 7 costs 95');

  // Somebody changes the price in the database: the row, and the event that tells of it.
  prices.set(7, 80);
  bed.changes.commit('public.products', { id: '7' });
  await bed.settled();

  expect(await page(7, products)).toBe('Product 7 costs 80');
});

test('two processes load a product once', async () => {
  const [one, two] = [bed.cache(), bed.cache()];
  const options = product();
  const [here, there] = [one.define(options), two.define(options)];
  await bed.follow(one);
  await two.ready();
  expect(await page(7, here)).toBe(await page(7, there));
  expect(options.loaded).toEqual([7]);
});

test('an event that comes before its row is visible does not bring the old price back', async () => {
  const cache = bed.cache();
  const products = cache.define(product());
  await bed.follow(cache);
  await page(7, products);

  const sale = bed.changes.prepare([
    { table: 'public.products', before: undefined, after: { id: '7' }, identified: true },
  ]);
  sale.log();
  expect(await page(7, products)).toBe('Product 7 costs 95');
  prices.set(7, 80);
  sale.show();
  await bed.settled();
  expect(await page(7, products)).toBe('Product 7 costs 80');
});

test('nothing unproven is served when the feed stands still', async () => {
  const cache = bed.cache();
  const options = product();
  const products = cache.define(options);
  await bed.follow(cache);
  await page(7, products);
  expect(options.loaded).toHaveLength(1);

  bed.changes.withhold(true);
  prices.set(7, 80);
  bed.changes.commit('public.products', { id: '7' });
  bed.clock.advance(cache.boundMs + 1);
  expect(await page(7, products)).toBe('Product 7 costs 80');
});

test('pages go on through a failover that loses the last invalidation', async () => {
  const cache = bed.cache();
  const products = cache.define(product());
  await bed.follow(cache);
  await page(7, products);

  bed.engine.stopReplication();
  prices.set(7, 80);
  bed.changes.commit('public.products', { id: '7' });
  await bed.settled();
  bed.engine.failOver();
  expect(await page(7, products)).toBe('Product 7 costs 80');
});

test('replies that are lost after the engine did its work hurt nobody', async () => {
  const { createCache } = await import('../cache.ts');
  const lossy = faultyDriver(bed.engine.driver(), {
    fate: ([command]) => (command === 'EVALSHA' ? 'replyLost' : 'ok'),
  });
  const cache = createCache({ name: 'test', far: lossy, clock: bed.clock });
  const products = cache.define(product());
  expect(await page(7, products)).toBe('Product 7 costs 95');
  await cache.close();
});
