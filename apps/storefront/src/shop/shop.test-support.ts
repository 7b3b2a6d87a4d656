/** For tests: one PostgreSQL with a small shop, one Valkey, and shops of any mode on them. */
import pg from 'pg';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startTestPostgres, type TestPostgres } from '../../../../testing/postgres.ts';
import type { Mode } from './catalogue.ts';
import { type ShopInvalidator, startInvalidator } from './invalidator.ts';
import { type SeedSize, seedShop } from './seed.ts';
import { type Shop, startShop } from './shop.ts';

export const smallShop: SeedSize = { seed: 7, products: 100, customers: 200, orders: 400, hotStock: 1_000 };

export interface ShopFixture {
  readonly postgres: TestPostgres;
  readonly engine: TestEngine;
  readonly sql: pg.Client;
  readonly hotProductId: number;
  /** What the shops reported as unexpected; a test that expects none should look. */
  readonly errors: unknown[];
  start(mode: Mode): Promise<Shop>;
  /** Closes every shop, then the servers. */
  remove(): Promise<void>;
}

export async function startShopFixture(): Promise<ShopFixture> {
  const [postgres, engine] = await Promise.all([
    startTestPostgres({ track_commit_timestamp: 'on' }),
    startEngine('valkey'),
  ]);
  const sql = new pg.Client(postgres.address);
  // A test may kill the server under it.
  sql.on('error', () => {});
  await sql.connect();
  const { hotProductId } = await seedShop(sql, smallShop);
  const shops: Shop[] = [];
  let invalidator: ShopInvalidator | undefined;
  const errors: unknown[] = [];
  return {
    postgres,
    engine,
    sql,
    hotProductId,
    errors,
    async start(mode) {
      const cache = { host: engine.host, port: engine.port };
      const report = (error: unknown): void => {
        errors.push(error);
      };
      if (mode === 'larder') invalidator ??= await startInvalidator({ postgres: postgres.address, cache });
      const shop = await startShop({ mode, port: 0, postgres: postgres.address, cache }, report);
      shops.push(shop);
      return shop;
    },
    async remove() {
      await Promise.all(shops.map((shop) => shop.close()));
      await invalidator?.close();
      await sql.end().catch(() => {});
      await postgres.remove();
      await engine.stop();
    },
  };
}

/** A browser as far as a shop can tell: keeps cookies, sends forms, follows nothing by itself. */
export class Buyer {
  readonly #url: string;
  readonly #cookies = new Map<string, string>();
  constructor(url: string) {
    this.#url = url;
  }
  get cookies(): ReadonlyMap<string, string> {
    return this.#cookies;
  }
  async get(path: string): Promise<Page> {
    return this.#send(path, {});
  }
  async post(
    path: string,
    form: Record<string, string | number>,
    headers: Record<string, string> = {},
  ): Promise<Page> {
    const fields = Object.entries(form).map(([name, value]) => [name, String(value)]);
    return this.#send(path, { method: 'POST', body: new URLSearchParams(fields), headers });
  }
  async #send(path: string, init: RequestInit): Promise<Page> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(init.headers as Record<string, string>), cookie };
    const response = await fetch(this.#url + path, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (value === '') this.#cookies.delete(name!);
      else this.#cookies.set(name!, value!);
    }
    return { status: response.status, text: await response.text(), headers: response.headers };
  }
}

export interface Page {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** A buyer who is signed in and has `quantity` of the product in the cart. */
export async function buyerWith(
  url: string,
  customer: number,
  product: number,
  quantity: number,
): Promise<Buyer> {
  const buyer = new Buyer(url);
  await buyer.post('/login', { customer });
  await buyer.post('/cart', { product, quantity });
  return buyer;
}

/** What the machine-readable attributes of a product page say. */
export function shownProduct(page: Page): { id: number; priceCents: number; stock: number } {
  const match = /<article[^>]* data-product="(\d+)" data-price-cents="(\d+)" data-stock="(\d+)">/.exec(
    page.text,
  );
  if (match === null) throw new Error(`No product on this page (${page.status}): ${page.text.slice(-500)}`);
  return { id: Number(match[1]), priceCents: Number(match[2]), stock: Number(match[3]) };
}
