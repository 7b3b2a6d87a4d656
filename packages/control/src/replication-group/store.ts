/** The replication groups' SQL. */
import type { SlotRange } from '@larder/engine/slots';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type {
  Member,
  MemberStatus,
  NodeGroup,
  ReplicationGroup,
  ReplicationGroupIntent,
  ReplicationGroupStatus,
} from './replication-group.ts';

type Reader = Database | DatabaseTransaction;

/** One group by id, or every group in the order of their ids, after `afterId`. */
export async function readReplicationGroups(
  database: Reader,
  filter: { readonly id?: string; readonly afterId?: string; readonly limit?: number } = {},
): Promise<ReplicationGroup[]> {
  let query = database
    .selectFrom('replication_group')
    .select(['id', 'intent', 'status', 'epoch', 'configuration_address', 'created_at'])
    .orderBy('id');
  if (filter.id !== undefined) query = query.where('id', '=', filter.id);
  if (filter.afterId !== undefined) query = query.where('id', '>', filter.afterId);
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  const groups = await query.execute();
  const ids = groups.map(({ id }) => id);
  if (ids.length === 0) return [];

  const nodeGroups = await database
    .selectFrom('node_group')
    .select(['group_id', 'id', 'primary_member', 'slots', 'primary_address', 'reader_address'])
    .select(['formed', 'lineage'])
    .where('group_id', 'in', ids)
    .orderBy('id')
    .execute();
  const members = await database
    .selectFrom('member')
    .select(['id', 'group_id', 'node_group_id', 'zone', 'address', 'status'])
    .where('group_id', 'in', ids)
    .orderBy('ordinal')
    .execute();

  return groups.map((row) => ({
    id: row.id,
    intent: JSON.parse(row.intent) as ReplicationGroupIntent,
    status: row.status as ReplicationGroupStatus,
    epoch: row.epoch,
    createdAtMs: row.created_at,
    ...(row.configuration_address !== null && { configurationAddress: row.configuration_address }),
    nodeGroups: nodeGroups
      .filter((each) => each.group_id === row.id)
      .map(
        (each): NodeGroup => ({
          id: each.id,
          slots: JSON.parse(each.slots) as SlotRange[],
          primary: each.primary_member,
          formed: each.formed === 1,
          ...(each.primary_address !== null && { primaryAddress: each.primary_address }),
          ...(each.reader_address !== null && { readerAddress: each.reader_address }),
          ...(each.lineage !== null && { lineage: each.lineage }),
          members: members
            .filter((member) => member.group_id === row.id && member.node_group_id === each.id)
            .map(
              (member): Member => ({
                id: member.id,
                zone: member.zone,
                address: member.address,
                status: member.status as MemberStatus,
              }),
            ),
        }),
      ),
  }));
}

export async function readReplicationGroup(
  database: Reader,
  id: string,
): Promise<ReplicationGroup | undefined> {
  return (await readReplicationGroups(database, { id }))[0];
}

export async function insertReplicationGroup(
  transaction: DatabaseTransaction,
  group: ReplicationGroup,
): Promise<void> {
  await transaction
    .insertInto('replication_group')
    .values({
      id: group.id,
      intent: JSON.stringify(group.intent),
      status: group.status,
      epoch: group.epoch,
      configuration_address: group.configurationAddress ?? null,
      created_at: group.createdAtMs,
    })
    .execute();
  for (const nodeGroup of group.nodeGroups) {
    await transaction
      .insertInto('node_group')
      .values({
        group_id: group.id,
        id: nodeGroup.id,
        primary_member: nodeGroup.primary,
        slots: JSON.stringify(nodeGroup.slots),
        primary_address: nodeGroup.primaryAddress ?? null,
        reader_address: nodeGroup.readerAddress ?? null,
        formed: nodeGroup.formed ? 1 : 0,
        lineage: nodeGroup.lineage ?? null,
      })
      .execute();
    await transaction
      .insertInto('member')
      .values(
        nodeGroup.members.map((member, index) => ({
          id: member.id,
          group_id: group.id,
          node_group_id: nodeGroup.id,
          ordinal: index,
          zone: member.zone,
          address: member.address,
          status: member.status,
        })),
      )
      .execute();
  }
}

/**
 * Changes the status if it is still `from`: a pass that began before a deletion was asked for must not undo it.
 * @returns whether it was.
 */
export async function changeStatus(
  transaction: DatabaseTransaction,
  id: string,
  { from, to }: { readonly from: ReplicationGroupStatus; readonly to: ReplicationGroupStatus },
): Promise<boolean> {
  const result = await transaction
    .updateTable('replication_group')
    .set({ status: to })
    .where('id', '=', id)
    .where('status', '=', from)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/**
 * Where the epochs of a new group begin. Hosts refuse orders of an epoch they are past, also for a group that
 * was deleted and made anew under its name.
 */
export async function firstEpoch(transaction: DatabaseTransaction, id: string): Promise<number> {
  const retired = await transaction
    .selectFrom('retired_epoch')
    .select('epoch')
    .where('group_id', '=', id)
    .executeTakeFirst();
  return (retired?.epoch ?? 0) + 1;
}

/** Writes down a new primary under the next epoch. @returns that epoch. */
export async function decidePrimary(
  transaction: DatabaseTransaction,
  group: ReplicationGroup,
  nodeGroupId: string,
  member: string,
): Promise<number> {
  const epoch = group.epoch + 1;
  const result = await transaction
    .updateTable('replication_group')
    .set({ epoch })
    .where('id', '=', group.id)
    .where('epoch', '=', group.epoch)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) throw new Error(`The epoch of ${group.id} is no longer ${group.epoch}.`);
  await transaction
    .updateTable('node_group')
    .set({ primary_member: member })
    .where('group_id', '=', group.id)
    .where('id', '=', nodeGroupId)
    .execute();
  return epoch;
}

export async function setLineage(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
  lineage: string,
): Promise<void> {
  await transaction
    .updateTable('node_group')
    .set({ lineage })
    .where('group_id', '=', groupId)
    .where('id', '=', nodeGroupId)
    .execute();
}

/** Every shard was in sync and every member serves. */
export async function markFormed(transaction: DatabaseTransaction, groupId: string): Promise<void> {
  await transaction.updateTable('node_group').set({ formed: 1 }).where('group_id', '=', groupId).execute();
  await transaction
    .updateTable('member')
    .set({ status: 'available' })
    .where('group_id', '=', groupId)
    .execute();
}

export async function deleteReplicationGroup(
  transaction: DatabaseTransaction,
  { id, epoch }: Pick<ReplicationGroup, 'id' | 'epoch'>,
): Promise<void> {
  await transaction
    .insertInto('retired_epoch')
    .values({ group_id: id, epoch })
    .onConflict((conflict) => conflict.column('group_id').doUpdateSet({ epoch }))
    .execute();
  // Children first: SQLite checks foreign keys per connection, and a restored file may have been opened without.
  await transaction.deleteFrom('member').where('group_id', '=', id).execute();
  await transaction.deleteFrom('node_group').where('group_id', '=', id).execute();
  await transaction.deleteFrom('replication_group').where('id', '=', id).execute();
}
