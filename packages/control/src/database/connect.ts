/** Opens the state. One process at a time: the file stays locked while it is open, and a kill -9 unlocks it. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, SqliteDialect, type Transaction } from 'kysely';
import SqliteFile from 'libsql';
import { createTables, type Tables } from './tables.ts';

export type Database = Kysely<Tables>;
export type DatabaseTransaction = Transaction<Tables>;

export class StateInUse extends Error {
  override name = 'StateInUse';
}

/**
 * @param file created when missing, with its folder.
 * @throws StateInUse when another service has it open: two deciders are worse than none.
 */
export function connectDatabase(file: string): Database {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const sqlite = new SqliteFile(file);
  try {
    sqlite.exec('PRAGMA locking_mode = EXCLUSIVE');
    sqlite.exec('PRAGMA journal_mode = WAL');
    // An acknowledged intent must survive a power cut: every commit waits for the disk.
    sqlite.exec('PRAGMA synchronous = FULL');
    sqlite.exec('PRAGMA foreign_keys = ON');
    for (const statement of createTables('sqlite')) sqlite.exec(statement);
  } catch (error) {
    sqlite.close();
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
    throw new StateInUse(
      `Another Larder service has ${file} open. Stop it, or give this one a data directory of its own with --data-dir.`,
      { cause: error },
    );
  }
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) });
}
