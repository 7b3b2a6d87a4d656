/** What the database must be set up with, checked before streaming; each refusal holds the statement to run. */
import type pg from 'pg';
import { FeedConfigError } from '../errors.ts';
import { quoteIdentifier, quoteTable } from './quote-sql.ts';
import type { SourceTable } from './source.ts';

/**
 * Everything that `start` would refuse, each with the statement that mends it, and without changing anything.
 * For checks before a release; `client` may be any session on the primary.
 */
export async function setupProblems(
  client: pg.Client,
  { tables, publication }: { readonly tables: readonly SourceTable[]; readonly publication: string },
): Promise<readonly FeedConfigError[]> {
  const problems: FeedConfigError[] = [];
  const check = async (step: () => Promise<void>): Promise<void> => {
    await step().catch((error: unknown) => {
      if (!(error instanceof FeedConfigError)) throw error;
      problems.push(error);
    });
  };
  await check(() => requireLogical(client));
  for (const table of tables) await check(() => checkTables(client, [table]));
  await check(() => ensurePublication(client, { publication, tables, create: false }));
  return problems;
}

export async function requireLogical(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ wal_level: string }>('SHOW wal_level');
  if (rows[0]?.wal_level === 'logical') return;
  throw new FeedConfigError(
    "The database doesn't log changes for consumers: ALTER SYSTEM SET wal_level = 'logical', then restart it.",
  );
}

interface TableRow {
  readonly identity: string;
  readonly kind: string;
  readonly persistence: string;
  readonly partition: boolean;
  readonly columns: readonly string[];
  readonly known: readonly string[];
}

/**
 * Every watched table must exist and, unless it is append-only, have a replica identity with the columns that
 * watches read: else an update or a deletion wouldn't say which keys it concerns.
 */
export async function checkTables(client: pg.Client, tables: readonly SourceTable[]): Promise<void> {
  for (const { table, columns, appendOnly } of tables) {
    const { rows } = await client.query<TableRow>(
      `SELECT c.relreplident AS identity, c.relkind AS kind, c.relpersistence AS persistence,
              c.relispartition AS partition,
              ARRAY(SELECT a.attname::text FROM pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS known,
              ARRAY(SELECT a.attname::text FROM pg_index i
                      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
                     WHERE i.indrelid = c.oid
                       AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident
                           ELSE false END) AS columns
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2`,
      table.split('.'),
    );
    const [found] = rows;
    if (found === undefined) throw new FeedConfigError(`Table ${table} is watched but doesn't exist.`);
    if (!'rp'.includes(found.kind) || found.persistence !== 'p') {
      throw new FeedConfigError(
        `The log doesn't carry changes of ${table}: only ordinary logged tables can be watched.`,
      );
    }
    if (found.partition) {
      throw new FeedConfigError(
        `${table} is a partition: its changes are published as the partitioned table's; watch that.`,
      );
    }
    const unknown = columns.filter((column) => !found.known.includes(column));
    if (unknown.length > 0) {
      throw new FeedConfigError(
        `A watch on ${table} reads ${unknown.join(', ')}, which the table doesn't have.`,
      );
    }
    if (appendOnly || found.identity === 'f') continue;
    const missing = columns.filter((column) => !found.columns.includes(column));
    if (missing.length === 0 && found.columns.length > 0) continue;
    throw new FeedConfigError(
      `Updates and deletions of ${table} don't name ${missing.join(', ') || 'their rows'}, which a watch reads. ` +
        `Run: ALTER TABLE ${quoteTable(table)} REPLICA IDENTITY FULL; or, if its rows are only ever inserted, ` +
        'set `appendOnly: true` on the watch.',
    );
  }
}

export async function ensurePublication(
  client: pg.Client,
  options: {
    readonly publication: string;
    readonly tables: readonly SourceTable[];
    readonly create: boolean;
  },
): Promise<void> {
  const { publication, tables, create } = options;
  const name = quoteIdentifier(publication);
  const all = tables.map(({ table }) => quoteTable(table)).join(', ');
  const [found] = (
    await client.query<{ i: boolean; u: boolean; d: boolean; t: boolean; r: boolean }>(
      `SELECT pubinsert AS i, pubupdate AS u, pubdelete AS d, pubtruncate AS t, pubviaroot AS r
         FROM pg_publication WHERE pubname = $1`,
      [publication],
    )
  ).rows;
  if (found === undefined) {
    // Else changes of a partitioned table would carry the names of its partitions.
    const statement = `CREATE PUBLICATION ${name} FOR TABLE ${all} WITH (publish_via_partition_root = true)`;
    if (!create) throw new FeedConfigError(`Publication ${publication} doesn't exist. Run: ${statement};`);
    await client.query(statement);
    return;
  }
  if (!(found.i && found.u && found.d && found.t && found.r)) {
    throw new FeedConfigError(
      `Publication ${publication} leaves out some changes. Run: ALTER PUBLICATION ${name} ` +
        `SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);`,
    );
  }
  const published = await publishedTables(client, publication);
  for (const { table, columns } of tables) {
    const as = published.get(table);
    if (as === undefined) continue;
    const hidden = columns.filter((column) => as.columns !== undefined && !as.columns.includes(column));
    if (as.filtered || hidden.length > 0) {
      throw new FeedConfigError(
        `Publication ${publication} publishes ${table} ${as.filtered ? 'with a row filter' : `without ${hidden.join(', ')}`}: ` +
          'some changes would be missed. Publish the whole table, or use a publication of its own.',
      );
    }
  }
  const missing = tables.filter(({ table }) => !published.has(table)).map(({ table }) => quoteTable(table));
  if (missing.length === 0) return;
  const statement = `ALTER PUBLICATION ${name} ADD TABLE ${missing.join(', ')}`;
  if (!create)
    throw new FeedConfigError(`Publication ${publication} lacks watched tables. Run: ${statement};`);
  await client.query(statement);
}

interface PublishedTable {
  readonly filtered: boolean;
  /** undefined before PostgreSQL 15, which publishes all of them. */
  readonly columns: readonly string[] | undefined;
}

async function publishedTables(client: pg.Client, publication: string): Promise<Map<string, PublishedTable>> {
  interface Row {
    readonly schemaname: string;
    readonly tablename: string;
    readonly attnames?: readonly string[] | null;
    readonly rowfilter?: string | null;
  }
  const { rows } = await client.query<{ t: Row }>(
    'SELECT to_jsonb(t) AS t FROM pg_publication_tables t WHERE pubname = $1',
    [publication],
  );
  return new Map(
    rows.map(({ t }) => [
      `${t.schemaname}.${t.tablename}`,
      { filtered: (t.rowfilter ?? null) !== null, columns: t.attnames ?? undefined },
    ]),
  );
}
