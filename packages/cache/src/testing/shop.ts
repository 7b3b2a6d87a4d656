/** A cache over a database that is a map, for tests that need to hold a loader or a change at will. */
import { type Cache, type CacheOptions, createCache } from '../cache.ts';
import type { Definition } from '../definition.ts';
import { MemorySource } from '../testkit/memory-source.ts';
import { waitFor } from './wait-for.ts';

export interface Product {
  readonly id: number;
  readonly price: number;
}

export class Shop {
  /** What readers of the database see. */
  readonly rows = new Map<number, Product>();
  readonly source = new MemorySource();
  readonly caches: Cache[] = [];
  loads = 0;
  /** Called by every load between reading the row and returning it. */
  pause: (id: number) => Promise<void> = async () => {};

  open(
    name: string,
    far: CacheOptions['far'],
    options: Partial<CacheOptions> & { readonly watched?: boolean } = {},
  ): OpenShop {
    const { watched = true, ...rest } = options;
    const cache = createCache({ name, far, ...rest });
    this.caches.push(cache);
    const product = cache.define<number, Product>({
      name: 'product',
      key: String,
      load: async (id) => {
        this.loads += 1;
        const row = this.rows.get(id);
        await this.pause(id);
        return row;
      },
      ...(watched ? { watches: [{ table: 'public.products', key: (row) => row.id }] } : {}),
    });
    return { cache, product };
  }

  /** Commits a price through the feed, visible at once. */
  change(id: number, price: number): void {
    this.rows.set(id, { id, price });
    this.source.commit('public.products', { id: String(id) });
  }

  async close(): Promise<void> {
    await Promise.all(this.caches.map((cache) => cache.close()));
  }
}

export interface OpenShop {
  readonly cache: Cache;
  readonly product: Definition<number, Product>;
}

/** Waits until a read of the key would be served from the shared tier. */
export async function untilCached({ product }: OpenShop, id: number): Promise<void> {
  await waitFor(`product ${id} in the shared tier`, async () => {
    await product.get(id);
    return (await product.explain(id)).tier !== 'database';
  });
}
