/** The shop's pages as HTML. Every value from outside goes through `html`, which escapes it. */
import { html, raw } from 'hono/html';
import type { ServedFrom } from './catalogue.ts';
import type { PastOrder } from './orders.ts';
import type { Category, CategoryPage, Product, ProductCard } from './product.ts';
import { stylesheet } from './stylesheet.ts';

export type Html = ReturnType<typeof html>;

export const mostOfOneProduct = 10;

export interface Frame {
  readonly title: string;
  /** Units in the buyer's cart, for the header. */
  readonly cartUnits: number;
  readonly from?: ServedFrom;
}

export interface CartLine extends ProductCard {
  readonly quantity: number;
}

const shopName = 'The Pantry';
const head = raw(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="icon" href="data:,"><style>${stylesheet}</style>`);
const sources: Readonly<Record<ServedFrom, string>> = {
  near: "this process's memory",
  far: 'the cache',
  database: 'the database',
};

/** The whole page around `body`, ready to send. */
export function framed(frame: Frame, body: Html): string {
  const page = html`${head}<title>${frame.title} | ${shopName}</title></head><body>
<header><a class="shop" href="/">${shopName}</a><nav><a href="/">Home</a> · <a href="/orders">Your orders</a> ·
<a href="/cart">Cart (${frame.cartUnits})</a> · <a href="/login">Sign in</a></nav></header>
<main>${body}</main>
<footer>${frame.from === undefined ? '' : `Served from ${sources[frame.from]}. `}Prices include tax.</footer></body></html>`;
  // A plain string lets the server answer in the same tick. `html` makes promises only of promises.
  return String(page);
}

export function homePage(cards: readonly ProductCard[], categories: readonly Category[]): Html {
  return html`<h1>For kitchen, table and home</h1>
<h2>Selling fast</h2>${cardGrid(cards)}
<h2>All departments</h2><ul class="grid">${categories.map(
    (category) => html`<li><a href="/category/${category.id}">${category.name}</a></li>`,
  )}</ul>`;
}

export function categoryPage({ category, cards, pageNumber, pageCount }: CategoryPage): Html {
  const link = (page: number, label: string): Html =>
    html`<a href="/category/${category.id}?page=${page}">${label}</a> `;
  return html`<h1>${category.name}</h1>
<p class="soft">Page ${pageNumber} of ${pageCount}</p>${cardGrid(cards)}
<nav aria-label="Pages">${pageNumber > 1 ? link(pageNumber - 1, 'Previous page') : ''}${
    pageNumber < pageCount ? link(pageNumber + 1, 'Next page') : ''
  }</nav>`;
}

// A product from the near tier is one object for as long as it holds true; its page need not be made again.
const drawnProducts = new WeakMap<Product, { readonly frame: Frame; readonly page: string }>();

/** The whole page of a product. The data attributes are for programs that check what buyers were shown. */
export function productPage(product: Product, frame: Omit<Frame, 'title'>): string {
  const drawn = drawnProducts.get(product);
  if (drawn !== undefined && drawn.frame.cartUnits === frame.cartUnits && drawn.frame.from === frame.from) {
    return drawn.page;
  }
  const titled = { ...frame, title: product.name };
  const page = framed(titled, drawProduct(product));
  drawnProducts.set(product, { frame: titled, page });
  return page;
}

function drawProduct(product: Product): Html {
  return html`<p class="soft"><a href="/category/${product.categoryId}">${product.categoryName}</a></p>
<article class="product" data-product="${product.id}" data-price-cents="${product.priceCents}" data-stock="${product.stock}">
<div class="picture" aria-hidden="true">${product.name.slice(0, 1)}</div>
<div><h1>${product.name}</h1><p class="price">${money(product.priceCents)}</p>
<p>${product.stock > 0 ? `${product.stock} in stock` : 'Sold out'} · ${product.unitsSoldIn7Days} sold in 7 days</p>
${product.stock > 0 ? buyForm(product.id) : ''}
<p>${product.description}</p><p class="soft">Article ${product.sku}</p></div></article>
<h2>Bought lately</h2>${
    product.recentOrders.length === 0
      ? html`<p class="soft">Be the first to buy it.</p>`
      : html`<ul>${product.recentOrders.map(
          (order) =>
            html`<li>${order.quantity} × to ${order.country}<span class="soft">, ${moment(order.placedAtSeconds)}${
              order.returning ? ', by a returning customer' : ''
            }</span></li>`,
        )}</ul>`
  }`;
}

export function loginPage(customerId: number | null): Html {
  return html`<h1>Sign in</h1>${
    customerId === null
      ? html`<p>This shop is a demonstration: a customer number is enough, there is no password.</p>`
      : html`<p>You are signed in as customer ${customerId}.</p>
<form method="post" action="/logout"><button class="plain">Sign out</button></form>`
  }
<form method="post" action="/login"><label>Customer number
<input name="customer" inputmode="numeric" required pattern="[0-9]{1,9}"></label><button>Sign in</button></form>`;
}

/** @param key the idempotency key of the checkout that this page's button starts. */
export function cartPage(lines: readonly CartLine[], customerId: number | null, key: string): Html {
  if (lines.length === 0)
    return html`<h1>Your cart</h1><p>It is empty. <a href="/">See what sells fast.</a></p>`;
  const totalCents = lines.reduce((sum, line) => sum + line.priceCents * line.quantity, 0);
  return html`<h1>Your cart</h1><table><thead><tr><th>Product</th><th class="number">Price</th>
<th class="number">Units</th><th aria-label="Change"></th></tr></thead><tbody>${lines.map(
    (line) => html`<tr><td><a href="/product/${line.id}">${line.name}</a></td>
<td class="number">${money(line.priceCents)}</td><td class="number">${line.quantity}</td>
<td><form method="post" action="/cart"><input type="hidden" name="product" value="${line.id}">
<input type="hidden" name="quantity" value="0"><button class="plain" aria-label="Remove ${line.name}">Remove</button></form></td></tr>`,
  )}</tbody></table>
<p class="price">Total ${money(totalCents)}</p>${
    customerId === null
      ? html`<p><a href="/login">Sign in to order.</a></p>`
      : html`<form method="post" action="/checkout"><input type="hidden" name="key" value="${key}">
<button>Order now</button></form>`
  }`;
}

export function ordersPage(orders: readonly PastOrder[], placedId: number | undefined): Html {
  return html`<h1>Your orders</h1>${
    placedId === undefined
      ? ''
      : html`<p class="panel" role="status">Thank you. Your order ${placedId} is placed.</p>`
  }${orders.length === 0 ? html`<p>There are none yet.</p>` : ''}${orders.map(
    (order) => html`<section><h2>Order ${order.id}</h2>
<p class="soft">${moment(order.placedAtSeconds)} · ${money(order.totalCents)}</p><ul>${order.lines.map(
      (line) =>
        html`<li>${line.quantity} × <a href="/product/${line.productId}">${line.name}</a>, ${money(line.unitPriceCents)} each</li>`,
    )}</ul></section>`,
  )}`;
}

/** A page with one sentence that says what happened and one that says what to do. */
export function noticePage(title: string, sentence: string): Html {
  return html`<h1>${title}</h1><p>${sentence}</p><p><a href="/">Back to the shop</a></p>`;
}

function cardGrid(cards: readonly ProductCard[]): Html {
  if (cards.length === 0) return html`<p class="soft">Nothing here.</p>`;
  return html`<ul class="grid">${cards.map(
    (card) => html`<li><a href="/product/${card.id}"><b>${card.name}</b>${money(card.priceCents)}
<span class="soft">${card.stock > 0 ? `${card.stock} in stock` : 'Sold out'}</span></a></li>`,
  )}</ul>`;
}

function buyForm(productId: number): Html {
  return html`<form method="post" action="/cart"><input type="hidden" name="product" value="${productId}">
<label>Units<select name="quantity">${quantityOptions}</select></label><button>Add to cart</button></form>`;
}

const quantityOptions = raw(
  Array.from({ length: mostOfOneProduct }, (_, index) => `<option>${index + 1}</option>`).join(''),
);

function money(cents: number): string {
  return `£${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
}

function moment(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
