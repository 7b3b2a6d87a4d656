/** The users' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { CacheUser, UserAuthentication, UserEngine } from './user.ts';

type Reader = Database | DatabaseTransaction;

/** In the order of their ids, those that are being deleted too. */
export async function readUsers(
  database: Reader,
  filter: { readonly ids?: readonly string[] } = {},
): Promise<CacheUser[]> {
  if (filter.ids?.length === 0) return [];
  let query = database.selectFrom('cache_user').selectAll().orderBy('id');
  if (filter.ids !== undefined) query = query.where('id', 'in', filter.ids);
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    userName: row.user_name,
    engine: row.engine as UserEngine,
    accessString: row.access_string,
    rules: JSON.parse(row.rules) as string[],
    authentication: row.authentication as UserAuthentication,
    passwordHashes: JSON.parse(row.password_hashes) as string[],
    minimumEngineVersion: row.minimum_engine_version,
    createdAtMs: row.created_at,
    ...(row.deleted_from !== null && { deletedFrom: JSON.parse(row.deleted_from) as string[] }),
  }));
}

export async function readUser(database: Reader, id: string): Promise<CacheUser | undefined> {
  return (await readUsers(database, { ids: [id] }))[0];
}

/** Writes it down, whether it is new or not. */
export async function saveUser(transaction: DatabaseTransaction, user: CacheUser): Promise<void> {
  const { id, ...row } = {
    id: user.id,
    user_name: user.userName,
    engine: user.engine,
    access_string: user.accessString,
    rules: JSON.stringify(user.rules),
    authentication: user.authentication,
    password_hashes: JSON.stringify(user.passwordHashes),
    minimum_engine_version: user.minimumEngineVersion,
    deleted_from: user.deletedFrom === undefined ? null : JSON.stringify(user.deletedFrom),
    created_at: user.createdAtMs,
  };
  await transaction
    .insertInto('cache_user')
    .values({ id, ...row })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
}

export async function removeUsers(transaction: DatabaseTransaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await transaction.deleteFrom('cache_user').where('id', 'in', ids).execute();
}
