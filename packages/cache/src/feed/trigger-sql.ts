/**
 * (pure) SQL of statement-level triggers that note which rows changed. Shared by the outbox and by the triggers
 * that invoke a Lambda function; they differ in what a trigger does with the rows.
 *
 * One function per table, its columns written out: no dynamic SQL, and a plan that PostgreSQL keeps. Values are
 * printed by their type's output function, as logical replication prints them. Triggers are ENABLE ALWAYS, so
 * that what a subscription applies fires them too. A statement on a partition itself fires only triggers of that
 * partition, so partitions must be named beside their parent if anybody writes to them directly.
 */
import { createHash } from 'node:crypto';
import { CacheConfigError } from '../errors.ts';
import { quoteIdentifier, quoteLiteral, quoteTable } from './quote-sql.ts';

export interface TriggerTable {
  /** With its schema: `public.products`. */
  readonly table: string;
  /** What watches read of a row. */
  readonly columns: readonly string[];
}

export interface TriggerSqlOptions {
  readonly tables: readonly TriggerTable[];
  /** Begins the names of functions and triggers. Letters, digits and `_`. */
  readonly prefix: string;
  /** A statement with more rows is noted as a change of the whole table. */
  readonly maxRows: number;
  /**
   * PL/pgSQL that keeps a change. Sees `TG_OP`, `TG_TABLE_SCHEMA`, `TG_TABLE_NAME`, and `old_keys`, `new_keys`
   * (jsonb arrays of objects, or null) and `everything` (boolean).
   */
  readonly keep: string;
  /** Runs as the functions' owner, so that writers need no privileges of their own. */
  readonly searchPath?: string;
}

const names = { INSERT: 'insert', UPDATE: 'update', DELETE: 'delete', TRUNCATE: 'truncate' } as const;

/** The names of a table's triggers, which a check can look for. */
export function triggerNames(prefix: string): readonly string[] {
  return Object.values(names).map((name) => `${prefix}_${name}`);
}

/** Statements that can be run again: they replace what is there. Throws CacheConfigError. */
export function triggerSql(options: TriggerSqlOptions): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(options.prefix)) {
    throw new CacheConfigError('`prefix` takes 1 to 40 letters, digits and underscores.');
  }
  return options.tables.map((table) => tableSql(table, options)).join('\n');
}

function tableSql({ table, columns }: TriggerTable, options: TriggerSqlOptions): string {
  if (!/^[^.]+\.[^.]+$/.test(table))
    throw new CacheConfigError(`Table ${table} needs its schema: public.${table}.`);
  if (columns.length === 0)
    throw new CacheConfigError(`No column of ${table} is named: what should be noted of a row?`);
  const { prefix, keep, maxRows, searchPath = 'pg_catalog, pg_temp' } = options;
  const [schema] = table.split('.') as [string];
  const hash = createHash('sha1').update(table).digest('hex').slice(0, 12);
  const functionName = (op: string): string =>
    `${quoteIdentifier(schema)}.${quoteIdentifier(`${prefix}_${op}_${hash}`)}`;
  const on = quoteTable(table);
  const declared = columns.map(quoteLiteral).join(', ');
  return (Object.entries(names) as [keyof typeof names, string][])
    .map(([op, name]) => {
      const collected = [
        op === 'UPDATE' || op === 'DELETE' ? `old_keys := (${keysOf('old_rows', columns, maxRows)});` : '',
        op === 'UPDATE' || op === 'INSERT' ? `new_keys := (${keysOf('new_rows', columns, maxRows)});` : '',
      ].filter((line) => line !== '');
      const referencing = [
        op === 'UPDATE' || op === 'DELETE' ? 'OLD TABLE AS old_rows' : '',
        op === 'UPDATE' || op === 'INSERT' ? 'NEW TABLE AS new_rows' : '',
      ].filter((line) => line !== '');
      const trigger = quoteIdentifier(`${prefix}_${name}`);
      return `CREATE OR REPLACE FUNCTION ${functionName(name)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ${searchPath} SET "DateStyle" = 'ISO, MDY' AS $larder$
DECLARE
  old_keys jsonb;
  new_keys jsonb;
  everything boolean := ${op === 'TRUNCATE'};
BEGIN
  ${collected.join('\n  ')}
  IF coalesce(jsonb_array_length(old_keys), 0) + coalesce(jsonb_array_length(new_keys), 0) > ${maxRows} THEN
    everything := true;
  END IF;
  IF NOT everything AND old_keys IS NULL AND new_keys IS NULL THEN
    RETURN NULL;
  END IF;
  ${keep}
  RETURN NULL;
END $larder$;
DROP TRIGGER IF EXISTS ${trigger} ON ${on};
CREATE TRIGGER ${trigger} AFTER ${op} ON ${on}${referencing.length === 0 ? '' : `\n  REFERENCING ${referencing.join(' ')}`}
  FOR EACH STATEMENT EXECUTE FUNCTION ${functionName(name)}(${declared});
ALTER TABLE ${on} ENABLE ALWAYS TRIGGER ${trigger};
`;
    })
    .join('');
}

/** One row more than allowed is enough to know that there are too many. */
function keysOf(relation: string, columns: readonly string[], maxRows: number): string {
  const pairs = columns.map((column) => {
    const name = quoteIdentifier(column);
    return `${quoteLiteral(column)}, CASE WHEN r.${name} IS NULL THEN NULL ELSE format('%s', r.${name}) END`;
  });
  return (
    `SELECT jsonb_agg(k) FROM (SELECT DISTINCT jsonb_build_object(${pairs.join(', ')}) AS k ` +
    `FROM ${relation} r LIMIT ${maxRows + 1}) x`
  );
}
