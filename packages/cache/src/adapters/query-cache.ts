/**
 * Results of queries, cached until a row of a table changes that the query read. For the queries of an ORM whose
 * result no single key stands for: lists, joins, counts. Where one row decides a value, `cache.define` with a watch of
 * its key is better: here a change of any row ends every result of its table.
 *
 * It is the feed that ends them, at the commit, whoever wrote; nothing has to be called after a write. A result is
 * kept under the promise of the cache (`boundMs`): it was read after everything that its tables' generations stand
 * for, see generation-entries.ts.
 */
import type { Cache } from '../cache.ts';
import { CacheConfigError } from '../errors.ts';
import { type Found, GenerationEntries, type Ticket } from './generation-entries.ts';

export interface QueryCacheOptions {
  /** Of the definitions that it makes in the cache. Default `queries`. */
  readonly name?: string;
  /** The tables whose queries may be cached, with their schemas: `public.products`. */
  readonly tables: readonly string[];
  /** Of tables that a query names without one. Default `public`. */
  readonly schema?: string;
  /** How long a result is kept at most. Default 60,000. */
  readonly freshMs?: number;
  /** A longer result, in UTF-16 code units of its JSON, is not kept. Default 4,194,304. */
  readonly maxValueLength?: number;
}

/** What identifies a query: with another text or other parameters it is another one. */
export interface QueryText {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export class QueryCache {
  readonly #entries: GenerationEntries;
  readonly #tables: ReadonlySet<string>;
  readonly #schema: string;
  readonly #running = new Map<string, Promise<unknown>>();

  /** Throws CacheConfigError. */
  constructor(cache: Cache, options: QueryCacheOptions) {
    const { name = 'queries', tables, schema = 'public', freshMs = 60_000, maxValueLength } = options;
    if (tables.length === 0) throw new CacheConfigError('`tables` of a query cache names none.');
    this.#tables = new Set(tables);
    this.#schema = schema;
    this.#entries = new GenerationEntries(cache, {
      name,
      keepMs: freshMs,
      tables,
      ...(maxValueLength === undefined ? {} : { maxValueLength }),
    });
  }

  /**
   * What `execute` gives, or gave to somebody before. Every caller has a copy of its own; bytes, dates, maps, sets and
   * big numbers come back as such. A result with instances of other classes is passed on, and not kept.
   *
   * Must not be called inside of a transaction: others would get what isn't committed yet. Rejects with
   * CacheConfigError when a table isn't one of the cache's, and with the error of `execute`.
   *
   * @param tables that it reads, all of them.
   */
  async run<T>(query: QueryText, tables: readonly string[], execute: () => Promise<T>): Promise<T> {
    const names = tables.map((table) => this.tableOf(table));
    const unknown = names.find((name) => !this.#tables.has(name));
    if (unknown !== undefined || names.length === 0) {
      throw new CacheConfigError(
        unknown === undefined
          ? 'A cached query must name the tables that it reads.'
          : `Table ${unknown} isn't among the \`tables\` of the query cache: add it there.`,
      );
    }
    const key = keyOf(query);
    const { value, ticket } = await this.#entries.find(key, names);
    if (value !== undefined) return (value as { readonly result: T }).result;
    // Who began before a change isn't joined by who came after it: the tickets differ.
    const id = JSON.stringify([key, ticket.generations]);
    const running = this.#running.get(id);
    if (running === undefined) {
      const making = this.#make(key, names, ticket, execute).finally(() => this.#running.delete(id));
      this.#running.set(id, making);
      return making;
    }
    await running.catch(() => {});
    const found = await this.#entries.find(key, names);
    return found.value === undefined ? execute() : (found.value as { readonly result: T }).result;
  }

  /** With its schema. */
  tableOf(table: string): string {
    return table.includes('.') ? table : `${this.#schema}.${table}`;
  }

  watches(table: string): boolean {
    return this.#tables.has(this.tableOf(table));
  }

  /** For adapters that are asked first, and brought a result later. @internal */
  find(key: string, dependencies: readonly string[]): Promise<Found> {
    return this.#entries.find(key, dependencies);
  }

  /** @internal */
  keep(key: string, value: unknown, dependencies: readonly string[], ticket: Ticket): Promise<boolean> {
    return this.#entries.keep(key, value, dependencies, ticket);
  }

  /** Rejects with InvalidationPendingError. @internal */
  invalidate(dependencies: readonly string[]): Promise<void> {
    return this.#entries.invalidate(dependencies);
  }

  async #make<T>(
    key: string,
    names: readonly string[],
    ticket: Ticket,
    execute: () => Promise<T>,
  ): Promise<T> {
    const result = await execute();
    await this.#entries.keep(key, { result }, names, ticket);
    return result;
  }
}

function keyOf({ sql, parameters }: QueryText): string {
  return JSON.stringify([sql, parameters], (_, value: unknown) =>
    typeof value === 'bigint' ? { bigint: String(value) } : value,
  );
}
