/** The cache over a real table, for tests of the feed. */
import pg from 'pg';
import { type Cache, type CacheOptions, createCache } from '../cache.ts';
import type { Definition } from '../definition.ts';
import { type PostgresConnection, postgresFeed } from '../feed/postgres.ts';
import type { Invalidator } from '../invalidator.ts';
import { waitFor } from './wait-for.ts';

export interface Product {
  readonly id: number;
  readonly price: number;
}

export interface PostgresShop {
  readonly cache: Cache;
  readonly product: Definition<number, Product>;
  loads(): number;
}

export class PostgresShops {
  readonly pool: pg.Pool;
  readonly #connection: PostgresConnection;
  readonly #caches: Cache[] = [];
  readonly #slots = new Set<string>();

  constructor(connection: PostgresConnection) {
    this.#connection = connection;
    this.pool = new pg.Pool({ ...connection, max: 20 });
    this.pool.on('error', () => {});
  }

  async createTable(table: string, rows = 100): Promise<void> {
    await this.pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, price int)`);
    await this.pool.query(`INSERT INTO ${table} SELECT i, 1 FROM generate_series(1, ${rows}) i`);
  }

  /** One table, one namespace and one slot of that name. */
  open(name: string, far: CacheOptions['far'], options: Partial<CacheOptions> = {}): PostgresShop {
    const cache = createCache({ name, far, ...options });
    this.#caches.push(cache);
    let loads = 0;
    const product = cache.define<number, Product>({
      name: 'product',
      key: String,
      load: async (id) => {
        loads += 1;
        return (await this.pool.query(`SELECT id, price FROM ${name} WHERE id = $1`, [id])).rows[0];
      },
      watches: [{ table: `public.${name}`, key: (row) => row.id }],
    });
    return { cache, product, loads: () => loads };
  }

  invalidator(
    { cache }: PostgresShop,
    options: { readonly maxKeysPerTransaction?: number } = {},
  ): Invalidator {
    this.#slots.add(cache.name);
    const { name } = cache;
    const connection = this.#connection;
    return cache.invalidator(
      postgresFeed({ connection, slot: name, publication: name, createPublication: true }),
      options,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#caches.map((cache) => cache.close()));
    await this.pool.end();
  }
}

/** Waits until the key is served from the shared tier, with this price. */
export async function untilCachedAt(
  { product }: PostgresShop,
  id: number,
  price: number | null,
): Promise<void> {
  await waitFor(`product ${id} cached at ${price}`, async () => {
    const value = await product.get(id);
    return (value?.price ?? null) === price && (await product.explain(id)).tier !== 'database';
  });
}
