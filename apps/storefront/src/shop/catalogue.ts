/** What the shop reads to draw its pages. Three files beside this one implement it, one per mode. */
import type { Category, CategoryPage, Product, ProductCard } from './product.ts';

export type Mode = 'none' | 'ttl' | 'larder';

/** Where a value came from: this process's memory, the cache server, or PostgreSQL. */
export type ServedFrom = 'near' | 'far' | 'database';

export interface Served<Value> {
  readonly value: Value;
  readonly from: ServedFrom;
}

export interface SoldUnits {
  readonly productId: number;
  readonly quantity: number;
}

export interface Catalogue {
  /** The product if it can be had without waiting; `undefined` says nothing about whether it exists. */
  nearProduct(id: number): Product | undefined;
  /** Null when there is no such product. */
  product(id: number): Promise<Served<Product | null>>;
  /** In the order of `ids`, without those that do not exist. */
  cards(ids: readonly number[]): Promise<Served<readonly ProductCard[]>>;
  /** Null when there is no such category; a page number beyond the last gives no cards. */
  category(id: number, pageNumber: number): Promise<Served<CategoryPage | null>>;
  categories(): Promise<readonly Category[]>;
  /** What sells most at present. */
  trending(): Promise<Served<readonly ProductCard[]>>;
  /** To be called after each committed order. Never throws: the order stands whatever the cache says. */
  sold(units: readonly SoldUnits[]): Promise<void>;
  /** What the cache itself counts, for /metrics.json; null where there is none. */
  statistics(): unknown;
  close(): Promise<void>;
}
