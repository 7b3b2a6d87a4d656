/** What a user of the published package writes. publish/package.test.ts compiles and runs it outside of this repository. */
import {
  type Cache,
  CacheConfigError,
  type CacheOptions,
  type CacheStats,
  type ChangeSource,
  createCache,
  type Definition,
  type DefinitionOptions,
  type Driver,
  InvalidationPendingError,
  type InvalidatorStatus,
  type Watch,
  type WatchedRow,
} from '@larder/cache';
import { TestBed } from '@larder/cache/testkit';

interface Product {
  readonly id: number;
  readonly name: string;
}

const keyOf = (row: WatchedRow): string | null => row.id ?? null;
const watch: Watch = { table: 'public.products', key: keyOf };
const options: DefinitionOptions<number, Product> = {
  name: 'product',
  key: (id) => id,
  load: async (id, { signal }) => (signal.aborted ? null : { id, name: `Product ${id}` }),
  watches: [watch],
};

export class Catalogue {
  readonly #product: Definition<number, Product>;

  constructor(cache: Cache) {
    this.#product = cache.define(options);
  }

  async nameOf(id: number): Promise<string | undefined> {
    return (await this.#product.get(id))?.name;
  }

  async rename(id: number, save: () => Promise<void>): Promise<boolean> {
    try {
      await this.#product.write(id, save);
      return true;
    } catch (error) {
      if (error instanceof InvalidationPendingError) return false;
      throw error;
    }
  }
}

export async function follow(cache: Cache, source: ChangeSource): Promise<InvalidatorStatus> {
  const invalidator = cache.invalidator(source);
  await invalidator.start();
  return invalidator.status();
}

export function settings(far: Driver): CacheOptions {
  return { name: 'shop', far, near: { maxBytes: 2 ** 20 } };
}

export async function main(): Promise<CacheStats> {
  try {
    createCache({ ...settings(undefined as unknown as Driver), name: 'no name' });
    throw new Error('Taken.');
  } catch (error) {
    if (!(error instanceof CacheConfigError)) throw error;
  }
  const bed = new TestBed();
  const cache = bed.cache();
  const catalogue = new Catalogue(cache);
  await bed.follow(cache);
  if ((await catalogue.nameOf(7)) !== 'Product 7') throw new Error('Another name.');
  const stats = cache.stats();
  await bed.close();
  return stats;
}
