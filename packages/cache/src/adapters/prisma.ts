/** Prisma over a QueryCache, as a client extension. Written against Prisma's documented interface; nothing is imported. */
import type { Transaction } from '../database.ts';
import type { QueryCache } from './query-cache.ts';

/** What Prisma gives an extension of all operations. */
export interface PrismaOperation {
  readonly model?: string;
  readonly operation: string;
  readonly args: unknown;
  readonly query: (args: never) => Promise<unknown>;
  /** Not documented, and there since Prisma 4.16. */
  readonly __internalParams?: { readonly transaction?: unknown };
}

export interface PrismaCacheOptions {
  /**
   * By model, all tables that its cached queries read, those of included relations too: `{ Product: ['product',
   * 'supplier'] }`. Queries of other models pass by.
   */
  readonly tables: Readonly<Record<string, readonly string[]>>;
}

export interface PrismaCacheExtension {
  readonly name: string;
  readonly query: { readonly $allOperations: (operation: PrismaOperation) => Promise<unknown> };
}

const reads: ReadonlySet<string> = new Set([
  'findUnique',
  'findUniqueOrThrow',
  'findFirst',
  'findFirstOrThrow',
  'findMany',
  'count',
  'aggregate',
  'groupBy',
]);

/**
 * `const cached = prisma.$extends(prismaCache(queries, { tables: { Product: ['product'] } }))`: reads through `cached`
 * may come from the cache, those through `prisma` don't. Under the contract of `QueryCache.run`; inside of
 * `$transaction` everything goes to the database. A result with a Decimal isn't kept.
 */
export function prismaCache(queries: QueryCache, { tables }: PrismaCacheOptions): PrismaCacheExtension {
  return {
    name: 'larder',
    query: {
      async $allOperations({ model, operation, args, query, __internalParams }) {
        const read = model === undefined ? undefined : tables[model];
        const run = (): Promise<unknown> => query(args as never);
        if (read === undefined || !reads.has(operation) || __internalParams?.transaction !== undefined)
          return run();
        return queries.run({ sql: `prisma ${model}.${operation}`, parameters: [args] }, read, run);
      },
    },
  };
}

/** The client of an interactive transaction of Prisma, for `definition.touch`. */
export function prismaTransaction(transaction: {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<unknown>;
}): Transaction {
  return {
    async query(text, values = []) {
      const rows = await transaction.$queryRawUnsafe(text, ...values);
      return { rows: rows as Record<string, unknown>[] };
    },
  };
}
