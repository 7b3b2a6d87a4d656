/**
 * A page that never changes, of about a product page's size: what this server can send when it has nothing
 * to look up and nothing to draw. The ceiling that the other pages are measured against.
 */
import { productPage } from './pages.ts';

export const staticPage: string = productPage(
  {
    id: 0,
    sku: 'STATIC',
    name: 'A Page That Never Changes',
    description: 'Made in small batches and finished by hand. Wipes clean with a damp cloth.',
    categoryId: 1,
    categoryName: 'Pages',
    priceCents: 100,
    stock: 1,
    unitsSoldIn7Days: 0,
    recentOrders: Array.from({ length: 5 }, () => {
      return { country: 'United Kingdom', quantity: 1, placedAtSeconds: 0, returning: true };
    }),
  },
  { cartUnits: 0 },
);
