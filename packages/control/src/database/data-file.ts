/** Files of data beside the state: a commit in them does not wait for the disk, and one process has them open. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, SqliteDialect } from 'kysely';
import SqliteFile from 'libsql';

/**
 * A kill loses nothing of it; a power cut may lose the last moments.
 * @param statements run in order.
 */
export function connectDataFile<Tables>(file: string, statements: readonly string[]): Kysely<Tables> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const sqlite = new SqliteFile(file);
  try {
    sqlite.exec('PRAGMA locking_mode = EXCLUSIVE');
    sqlite.exec('PRAGMA journal_mode = WAL');
    sqlite.exec('PRAGMA synchronous = NORMAL');
    for (const statement of statements) sqlite.exec(statement);
  } catch (error) {
    sqlite.close();
    throw error;
  }
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) });
}
