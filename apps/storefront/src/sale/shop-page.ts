/** What the sale knows of the shop's pages: their addresses, their forms, and what they show to a program. */
import type { Step } from './crowd.ts';

export interface PageRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly form?: string;
}

/** @param orderKey from the cart page; a checkout without one is answered with 400. */
export function requestOf(step: Step, orderKey: string): PageRequest {
  switch (step.kind) {
    case 'home':
      return { method: 'GET', path: '/' };
    case 'category':
      return { method: 'GET', path: `/category/${step.categoryId}?page=${step.pageNumber}` };
    case 'product':
      return { method: 'GET', path: productPath(step.productId) };
    case 'login':
      return { method: 'POST', path: '/login', form: `customer=${step.customerId}` };
    case 'add':
      return { method: 'POST', path: '/cart', form: `product=${step.productId}&quantity=${step.quantity}` };
    case 'cart':
      return { method: 'GET', path: '/cart' };
    case 'checkout':
      return { method: 'POST', path: '/checkout', form: `key=${orderKey}` };
    case 'orders':
      return { method: 'GET', path: '/orders' };
  }
}

export function productPath(productId: number): string {
  return `/product/${productId}`;
}

export interface ShownProduct {
  readonly productId: number;
  readonly priceCents: number;
  readonly stock: number;
}

const productNeedle = Buffer.from('data-product="');
const priceNeedle = Buffer.from('data-price-cents="');
const stockNeedle = Buffer.from('data-stock="');
const keyNeedle = Buffer.from('name="key" value="');
const quote = 0x22;

/** Undefined when the page shows no product. Searches bytes only: parsing HTML would cost more than the page. */
export function shownProduct(body: Buffer): ShownProduct | undefined {
  const productId = numberAfter(body, productNeedle);
  const priceCents = numberAfter(body, priceNeedle);
  const stock = numberAfter(body, stockNeedle);
  if (productId === undefined || priceCents === undefined || stock === undefined) return undefined;
  return { productId, priceCents, stock };
}

/** The idempotency key in the cart page's order form. */
export function orderKeyIn(body: Buffer): string | undefined {
  return textAfter(body, keyNeedle);
}

function numberAfter(body: Buffer, needle: Buffer): number | undefined {
  const text = textAfter(body, needle);
  return text === undefined || !/^-?\d+$/.test(text) ? undefined : Number(text);
}

function textAfter(body: Buffer, needle: Buffer): string | undefined {
  const found = body.indexOf(needle);
  if (found < 0) return undefined;
  const start = found + needle.length;
  const end = body.indexOf(quote, start);
  return end < 0 ? undefined : body.toString('latin1', start, end);
}
