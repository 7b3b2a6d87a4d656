/** The hosts' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { nodeIdOf } from '../replication-group/replication-group.ts';
import type { JoinedHost } from './joined-host.ts';

type Reader = Database | DatabaseTransaction;

/** In the order of their names. */
export async function readHosts(database: Reader): Promise<JoinedHost[]> {
  const rows = await database.selectFrom('host').selectAll().orderBy('name').execute();
  return rows.map(({ name, zone, url, addresses, joined_at, leaving }) => ({
    name,
    zone,
    url,
    addresses,
    joinedAtMs: joined_at,
    leaving: leaving === 1,
  }));
}

/** One that joined before under its name is what it says now. */
export async function writeHost(transaction: DatabaseTransaction, host: JoinedHost): Promise<void> {
  const values = {
    zone: host.zone,
    url: host.url,
    addresses: host.addresses,
    joined_at: host.joinedAtMs,
    leaving: host.leaving ? 1 : 0,
  };
  await transaction
    .insertInto('host')
    .values({ name: host.name, ...values })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
    .execute();
}

export async function setLeaving(transaction: DatabaseTransaction, name: string): Promise<void> {
  await transaction.updateTable('host').set({ leaving: 1 }).where('name', '=', name).execute();
}

export async function deleteHost(transaction: DatabaseTransaction, name: string): Promise<void> {
  await transaction.deleteFrom('host').where('name', '=', name).execute();
}

/** Nodes that stand there, as hosts name them. */
export async function nodesOnHost(database: Reader, name: string): Promise<string[]> {
  const members = await database.selectFrom('member').select('id').where('host', '=', name).execute();
  const nodes = await database
    .selectFrom('cache_node')
    .select(['cluster_id', 'id'])
    .where('host', '=', name)
    .execute();
  return [...members.map(nodeIdOf), ...nodes.map(({ cluster_id, id }) => `${cluster_id}.${id}`)];
}

/** Written when a token is made: its digest, and until when it is good. */
export async function insertJoinToken(
  transaction: DatabaseTransaction,
  token: { readonly digest: string; readonly expiresAtMs: number },
): Promise<void> {
  await transaction
    .insertInto('join_token')
    .values({ digest: token.digest, expires_at: token.expiresAtMs })
    .execute();
}

/** @returns whether there was one that is still good. It is used up. */
export async function useJoinToken(
  transaction: DatabaseTransaction,
  digest: string,
  nowMs: number,
): Promise<boolean> {
  await transaction.deleteFrom('join_token').where('expires_at', '<=', nowMs).execute();
  const result = await transaction.deleteFrom('join_token').where('digest', '=', digest).executeTakeFirst();
  return result.numDeletedRows > 0n;
}
