/** What a MySQL or MariaDB server must be set up with; each refusal holds the statement to run. */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { FeedConfigError } from '../errors.ts';
import type { LogPlace } from './mysql-position.ts';
import type { SourceTable } from './source.ts';

export interface MysqlServer {
  readonly isMariadb: boolean;
  /** server_uuid, on MariaDB server_id and domain. */
  readonly identity: string;
}

export async function ask(
  connection: Connection,
  sql: string,
  values: readonly string[] = [],
): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>({ sql, timeout: 5_000, values: [...values] });
  return rows;
}

export async function describeServer(connection: Connection): Promise<MysqlServer> {
  const [row] = await ask(connection, 'SELECT version() AS version');
  const isMariadb = /mariadb/i.test(String(row!.version));
  const [id] = await ask(
    connection,
    isMariadb
      ? "SELECT CONCAT(@@global.server_id, '-', @@global.gtid_domain_id) AS identity"
      : 'SELECT @@global.server_uuid AS identity',
  );
  return { isMariadb, identity: `${isMariadb ? 'mariadb' : 'mysql'} ${String(id!.identity)}` };
}

/** Throws FeedConfigError for a log that doesn't say exactly which rows changed. */
export async function requireRowLog(connection: Connection, { isMariadb }: MysqlServer): Promise<void> {
  const rows = await ask(
    connection,
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', " +
      "'binlog_row_metadata', 'gtid_mode', 'binlog_transaction_compression', 'binlog_order_commits')",
  );
  const value = new Map(rows.map((row) => [String(row.Variable_name), String(row.Value).toUpperCase()]));
  const need = (name: string, wanted: string, mend = `SET PERSIST ${name} = ${wanted};`): void => {
    const found = value.get(name);
    if (found === wanted) return;
    const statement = isMariadb ? mend.replace('SET PERSIST', 'SET GLOBAL') : mend;
    throw new FeedConfigError(
      `${name} is ${found ?? 'not known here'}, and must be ${wanted}. Run: ${statement}`,
    );
  };
  need('log_bin', 'ON', 'nothing; set log_bin in the configuration and restart the server.');
  need('binlog_format', 'ROW');
  need('binlog_row_image', 'FULL');
  // Else columns would be named by what the table looks like now, not when the row was logged.
  need('binlog_row_metadata', 'FULL');
  if (isMariadb) return;
  need(
    'gtid_mode',
    'ON',
    'nothing at once; it is turned on in steps: see MySQL\'s "Enabling GTID Transactions Online".',
  );
  if (value.get('binlog_transaction_compression') === 'ON') need('binlog_transaction_compression', 'OFF');
  if (value.has('binlog_order_commits')) need('binlog_order_commits', 'ON');
}

export async function requireTables(connection: Connection, tables: readonly SourceTable[]): Promise<void> {
  for (const { table, columns } of tables) {
    const [schema = '', name = ''] = table.split('.');
    const rows = await ask(
      connection,
      'SELECT column_name AS name FROM information_schema.columns WHERE table_schema = ? AND table_name = ?',
      [schema, name],
    );
    if (rows.length === 0)
      throw new FeedConfigError(
        `Table ${table} is watched but doesn't exist, or may not be seen. Run: GRANT SELECT ON ${table} TO …;`,
      );
    const known = rows.map((row) => String(row.name));
    const missing = columns.filter((column) => !known.includes(column));
    if (missing.length > 0)
      throw new FeedConfigError(
        `A watch on ${table} reads ${missing.join(', ')}, which the table doesn't have.`,
      );
  }
}

export async function logFiles(
  connection: Connection,
): Promise<{ readonly name: string; readonly sizeBytes: number }[]> {
  const rows = await ask(connection, 'SHOW BINARY LOGS');
  return rows.map((row) => ({ name: String(row.Log_name), sizeBytes: Number(row.File_size) }));
}

/** Where the log ends now: at or beyond everything whose COMMIT has returned. */
export async function endOfLog(connection: Connection, { isMariadb }: MysqlServer): Promise<LogPlace> {
  const rows = isMariadb
    ? await ask(connection, 'SHOW MASTER STATUS')
    : await ask(connection, 'SHOW BINARY LOG STATUS').catch(() => ask(connection, 'SHOW MASTER STATUS'));
  const [row] = rows;
  if (row === undefined) throw new Error('The server does not say where its binary log ends.');
  return { file: String(row.File), offset: Number(row.Position) };
}

/** MariaDB: the place in the log that a new snapshot of the engine corresponds to, exactly. */
export async function snapshotPlace(connection: Connection): Promise<LogPlace> {
  await ask(connection, 'START TRANSACTION WITH CONSISTENT SNAPSHOT');
  try {
    const rows = await ask(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'");
    const value = new Map(rows.map((row) => [String(row.Variable_name).toLowerCase(), String(row.Value)]));
    return {
      file: value.get('binlog_snapshot_file') ?? '',
      offset: Number(value.get('binlog_snapshot_position')),
    };
  } finally {
    await ask(connection, 'COMMIT');
  }
}
