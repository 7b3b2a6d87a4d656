/** The exports' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { ExportStatus, SnapshotExport } from './snapshot-export.ts';

type Reader = Database | DatabaseTransaction;

export async function readExports(
  database: Reader,
  filter: { readonly id?: string; readonly source?: string } = {},
): Promise<SnapshotExport[]> {
  let query = database.selectFrom('snapshot_export').selectAll().orderBy('id');
  if (filter.id !== undefined) query = query.where('id', '=', filter.id);
  if (filter.source !== undefined) query = query.where('source', '=', filter.source);
  return (await query.execute()).map((row) => ({
    id: row.id,
    bucket: row.bucket,
    name: row.name,
    source: row.source,
    status: row.status as ExportStatus,
    attempts: row.attempts,
    retryAtMs: row.retry_at,
    shards: JSON.parse(row.shards) as SnapshotExport['shards'],
  }));
}

/** Names of the snapshots that are being exported. */
export async function exportingNames(database: Reader): Promise<Set<string>> {
  const found = await readExports(database);
  return new Set(found.filter(({ status }) => status === 'exporting').map(({ source }) => source));
}

export async function insertExport(transaction: DatabaseTransaction, made: SnapshotExport): Promise<void> {
  await transaction
    .insertInto('snapshot_export')
    .values({
      id: made.id,
      bucket: made.bucket,
      name: made.name,
      source: made.source,
      status: made.status,
      attempts: made.attempts,
      retry_at: made.retryAtMs,
      shards: JSON.stringify(made.shards),
    })
    .execute();
}

export async function updateExport(
  database: Reader,
  id: string,
  change: Partial<Pick<SnapshotExport, 'status' | 'attempts' | 'retryAtMs' | 'shards'>>,
): Promise<void> {
  await database
    .updateTable('snapshot_export')
    .set({
      ...(change.status !== undefined && { status: change.status }),
      ...(change.attempts !== undefined && { attempts: change.attempts }),
      ...(change.retryAtMs !== undefined && { retry_at: change.retryAtMs }),
      ...(change.shards !== undefined && { shards: JSON.stringify(change.shards) }),
    })
    .where('id', '=', id)
    .execute();
}

export async function removeExport(transaction: Reader, id: string): Promise<void> {
  await transaction.deleteFrom('snapshot_export').where('id', '=', id).execute();
}
