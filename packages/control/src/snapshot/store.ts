/** The snapshots' SQL. */
import { sql } from 'kysely';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { Origin, Snapshot, SnapshotSettings, SnapshotShard, SnapshotStatus } from './snapshot.ts';

type Reader = Database | DatabaseTransaction;

/** All of them, or those of one origin, in the order of their names. */
export async function readSnapshots(
  database: Reader,
  filter: { readonly name?: string; readonly origin?: Pick<Origin, 'resource' | 'id'> } = {},
): Promise<Snapshot[]> {
  let query = database.selectFrom('snapshot').selectAll().orderBy('name');
  if (filter.name !== undefined) query = query.where('name', '=', filter.name);
  if (filter.origin !== undefined) {
    query = query
      .where('origin_resource', '=', filter.origin.resource)
      .where('origin_id', '=', filter.origin.id);
  }
  const rows = await query.execute();
  return rows.map(
    (row): Snapshot => ({
      name: row.name,
      status: row.status as SnapshotStatus,
      kind: row.kind as Snapshot['kind'],
      origin: {
        resource: row.origin_resource as Origin['resource'],
        id: row.origin_id,
        ...(row.origin_member !== null && { member: row.origin_member }),
      },
      final: row.final === 1,
      createdAtMs: row.created_at,
      progressAtMs: row.progress_at,
      attempts: row.attempts,
      ...(row.trouble !== null && { trouble: row.trouble }),
      ...(row.copied_from !== null && { copiedFrom: row.copied_from }),
      settings: JSON.parse(row.settings) as SnapshotSettings,
      shards: JSON.parse(row.shards) as SnapshotShard[],
    }),
  );
}

export async function readSnapshot(database: Reader, name: string): Promise<Snapshot | undefined> {
  return (await readSnapshots(database, { name }))[0];
}

export async function insertSnapshot(transaction: DatabaseTransaction, snapshot: Snapshot): Promise<void> {
  await transaction
    .insertInto('snapshot')
    .values({
      name: snapshot.name,
      status: snapshot.status,
      kind: snapshot.kind,
      origin_resource: snapshot.origin.resource,
      origin_id: snapshot.origin.id,
      origin_member: snapshot.origin.member ?? null,
      final: snapshot.final ? 1 : 0,
      created_at: snapshot.createdAtMs,
      progress_at: snapshot.progressAtMs,
      attempts: snapshot.attempts,
      trouble: null,
      copied_from: snapshot.copiedFrom ?? null,
      settings: JSON.stringify(snapshot.settings),
      shards: JSON.stringify(snapshot.shards),
    })
    .execute();
}

/** @returns whether it was still `from`. */
export async function changeStatus(
  transaction: DatabaseTransaction,
  name: string,
  { from, to }: { readonly from: SnapshotStatus; readonly to: SnapshotStatus },
): Promise<boolean> {
  const result = await transaction
    .updateTable('snapshot')
    .set({ status: to })
    .where('name', '=', name)
    .where('status', '=', from)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

export async function writeShards(
  database: Reader,
  name: string,
  shards: readonly SnapshotShard[],
  progressAtMs: number,
): Promise<void> {
  await database
    .updateTable('snapshot')
    .set({ shards: JSON.stringify(shards), progress_at: progressAtMs })
    .where('name', '=', name)
    .execute();
}

export async function writeTrouble(
  database: Reader,
  name: string,
  { trouble, attempts }: { readonly trouble: string; readonly attempts: number },
): Promise<void> {
  await database.updateTable('snapshot').set({ trouble, attempts }).where('name', '=', name).execute();
}

export async function removeSnapshot(transaction: DatabaseTransaction, name: string): Promise<void> {
  await transaction.deleteFrom('snapshot').where('name', '=', name).execute();
}

/** Names of the snapshots from which something is being made now. */
export async function restoringNames(database: Reader): Promise<Set<string>> {
  const named = sql<string | null>`intent ->> 'restoreFrom'`.as('name');
  const groups = await database
    .selectFrom('replication_group')
    .select(named)
    .where('status', '=', 'creating')
    .execute();
  const clusters = await database
    .selectFrom('cache_cluster')
    .select(named)
    .where('status', '=', 'creating')
    .execute();
  return new Set([...groups, ...clusters].flatMap(({ name }) => (name === null ? [] : [name])));
}
