/** The shop's routes. */
import { randomBytes } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { getCookie, setCookie } from 'hono/cookie';
import type { Catalogue, Mode, ServedFrom } from './catalogue.ts';
import type { Checkout } from './checkout.ts';
import type { Counters, PageName } from './counters.ts';
import { type Database, DatabaseBusy, type Statement } from './database.ts';
import { type OrderAnswer, orderHistory } from './orders.ts';
import * as pages from './pages.ts';
import type { Product } from './product.ts';
import { BadRequest, bodyLimitBytes, idempotencyKey, idFrom, ownForm, wholeNumber } from './request.ts';
import { isSessionId, type Session, type Sessions, SessionsUnavailable, sessionSeconds } from './session.ts';
import { staticPage } from './static-page.ts';
import { contentSecurityPolicy } from './stylesheet.ts';

export interface ShopParts {
  readonly mode: Mode;
  readonly database: Database;
  readonly catalogue: Catalogue;
  readonly sessions: Sessions;
  readonly checkout: Checkout;
  readonly counters: Counters;
  readonly metrics: (productIds: readonly number[]) => unknown;
  /** Called with what nobody expected; the buyer sees a plain page. */
  readonly reportError: (error: unknown) => void;
}

const mostProductsInCart = 20;
const mostPageNumber = 10_000;
const headers = {
  'cache-control': 'no-store',
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};
// PostgreSQL or the way to it is away, shutting down, starting, or too slow: all of them pass.
const passingCodes = /^(57P0\d|57014|08\d{3}|53\d{3}|ECONN\w+|EPIPE|ETIMEDOUT)$/;
const passingMessage = /Connection terminated|timeout exceeded/;

type Status = 200 | 400 | 403 | 404 | 409 | 413 | 415 | 500 | 503;

export function shopApp(parts: ShopParts): Hono {
  const { catalogue, counters, sessions, checkout, database } = parts;
  const app = new Hono();
  // Ports do not separate cookies: two modes side by side on one machine need names of their own.
  const sessionCookie = `shop_session_${parts.mode}`;
  const cartCookie = `shop_cart_${parts.mode}`;

  function send(
    c: Context,
    title: string,
    body: pages.Html,
    status: Status = 200,
    from?: ServedFrom,
  ): Response {
    const frame = { title, cartUnits: cartUnitsShown(c), ...(from === undefined ? {} : { from }) };
    return answer(c, pages.framed(frame, body), status);
  }
  function answer(c: Context, page: string, status: Status = 200): Response {
    counters.answers[status < 400 ? 'ok' : status < 500 ? 'refused' : 'failed'] += 1;
    return c.html(page, status, headers);
  }
  /** The number in the header is only for show, so it may come from the browser and costs no session read. */
  function cartUnitsShown(c: Context): number {
    return Math.min(idFrom(getCookie(c, cartCookie)) ?? 0, mostProductsInCart * pages.mostOfOneProduct);
  }
  function goTo(c: Context, path: string): Response {
    counters.answers.redirect += 1;
    return c.redirect(path, 303);
  }
  function notFound(c: Context, what: string): Response {
    return send(c, 'Not found', pages.noticePage('Not found', `There is no such ${what} in this shop.`), 404);
  }
  function count(name: PageName): void {
    counters.pages[name] += 1;
  }

  async function currentSession(c: Context): Promise<Session | undefined> {
    const id = getCookie(c, sessionCookie);
    return isSessionId(id) ? sessions.find(id) : undefined;
  }
  function giveSession(c: Context, session: Session): void {
    // Not `secure`: the shop speaks plain HTTP, on this machine only.
    const options = { httpOnly: true, sameSite: 'Lax', path: '/', maxAge: sessionSeconds } as const;
    setCookie(c, sessionCookie, session.id, options);
    showCart(c, session.cart);
  }
  function showCart(c: Context, cart: ReadonlyMap<number, number>): void {
    const units = [...cart.values()].reduce((sum, quantity) => sum + quantity, 0);
    setCookie(c, cartCookie, String(units), {
      httpOnly: true,
      sameSite: 'Lax',
      path: '/',
      maxAge: sessionSeconds,
    });
  }

  app.get('/', async (c) => {
    count('home');
    const [trending, categories] = await Promise.all([catalogue.trending(), catalogue.categories()]);
    return send(c, 'Home', pages.homePage(trending.value, categories), 200, trending.from);
  });

  app.get('/category/:id', async (c) => {
    count('category');
    const id = idFrom(c.req.param('id'));
    const pageNumber = idFrom(c.req.query('page') ?? '1');
    if (id === undefined || pageNumber === undefined || pageNumber > mostPageNumber)
      return notFound(c, 'page');
    const { value, from } = await catalogue.category(id, pageNumber);
    if (value === null) return notFound(c, 'department');
    return send(c, value.category.name, pages.categoryPage(value), 200, from);
  });

  app.get('/product/:id', (c): Response | Promise<Response> => {
    count('product');
    const id = idFrom(c.req.param('id'));
    if (id === undefined) return notFound(c, 'product');
    const sendProduct = (product: Product, from: ServedFrom): Response => {
      counters.productsFrom[from] += 1;
      return answer(c, pages.productPage(product, { cartUnits: cartUnitsShown(c), from }));
    };
    // Without a promise when the product is near: most pages of a sale end here.
    const near = catalogue.nearProduct(id);
    if (near !== undefined) return sendProduct(near, 'near');
    return catalogue
      .product(id)
      .then(({ value, from }) => (value === null ? notFound(c, 'product') : sendProduct(value, from)));
  });

  app.get('/static', (c) => {
    count('static');
    return answer(c, staticPage);
  });
  app.get('/healthz', (c) => c.text('ok'));
  app.get('/metrics.json', (c) => {
    const ids = (c.req.query('products') ?? '').split(',').slice(0, 100);
    return c.json(parts.metrics(ids.flatMap((text) => idFrom(text) ?? [])));
  });

  app.get('/login', async (c) => {
    count('login');
    const session = await currentSession(c);
    return send(c, 'Sign in', pages.loginPage(session?.customerId ?? null));
  });

  // For forms only: a middleware that also matches GET would make every page wait for promises.
  app.on(
    'POST',
    ['/login', '/logout', '/cart', '/checkout'],
    bodyLimit({
      maxSize: bodyLimitBytes,
      onError: () => {
        throw new BadRequest(413, `A form may have at most ${bodyLimitBytes} bytes.`);
      },
    }),
  );

  app.post('/login', async (c) => {
    count('login');
    const customerId = wholeNumber(await ownForm(c), 'customer', 1, 999_999_999);
    const [customer] = await database.query(customerStatement, [customerId]);
    if (customer === undefined) throw new BadRequest(404, `There is no customer ${customerId}.`);
    const before = await currentSession(c);
    // A new id at every sign-in: one planted in the browser beforehand is worth nothing.
    const session = await sessions.create(customerId, before?.cart ?? new Map());
    if (before !== undefined) await sessions.destroy(before.id);
    giveSession(c, session);
    return goTo(c, session.cart.size > 0 ? '/cart' : '/');
  });

  app.post('/logout', async (c) => {
    count('login');
    await ownForm(c);
    const session = await currentSession(c);
    if (session !== undefined) await sessions.destroy(session.id);
    setCookie(c, sessionCookie, '', { path: '/', maxAge: 0 });
    setCookie(c, cartCookie, '', { path: '/', maxAge: 0 });
    return goTo(c, '/');
  });

  app.get('/cart', async (c) => {
    count('cart');
    const session = await currentSession(c);
    const cart = session?.cart ?? new Map<number, number>();
    const cards = cart.size === 0 ? [] : (await catalogue.cards([...cart.keys()])).value;
    const lines = cards.map(({ id, name, priceCents, stock }) => {
      return { id, name, priceCents, stock, quantity: cart.get(id) ?? 0 };
    });
    const key = randomBytes(16).toString('base64url');
    return send(c, 'Cart', pages.cartPage(lines, session?.customerId ?? null, key));
  });

  app.post('/cart', async (c) => {
    count('cart');
    const form = await ownForm(c);
    const productId = wholeNumber(form, 'product', 1, 999_999_999);
    const quantity = wholeNumber(form, 'quantity', 0, pages.mostOfOneProduct);
    if (quantity > 0 && catalogue.nearProduct(productId) === undefined) {
      const { value } = await catalogue.product(productId);
      if (value === null) throw new BadRequest(404, `There is no product ${productId}.`);
    }
    const session = await currentSession(c);
    const cart = new Map(session?.cart);
    if (quantity === 0) cart.delete(productId);
    else cart.set(productId, quantity);
    if (cart.size > mostProductsInCart) {
      throw new BadRequest(400, `A cart holds at most ${mostProductsInCart} different products.`);
    }
    if (session !== undefined && (await sessions.setQuantity(session.id, productId, quantity)))
      showCart(c, cart);
    else giveSession(c, await sessions.create(null, cart));
    return goTo(c, '/cart');
  });

  app.post('/checkout', async (c) => {
    count('checkout');
    const key = idempotencyKey(await ownForm(c));
    const session = await currentSession(c);
    if (session === undefined || session.customerId === null) return goTo(c, '/login');
    const { customerId } = session;
    const units = [...session.cart].map(([productId, quantity]) => ({ productId, quantity }));
    const answer: OrderAnswer | undefined =
      units.length === 0
        ? await checkout.earlier(key, customerId)
        : await checkout.place({ idempotencyKey: key, customerId, units });
    if (answer === undefined) throw new BadRequest(400, 'Your cart is empty, so there is nothing to order.');
    if (answer.kind === 'key-taken')
      throw new BadRequest(409, 'This order form was already used by somebody else.');
    if (answer.kind === 'sold-out') {
      const sentence =
        'Somebody was quicker: one of the products in your cart is sold out. Nothing was ordered.';
      return send(c, 'Sold out', pages.noticePage('Sold out', sentence), 409);
    }
    if (!answer.repeated) await sessions.clearCart(session).catch(parts.reportError);
    showCart(c, new Map());
    return goTo(c, `/orders?placed=${answer.orderId}`);
  });

  app.get('/orders', async (c) => {
    count('orders');
    const session = await currentSession(c);
    if (session === undefined || session.customerId === null) return goTo(c, '/login');
    const orders = await orderHistory(database.query, session.customerId);
    const placed = idFrom(c.req.query('placed'));
    // Only an order of this customer is thanked for, whatever the address says.
    const placedId = orders.some((order) => order.id === placed) ? placed : undefined;
    return send(c, 'Your orders', pages.ordersPage(orders, placedId));
  });

  app.notFound((c) => {
    count('other');
    return notFound(c, 'page');
  });
  app.onError((error, c) => {
    if (error instanceof BadRequest) {
      return send(c, 'Not possible', pages.noticePage('That did not work', error.message), error.status);
    }
    if (isPassing(error)) {
      c.header('retry-after', '1');
      const sentence = 'The shop is very busy just now. Please try again in a moment.';
      return send(c, 'Busy', pages.noticePage('One moment', sentence), 503);
    }
    parts.reportError(error);
    return send(c, 'Error', pages.noticePage('Something went wrong', 'This is our fault, not yours.'), 500);
  });
  return app;
}

function isPassing(error: Error & { code?: unknown }): boolean {
  if (error instanceof DatabaseBusy || error instanceof SessionsUnavailable) return true;
  // The library's way of saying that the database has more to load than it can.
  if (error.name === 'LoadQueueError' || error.name === 'LoadTimeoutError') return true;
  return passingCodes.test(String(error.code)) || passingMessage.test(error.message);
}

const customerStatement: Statement = { name: 'customer', text: 'SELECT id FROM customers WHERE id = $1' };
