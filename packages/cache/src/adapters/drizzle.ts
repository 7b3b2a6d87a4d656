/**
 * Drizzle's `cache`, over the shared tier, for PostgreSQL. Only the interface is used; nothing of Drizzle is imported.
 *
 * Drizzle tells a cache of a write while the write runs, in a transaction not at all. Both are too early or too late;
 * so here tables end results by the feed, at the commit, and what Drizzle tells of tables is not listened to.
 */

import { monotonicClock } from '../clock.ts';
import type { Transaction } from '../database.ts';
import type { QueryCache } from './query-cache.ts';
import { Tickets } from './tickets.ts';

/** As Drizzle's CacheConfig: `ex` and `exat` in seconds, `px` and `pxat` in ms, the latter two as Unix times. */
export interface DrizzleCacheConfig {
  readonly ex?: number;
  readonly px?: number;
  readonly exat?: number;
  readonly pxat?: number;
}

export interface DrizzleCache {
  strategy(): 'explicit';
  get(
    key: string,
    tables: string[],
    isTag: boolean,
    isAutoInvalidate?: boolean,
  ): Promise<unknown[] | undefined>;
  put(
    key: string,
    response: unknown,
    tables: string[],
    isTag: boolean,
    config?: DrizzleCacheConfig,
  ): Promise<void>;
  onMutate(mutation: { readonly tags?: string | string[]; readonly tables?: unknown }): Promise<void>;
}

interface Kept {
  readonly response: unknown;
  readonly untilMs: number | null;
}

/** No query takes longer; one that does may be kept although it began before a change. */
const queryMs = 60_000;

/**
 * `drizzle(pool, { cache: drizzleCache(queries) })`, then `db.select().from(products).$withCache()`.
 *
 * What depends on what. A result ends when one of the query's tables changes; with `autoInvalidate: false` only by its
 * age. With a `tag` of its own it also ends by `db.$cache.invalidate({ tags })`, which rejects with
 * InvalidationPendingError when the shared tier did not confirm. A query of a table that isn't among those of
 * `queries` is not cached. Drizzle knows nothing of tables in raw `sql`: don't cache such a query.
 *
 * Never use `$withCache` in a transaction: Drizzle doesn't tell a cache that it is in one, and others would get what
 * isn't committed yet. For the same reason there is no strategy 'all'.
 */
export function drizzleCache(queries: QueryCache): DrizzleCache {
  const tickets = new Tickets(monotonicClock, queryMs);
  const tagOf = (tag: string): string => `tag ${tag}`;
  return {
    strategy: () => 'explicit',
    async get(key, tables, isTag, isAutoInvalidate) {
      const own = isTag ? [tagOf(key)] : [];
      const read = isAutoInvalidate === false ? [] : tables.map((table) => queries.tableOf(table));
      if (!read.every((table) => queries.watches(table))) return undefined;
      const { value, ticket } = await queries.find(key, [...own, ...read]);
      const kept = value as Kept | undefined;
      if (kept !== undefined && (kept.untilMs === null || Date.now() < kept.untilMs)) {
        // Whatever the driver's result is like: Drizzle wants it back as it was put.
        return kept.response as unknown[];
      }
      tickets.ask(key, ticket);
      return undefined;
    },
    async put(key, response, _tables, _isTag, config) {
      const ticket = tickets.answer(key);
      if (ticket === undefined) return;
      const kept: Kept = { response: rowsOf(response), untilMs: endOf(config) };
      await queries.keep(key, kept, Object.keys(ticket.generations), ticket);
    },
    async onMutate({ tags = [] }) {
      await queries.invalidate([tags].flat().map(tagOf));
    },
  };
}

/** A transaction of Drizzle for `definition.touch`. Pass Drizzle's `sql` along. */
export function drizzleTransaction<Sql>(
  transaction: { execute(query: Sql): PromiseLike<unknown> },
  sql: {
    raw(text: string): Sql;
    param(value: unknown): unknown;
    join(chunks: never[]): Sql;
  },
): Transaction {
  return {
    async query(text, values = []) {
      const chunks = text
        .split(/\$(\d+)/)
        .map((part, i) => (i % 2 === 0 ? sql.raw(part) : sql.param(values[Number(part) - 1])));
      const result = await transaction.execute(sql.join(chunks as never[]));
      const rows = Array.isArray(result) ? result : (result as { readonly rows: unknown }).rows;
      return { rows: rows as Record<string, unknown>[] };
    },
  };
}

/** node-postgres gives an instance with much else; Drizzle reads its rows, and the count for a query without any. */
function rowsOf(response: unknown): unknown {
  if (Array.isArray(response) || typeof response !== 'object' || response === null) return response;
  const { rows, rowCount } = response as { readonly rows?: unknown; readonly rowCount?: unknown };
  return Array.isArray(rows) ? { rows, rowCount } : response;
}

function endOf({ ex, px, exat, pxat }: DrizzleCacheConfig = {}): number | null {
  if (px !== undefined) return Date.now() + px;
  if (ex !== undefined) return Date.now() + ex * 1_000;
  return pxat ?? (exat === undefined ? null : exat * 1_000);
}
