/** PostgreSQL as the `database` of a cache, over a pool or a client of `pg` that the application has anyway. */
import type { TouchableDatabase } from './database.ts';
import { parseSnapshot } from './feed/snapshot.ts';
import { parseLsn } from './position.ts';

/** The part of `pg.Pool` and `pg.Client` that is used. */
export interface Queryable {
  query(text: string): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
}

/**
 * Must lead to the primary that the loaders read; a pooler in transaction mode is fine. Needs no privilege. Each
 * question is one short statement of its own; the pool's own errors are passed on.
 */
export function postgresDatabase(pool: Queryable): TouchableDatabase {
  async function ask(expression: string): Promise<string> {
    const { rows } = await pool.query(`SELECT (${expression})::text AS answer`);
    return String(rows[0]?.answer);
  }
  return {
    name: 'postgres',
    // What is inserted rather than flushed: a commit with synchronous_commit=off is acknowledged before its flush.
    position: async () => parseLsn(await ask('pg_current_wal_insert_lsn()')),
    barrier: async () => BigInt(await ask('pg_current_xact_id()')),
    // Needs PostgreSQL 14 and a feed by logical replication.
    message: async (transaction, prefix, content) => {
      await transaction.query('SELECT pg_logical_emit_message(true, $1, $2)', [prefix, content]);
    },
    numberOf: async (transaction) => {
      const { rows } = await transaction.query('SELECT pg_current_xact_id()::text AS answer');
      return BigInt(String(rows[0]?.answer));
    },
    oldestInProgress: async () => parseSnapshot(await ask('pg_current_snapshot()')).xmin,
  };
}
