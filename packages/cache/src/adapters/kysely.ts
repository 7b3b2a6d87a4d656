/** Kysely's queries over a QueryCache. Only Kysely's interfaces are used; nothing of it is imported. */
import type { Transaction } from '../database.ts';
import { CacheConfigError } from '../errors.ts';
import type { QueryCache } from './query-cache.ts';

/** A select query of Kysely. */
export interface KyselyQuery<Row> {
  compile(): { readonly sql: string; readonly parameters: readonly unknown[]; readonly query: object };
  execute(): Promise<Row[]>;
}

export interface KyselyQueryOptions {
  /** Needed when the query has raw SQL in it, which may read tables that nobody sees: all that it reads. */
  readonly tables?: readonly string[];
}

/**
 * `const cached = kyselyCache(queries)`, then `await cached(db.selectFrom('product').selectAll())`. The tables are
 * taken from the query: joins, subqueries and common table expressions count. Under the contract of `QueryCache.run`;
 * rejects with CacheConfigError also when raw SQL comes without `tables`, and for what isn't a select, or locks rows.
 */
export function kyselyCache(
  queries: QueryCache,
): <Row>(query: KyselyQuery<Row>, options?: KyselyQueryOptions) => Promise<Row[]> {
  return async (query, options = {}) => {
    const compiled = query.compile();
    const found = tablesOf(compiled.query);
    if (!found.onlyReads) throw new CacheConfigError('Only select queries that lock nothing can be cached.');
    if (found.raw && options.tables === undefined) {
      throw new CacheConfigError('A query with raw SQL needs `tables`: all tables that it reads.');
    }
    const tables = [...new Set([...found.tables, ...(options.tables ?? [])])];
    return queries.run(compiled, tables, () => query.execute());
  };
}

/** A transaction of Kysely for `definition.touch`. Pass Kysely's `CompiledQuery` along. */
export function kyselyTransaction<Query>(
  transaction: { executeQuery(query: Query): Promise<{ readonly rows: unknown[] }> },
  compiledQuery: { raw(sql: string, parameters?: unknown[]): Query },
): Transaction {
  return {
    async query(text, values = []) {
      const { rows } = await transaction.executeQuery(compiledQuery.raw(text, values));
      return { rows: rows as Record<string, unknown>[] };
    },
  };
}

interface Reading {
  readonly tables: readonly string[];
  readonly raw: boolean;
  readonly onlyReads: boolean;
}

const skipped = /^(Value|PrimitiveValueList|Reference)Node$/;
const writes = /^(Insert|Update|Delete|Merge)QueryNode$/;
/** Of operators and the like Kysely makes raw nodes as well; these can't read a table. */
const harmlessRaw = /^[^a-z]*(asc|desc|nulls (first|last))?[^a-z]*$/i;

/** From Kysely's tree of operations. */
function tablesOf(root: object): Reading {
  const tables = new Set<string>();
  let raw = false;
  let onlyReads = (root as Node).kind === 'SelectQueryNode';
  /** @param expressions common table expressions that a name may mean here. */
  const visit = (value: unknown, expressions: ReadonlySet<string>): void => {
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const each of value) visit(each, expressions);
      return;
    }
    const node = value as Node;
    // Parameters are the application's own objects; references name what was counted already, or an alias.
    if (skipped.test(node.kind ?? '')) return;
    if (node.kind === 'TableNode') {
      const { schema, identifier } = (node as TableNode).table;
      if (schema !== undefined) tables.add(`${schema.name}.${identifier.name}`);
      else if (!expressions.has(identifier.name)) tables.add(identifier.name);
      return;
    }
    if (node.kind === 'RawNode') {
      raw ||= !(node as RawNode).sqlFragments.every((fragment) => harmlessRaw.test(fragment));
    }
    if (writes.test(node.kind ?? '') || (node as ModifierNode).modifier?.startsWith('For')) onlyReads = false;
    const { with: common, ...rest } = node as QueryNode;
    const known = new Set(expressions);
    for (const { name, expression } of common?.expressions ?? []) {
      const own = name.table.table.identifier.name;
      if (common?.recursive === true) known.add(own);
      visit(expression, known);
      known.add(own);
    }
    for (const each of Object.values(rest)) visit(each, known);
  };
  visit(root, new Set());
  return { tables: [...tables], raw, onlyReads };
}

interface Node {
  readonly kind?: string;
}
interface Identifier {
  readonly name: string;
}
interface TableNode extends Node {
  readonly table: { readonly schema?: Identifier; readonly identifier: Identifier };
}
interface QueryNode extends Node {
  readonly with?: {
    readonly recursive?: boolean;
    readonly expressions: readonly {
      readonly name: { readonly table: TableNode };
      readonly expression: Node;
    }[];
  };
}
interface ModifierNode extends Node {
  readonly modifier?: string;
}
interface RawNode extends Node {
  readonly sqlFragments: readonly string[];
}
