/** Asks a database what the doctor wants to know. Changes nothing. */
import { type PostgresConnection, setupProblems } from '@larder/cache/postgres';
import pg from 'pg';
import { type Finding, type PostgresFacts, postgresFindings, type SlotFacts } from './findings.ts';

export interface WatchedTable {
  readonly table: string;
  readonly columns: readonly string[];
  readonly appendOnly: boolean;
}

export interface Examination {
  readonly connection: PostgresConnection;
  readonly slot: string;
  readonly publication: string;
  readonly tables: readonly WatchedTable[];
}

const timeoutMs = 5_000;

export async function examinePostgres(examination: Examination): Promise<Finding[]> {
  const client = new pg.Client({
    ...examination.connection,
    application_name: 'larder doctor',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    const { host, port } = examination.connection;
    const message = `The database at ${host}:${port} can't be reached: ${(error as Error).message}`;
    return [{ check: 'connection', level: 'error', message }];
  }
  try {
    return [
      { check: 'connection', level: 'ok', message: 'The database answers.' },
      ...postgresFindings(await factsOf(client, examination), examination.slot),
    ];
  } finally {
    await client.end().catch(() => {});
  }
}

async function factsOf(client: pg.Client, examination: Examination): Promise<PostgresFacts> {
  const { rows } = await client.query<Omit<PostgresFacts, 'slot' | 'refusals'>>(
    `SELECT current_setting('server_version_num')::int AS "versionNumber",
            pg_is_in_recovery() AS "inRecovery",
            current_setting('wal_level') AS "walLevel",
            (SELECT setting::float8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS "slotKeepMb",
            current_setting('synchronous_commit') AS "synchronousCommit",
            current_setting('max_replication_slots')::int - (SELECT count(*)::int FROM pg_replication_slots) AS "freeSlots",
            current_user::text AS "user",
            r.rolsuper AS "isSuperuser",
            r.rolreplication OR EXISTS (
              SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(current_user, g.oid, 'MEMBER')
            ) AS "mayReplicate",
            EXISTS (SELECT FROM pg_roles g WHERE g.rolname = 'rds_superuser') AS "onRds"
       FROM pg_roles r WHERE r.rolname = current_user`,
  );
  const { rows: slots } = await client.query<SlotFacts>(
    `SELECT plugin::text, active, wal_status AS "walStatus",
            CASE WHEN pg_is_in_recovery() THEN 0
                 ELSE coalesce(pg_current_wal_lsn() - confirmed_flush_lsn, 0)::float8 END AS "lagBytes"
       FROM pg_replication_slots WHERE slot_name = $1`,
    [examination.slot],
  );
  const problems = examination.tables.length === 0 ? [] : await setupProblems(client, examination);
  return { ...rows[0]!, slot: slots[0], refusals: problems.map(({ message }) => message) };
}
