/** The cache clusters' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { CacheCluster, CacheClusterIntent, CacheClusterStatus, CacheNode } from './cache-cluster.ts';

type Reader = Database | DatabaseTransaction;

/** One cluster by id, or every cluster in the order of their ids, after `afterId`. */
export async function readCacheClusters(
  database: Reader,
  filter: { readonly id?: string; readonly afterId?: string; readonly limit?: number } = {},
): Promise<CacheCluster[]> {
  let query = database
    .selectFrom('cache_cluster')
    .select(['id', 'intent', 'status', 'epoch', 'created_at'])
    .orderBy('id');
  if (filter.id !== undefined) query = query.where('id', '=', filter.id);
  if (filter.afterId !== undefined) query = query.where('id', '>', filter.afterId);
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  const clusters = await query.execute();
  if (clusters.length === 0) return [];
  const nodes = await database
    .selectFrom('cache_node')
    .select(['cluster_id', 'id', 'zone', 'address', 'status'])
    .where(
      'cluster_id',
      'in',
      clusters.map(({ id }) => id),
    )
    .orderBy('id')
    .execute();
  return clusters.map((row) => ({
    id: row.id,
    intent: JSON.parse(row.intent) as CacheClusterIntent,
    status: row.status as CacheClusterStatus,
    epoch: row.epoch,
    createdAtMs: row.created_at,
    nodes: nodes
      .filter((node) => node.cluster_id === row.id)
      .map(({ id, zone, address, status }) => ({ id, zone, address, status: status as CacheNode['status'] })),
  }));
}

export async function readCacheCluster(database: Reader, id: string): Promise<CacheCluster | undefined> {
  return (await readCacheClusters(database, { id }))[0];
}

export async function insertCacheCluster(
  transaction: DatabaseTransaction,
  cluster: CacheCluster,
): Promise<void> {
  await transaction
    .insertInto('cache_cluster')
    .values({
      id: cluster.id,
      intent: JSON.stringify(cluster.intent),
      status: cluster.status,
      epoch: cluster.epoch,
      created_at: cluster.createdAtMs,
    })
    .execute();
  await transaction
    .insertInto('cache_node')
    .values(cluster.nodes.map((node) => ({ ...node, cluster_id: cluster.id })))
    .execute();
}

/**
 * Changes the status if it is still `from`: a pass that began before a deletion was asked for must not undo it.
 * @returns whether it was.
 */
export async function changeStatus(
  transaction: DatabaseTransaction,
  id: string,
  { from, to }: { readonly from: CacheClusterStatus; readonly to: CacheClusterStatus },
): Promise<boolean> {
  const result = await transaction
    .updateTable('cache_cluster')
    .set({ status: to })
    .where('id', '=', id)
    .where('status', '=', from)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) return false;
  if (to === 'available') {
    await transaction.updateTable('cache_node').set({ status: to }).where('cluster_id', '=', id).execute();
  }
  return true;
}

export async function deleteCacheCluster(transaction: DatabaseTransaction, id: string): Promise<void> {
  await transaction.deleteFrom('cache_node').where('cluster_id', '=', id).execute();
  await transaction.deleteFrom('cache_cluster').where('id', '=', id).execute();
}
