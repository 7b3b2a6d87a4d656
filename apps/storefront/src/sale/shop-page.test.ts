import { expect, test } from 'vitest';
import { cartPage, framed, productPage } from '../shop/pages.ts';
import { orderKeyIn, requestOf, shownProduct } from './shop-page.ts';

const product = {
  id: 17,
  sku: 'LD-00017',
  name: 'A "Fine" Bowl',
  description: 'Round.',
  categoryId: 1,
  categoryName: 'Bowls',
  priceCents: 1_299,
  stock: 0,
  unitsSoldIn7Days: 3,
  recentOrders: [],
};

test('what the shop’s own page shows is read from it', () => {
  const page = Buffer.from(productPage(product, { cartUnits: 0 }));
  expect(shownProduct(page)).toEqual({ productId: 17, priceCents: 1_299, stock: 0 });
});

test('a page without a product, and one cut off in a number, show none', () => {
  expect(shownProduct(Buffer.from('<h1>Not found</h1>'))).toBeUndefined();
  expect(shownProduct(Buffer.from('<article data-product="17" data-price-cents="12'))).toBeUndefined();
});

test('the order key is read from the shop’s own cart page, and sent at checkout', () => {
  const line = { id: 17, name: product.name, priceCents: 1_299, stock: 5, quantity: 1 };
  const page = Buffer.from(framed({ title: 'Cart', cartUnits: 1 }, cartPage([line], 1, 'a-key-of-16-chars')));
  expect(orderKeyIn(page)).toBe('a-key-of-16-chars');
  expect(requestOf({ kind: 'checkout' }, 'a-key-of-16-chars')).toEqual({
    method: 'POST',
    path: '/checkout',
    form: 'key=a-key-of-16-chars',
  });
});
