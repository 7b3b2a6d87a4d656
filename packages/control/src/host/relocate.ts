/**
 * Gives the nodes of a lost host places on others: under their names, with new addresses, and without their data, which
 * replicas get from their primary. Only for a host whose lease has run out: what may still run there takes no writes.
 */
import { cacheNodeIdOf } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { Place, Seat } from '../placement/placement.ts';

export type RelocateContext = Pick<ControlContext, 'database' | 'placement' | 'nowMs' | 'wake'>;

/**
 * @param which `replicas`: those of shards whose primary is elsewhere, so that nothing is lost by it.
 * @returns the cache clusters whose nodes have new places.
 * @throws ServiceError InsufficientCacheClusterCapacityFault when no other host has room; then nothing was changed.
 */
export async function relocateNodes(
  context: RelocateContext,
  host: string,
  which: 'replicas' | 'all',
): Promise<string[]> {
  const moved = await context.database.transaction().execute(async (transaction) => {
    const members = await moveMembers(context, transaction, host, which);
    return which === 'all' ? [...members, ...(await moveCacheNodes(context, transaction, host))] : members;
  });
  for (const { resource, id } of moved) context.wake(resource, id);
  return moved.map(({ cluster }) => cluster);
}

interface Moved {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
  readonly cluster: string;
}

async function moveMembers(
  context: RelocateContext,
  transaction: DatabaseTransaction,
  host: string,
  which: 'replicas' | 'all',
): Promise<Moved[]> {
  const rows = await transaction
    .selectFrom('member')
    .innerJoin('node_group', (join) =>
      join
        .onRef('node_group.group_id', '=', 'member.group_id')
        .onRef('node_group.id', '=', 'member.node_group_id'),
    )
    .innerJoin('replication_group', 'replication_group.id', 'member.group_id')
    .select(['member.id', 'member.zone', 'member.group_id', 'member.node_group_id'])
    .select(['node_group.primary_member', 'replication_group.intent'])
    .where('member.host', '=', host)
    .where('member.status', '!=', 'deleting')
    .execute();
  const moved: Moved[] = [];
  for (const row of rows) {
    if (which === 'replicas' && row.primary_member === row.id) continue;
    const copies = await transaction
      .selectFrom('member')
      .select('host')
      .where('group_id', '=', row.group_id)
      .where('node_group_id', '=', row.node_group_id)
      .where('id', '!=', row.id)
      .execute();
    const { port } = JSON.parse(row.intent) as { port: number };
    const place = await newPlace(context, transaction, {
      resource: 'replication-group',
      port,
      owner: `${row.group_id}/${row.id}`,
      zone: row.zone,
      apartFrom: copies.map((each) => each.host),
    });
    await transaction
      .updateTable('member')
      .set({ ...place, recovering: 1 })
      .where('id', '=', row.id)
      .execute();
    await tell(context, transaction, row.id, host, place);
    moved.push({ resource: 'replication-group', id: row.group_id, cluster: row.id });
  }
  return moved;
}

async function moveCacheNodes(
  context: RelocateContext,
  transaction: DatabaseTransaction,
  host: string,
): Promise<Moved[]> {
  const rows = await transaction
    .selectFrom('cache_node')
    .innerJoin('cache_cluster', 'cache_cluster.id', 'cache_node.cluster_id')
    .select(['cache_node.id', 'cache_node.zone', 'cache_node.cluster_id', 'cache_cluster.intent'])
    .where('cache_node.host', '=', host)
    .execute();
  const moved: Moved[] = [];
  for (const { id, zone, cluster_id, intent } of rows) {
    const { port } = JSON.parse(intent) as { port: number };
    const owner = `${cluster_id}/${id}`;
    const place = await newPlace(context, transaction, { resource: 'cache-cluster', port, owner, zone });
    await transaction
      .updateTable('cache_node')
      .set({ ...place })
      .where('cluster_id', '=', cluster_id)
      .where('id', '=', id)
      .execute();
    // Clients learn of the new address.
    await transaction
      .updateTable('cache_cluster')
      .set(({ eb }) => ({ config_version: eb('config_version', '+', 1) }))
      .where('id', '=', cluster_id)
      .execute();
    await tell(context, transaction, cluster_id, host, place);
    moved.push({ resource: 'cache-cluster', id: cluster_id, cluster: cluster_id });
  }
  return moved;
}

async function newPlace(
  { placement }: RelocateContext,
  transaction: DatabaseTransaction,
  { resource, port, ...seat }: Seat & { resource: Moved['resource']; port: number },
): Promise<Place> {
  await transaction.deleteFrom('address').where('owner', '=', `${resource}:${seat.owner}`).execute();
  // Its own zone, unless no host of it is left.
  const [zone] = placement.zones([seat.zone!]);
  const places = await placement
    .take(transaction, { port, resource, seats: [{ ...seat, zone: zone! }] })
    .catch(() => undefined);
  return (places ?? (await takeAnywhere())).get(seat.owner)!;

  async function takeAnywhere() {
    const [other] = placement.zones(await zonesOfHosts(transaction));
    return placement.take(transaction, { port, resource, seats: [{ ...seat, zone: other ?? seat.zone! }] });
  }
}

async function zonesOfHosts(transaction: DatabaseTransaction): Promise<string[]> {
  const rows = await transaction.selectFrom('host').select('zone').distinct().orderBy('zone').execute();
  return rows.map(({ zone }) => zone);
}

async function tell(
  { nowMs }: RelocateContext,
  transaction: DatabaseTransaction,
  cluster: string,
  from: string,
  to: Place,
): Promise<void> {
  const event = {
    atMs: nowMs(),
    sourceType: 'cache-cluster' as const,
    sourceId: cluster,
    message: `Recovering cache nodes ${cacheNodeIdOf(1)}: host ${from} is lost, it is made anew on ${to.host}`,
  };
  await recordEvent(transaction, event, 'CacheNodeReplaceStarted');
}
