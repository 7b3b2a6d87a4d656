/** The cache clusters' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { PendingChange } from '../node/service-intent.ts';
import type { ParameterStatus } from '../node/wanted-node.ts';
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
    .select(['pending', 'configuration_address', 'config_version', 'final_snapshot'])
    .orderBy('id');
  if (filter.id !== undefined) query = query.where('id', '=', filter.id);
  if (filter.afterId !== undefined) query = query.where('id', '>', filter.afterId);
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  const clusters = await query.execute();
  if (clusters.length === 0) return [];
  const nodes = await database
    .selectFrom('cache_node')
    .select(['cluster_id', 'id', 'zone', 'host', 'address', 'status'])
    .select(['generation', 'parameter_status', 'created_at'])
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
    configVersion: row.config_version,
    ...(row.final_snapshot !== null && { finalSnapshot: row.final_snapshot }),
    ...(row.pending !== null && { pending: JSON.parse(row.pending) as PendingChange }),
    ...(row.configuration_address !== null && { configurationAddress: row.configuration_address }),
    nodes: nodes
      .filter((node) => node.cluster_id === row.id)
      .map(
        (node): CacheNode => ({
          id: node.id,
          zone: node.zone,
          host: node.host,
          address: node.address,
          status: node.status as CacheNode['status'],
          generation: node.generation,
          parameterStatus: node.parameter_status as ParameterStatus,
          createdAtMs: node.created_at,
        }),
      ),
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
      pending: cluster.pending === undefined ? null : JSON.stringify(cluster.pending),
      configuration_address: cluster.configurationAddress ?? null,
      config_version: cluster.configVersion,
    })
    .execute();
  await insertNodes(transaction, cluster.id, cluster.nodes);
}

export async function insertNodes(
  transaction: DatabaseTransaction,
  clusterId: string,
  nodes: readonly CacheNode[],
): Promise<void> {
  await transaction
    .insertInto('cache_node')
    .values(
      nodes.map((node) => ({
        cluster_id: clusterId,
        id: node.id,
        zone: node.zone,
        host: node.host,
        address: node.address,
        status: node.status,
        generation: node.generation,
        parameter_status: node.parameterStatus,
        created_at: node.createdAtMs,
      })),
    )
    .execute();
}

export async function deleteNode(
  transaction: DatabaseTransaction,
  clusterId: string,
  nodeId: string,
): Promise<void> {
  await transaction
    .deleteFrom('cache_node')
    .where('cluster_id', '=', clusterId)
    .where('id', '=', nodeId)
    .execute();
  await transaction
    .deleteFrom('address')
    .where('owner', '=', `cache-cluster:${clusterId}/${nodeId}`)
    .execute();
}

/** Writes down what is asked for now, in the transaction that read it. */
export async function writeIntent(
  transaction: DatabaseTransaction,
  { id, intent, pending }: Pick<CacheCluster, 'id' | 'intent' | 'pending'>,
): Promise<void> {
  await transaction
    .updateTable('cache_cluster')
    .set({ intent: JSON.stringify(intent), pending: pending === undefined ? null : JSON.stringify(pending) })
    .where('id', '=', id)
    .execute();
}

/** What the deletion waits for; nothing any more when undefined. */
export async function setFinalSnapshot(
  transaction: DatabaseTransaction,
  clusterId: string,
  name: string | undefined,
): Promise<void> {
  await transaction
    .updateTable('cache_cluster')
    .set({ final_snapshot: name ?? null })
    .where('id', '=', clusterId)
    .execute();
}

/** Clients that poll the configuration endpoint take a list of nodes on when its number is higher. */
export async function raiseConfigVersion(transaction: DatabaseTransaction, clusterId: string): Promise<void> {
  await transaction
    .updateTable('cache_cluster')
    .set(({ eb }) => ({ config_version: eb('config_version', '+', 1) }))
    .where('id', '=', clusterId)
    .execute();
}

export async function setNodeStatus(
  transaction: DatabaseTransaction,
  clusterId: string,
  nodeIds: readonly string[],
  status: CacheNode['status'],
): Promise<void> {
  await transaction
    .updateTable('cache_node')
    .set({ status })
    .where('cluster_id', '=', clusterId)
    .where('id', 'in', nodeIds)
    .execute();
}

export async function setNodesAvailable(transaction: DatabaseTransaction, clusterId: string): Promise<void> {
  await transaction
    .updateTable('cache_node')
    .set({ status: 'available' })
    .where('cluster_id', '=', clusterId)
    .where('status', '!=', 'deleting')
    .execute();
}

export async function setParameterStatus(
  transaction: DatabaseTransaction,
  clusterId: string,
  nodeId: string,
  status: ParameterStatus,
): Promise<void> {
  await transaction
    .updateTable('cache_node')
    .set({ parameter_status: status })
    .where('cluster_id', '=', clusterId)
    .where('id', '=', nodeId)
    .execute();
}

/** Asks for a new process of each: their next generation. */
export async function restartNodes(
  transaction: DatabaseTransaction,
  clusterId: string,
  nodeIds: readonly string[],
): Promise<void> {
  await transaction
    .updateTable('cache_node')
    .set(({ eb }) => ({ generation: eb('generation', '+', 1), status: 'rebooting' }))
    .where('cluster_id', '=', clusterId)
    .where('id', 'in', nodeIds)
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
  return result.numUpdatedRows === 1n;
}

export async function deleteCacheCluster(transaction: DatabaseTransaction, id: string): Promise<void> {
  await transaction.deleteFrom('cache_node').where('cluster_id', '=', id).execute();
  await transaction.deleteFrom('cache_cluster').where('id', '=', id).execute();
}
