import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cartPage, categoryPage, framed, homePage, noticePage, ordersPage, productPage } from './pages.ts';

/** Every page that shows text from the database or from a buyer, with that text in every place for it. */
function everyPage(text: string): string {
  const card = { id: 1, name: text, priceCents: 1_999, stock: 3, quantity: 2 };
  const category = { id: 2, name: text };
  return [
    framed({ title: text, cartUnits: 1, from: 'far' }, homePage([card], [category])),
    categoryPage({ category, cards: [card], pageNumber: 1, pageCount: 2 }),
    productPage(
      {
        ...card,
        sku: text,
        description: text,
        categoryId: 2,
        categoryName: text,
        unitsSoldIn7Days: 1,
        recentOrders: [{ country: text, quantity: 1, placedAtSeconds: 0, returning: true }],
      },
      { cartUnits: 1, from: 'near' },
    ),
    cartPage([card], 1, text),
    ordersPage(
      [
        {
          id: 1,
          placedAtSeconds: 0,
          totalCents: 1,
          lines: [{ productId: 1, name: text, quantity: 1, unitPriceCents: 1 }],
        },
      ],
      1,
    ),
    noticePage(text, text),
  ].join('\n');
}

/** The page without its text: only what a browser would take as markup. */
function markup(page: string): string {
  return page.replaceAll(/[^<>"'=]/g, '');
}

test('no text can add markup to a page', () => {
  const plain = markup(everyPage('x').replaceAll(/&[a-z#0-9]+;/g, ''));
  const nasty = fc.string({ unit: fc.constantFrom(...'<>"\'&=/;#x \n`'), minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.oneof(nasty, fc.string({ unit: 'binary', minLength: 1 })), (text) => {
      // "=" needs no escaping: outside of a tag it means nothing, and every attribute here is quoted.
      const page = everyPage(text.replaceAll('=', '~')).replaceAll(/&(amp|lt|gt|quot|#39);/g, '');
      expect(markup(page)).toBe(plain);
    }),
  );
});

test('a product page carries its attributes once, also for a name that imitates them', () => {
  const page = everyPage('" data-product="9" data-price-cents="1');
  expect(page.match(/<article[^>]*>/g)).toEqual([
    '<article class="product" data-product="1" data-price-cents="1999" data-stock="3">',
  ]);
});
