/** The replication groups' SQL. */
import type { SlotRange } from '@larder/engine/slots';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { PendingChange } from '../node/service-intent.ts';
import type { ParameterStatus } from '../node/wanted-node.ts';
import { forgetScaling } from '../scaling/store.ts';
import type {
  Handover,
  Member,
  MemberStatus,
  Migration,
  NodeGroup,
  ReplicationGroup,
  ReplicationGroupIntent,
  ReplicationGroupStatus,
  Resharding,
} from './replication-group.ts';

type Reader = Database | DatabaseTransaction;

export async function readReplicationGroupIds(database: Reader): Promise<string[]> {
  const rows = await database.selectFrom('replication_group').select('id').execute();
  return rows.map(({ id }) => id);
}

/** One group by id, or every group in the order of their ids, after `afterId`. */
export async function readReplicationGroups(
  database: Reader,
  filter: { readonly id?: string; readonly afterId?: string; readonly limit?: number } = {},
): Promise<ReplicationGroup[]> {
  let query = database
    .selectFrom('replication_group')
    .select(['id', 'intent', 'status', 'epoch', 'configuration_address', 'created_at'])
    .select(['pending', 'retain_primary', 'users_digest', 'final_snapshot', 'migration'])
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
    .select(['formed', 'lineage', 'handover', 'resharding'])
    .where('group_id', 'in', ids)
    .orderBy('id')
    .execute();
  const members = await database
    .selectFrom('member')
    .select(['id', 'group_id', 'node_group_id', 'zone', 'host', 'address', 'status'])
    .select(['generation', 'parameter_status', 'created_at', 'recovering'])
    .where('group_id', 'in', ids)
    .orderBy('ordinal')
    .execute();

  const nodeGroupsOf = groupedBy(nodeGroups, (each) => each.group_id);
  const membersOfShard = groupedBy(members, (each) => `${each.group_id} ${each.node_group_id}`);
  return groups.map((row) => ({
    id: row.id,
    intent: JSON.parse(row.intent) as ReplicationGroupIntent,
    status: row.status as ReplicationGroupStatus,
    epoch: row.epoch,
    createdAtMs: row.created_at,
    retainPrimary: row.retain_primary === 1,
    ...(row.users_digest !== null && { usersDigest: row.users_digest }),
    ...(row.migration !== null && { migration: JSON.parse(row.migration) as Migration }),
    ...(row.final_snapshot !== null && { finalSnapshot: row.final_snapshot }),
    ...(row.pending !== null && { pending: JSON.parse(row.pending) as PendingChange }),
    ...(row.configuration_address !== null && { configurationAddress: row.configuration_address }),
    nodeGroups: (nodeGroupsOf.get(row.id) ?? []).map(
      (each): NodeGroup => ({
        id: each.id,
        slots: JSON.parse(each.slots) as SlotRange[],
        primary: each.primary_member,
        formed: each.formed === 1,
        ...(each.primary_address !== null && { primaryAddress: each.primary_address }),
        ...(each.reader_address !== null && { readerAddress: each.reader_address }),
        ...(each.lineage !== null && { lineage: each.lineage }),
        ...(each.handover !== null && { handover: JSON.parse(each.handover) as Handover }),
        ...(each.resharding !== null && { resharding: JSON.parse(each.resharding) as Resharding }),
        members: (membersOfShard.get(`${row.id} ${each.id}`) ?? []).map(
          (member): Member => ({
            id: member.id,
            zone: member.zone,
            host: member.host,
            address: member.address,
            status: member.status as MemberStatus,
            generation: member.generation,
            parameterStatus: member.parameter_status as ParameterStatus,
            createdAtMs: member.created_at,
            recovering: member.recovering === 1,
          }),
        ),
      }),
    ),
  }));
}

/** In the order they come. */
function groupedBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
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
      pending: group.pending === undefined ? null : JSON.stringify(group.pending),
      retain_primary: group.retainPrimary ? 1 : 0,
    })
    .execute();
  for (const nodeGroup of group.nodeGroups) await insertNodeGroup(transaction, group.id, nodeGroup);
}

export async function insertNodeGroup(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroup: NodeGroup,
): Promise<void> {
  const { handover, resharding } = nodeGroup;
  await transaction
    .insertInto('node_group')
    .values({
      group_id: groupId,
      id: nodeGroup.id,
      primary_member: nodeGroup.primary,
      slots: JSON.stringify(nodeGroup.slots),
      primary_address: nodeGroup.primaryAddress ?? null,
      reader_address: nodeGroup.readerAddress ?? null,
      formed: nodeGroup.formed ? 1 : 0,
      lineage: nodeGroup.lineage ?? null,
      handover: handover === undefined ? null : JSON.stringify(handover),
      resharding: resharding === undefined ? null : JSON.stringify(resharding),
    })
    .execute();
  await insertMembers(transaction, groupId, nodeGroup.id, nodeGroup.members);
}

/** Behind those the shard has already. */
export async function insertMembers(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
  members: readonly Member[],
): Promise<void> {
  const last = await transaction
    .selectFrom('member')
    .select(({ fn }) => fn.max('ordinal').as('ordinal'))
    .where('group_id', '=', groupId)
    .where('node_group_id', '=', nodeGroupId)
    .executeTakeFirst();
  const first = last?.ordinal === null || last === undefined ? 0 : last.ordinal + 1;
  await transaction
    .insertInto('member')
    .values(
      members.map((member, index) => ({
        id: member.id,
        group_id: groupId,
        node_group_id: nodeGroupId,
        ordinal: first + index,
        zone: member.zone,
        host: member.host,
        address: member.address,
        status: member.status,
        generation: member.generation,
        parameter_status: member.parameterStatus,
        created_at: member.createdAtMs,
      })),
    )
    .execute();
}

export async function deleteMember(
  transaction: DatabaseTransaction,
  group: Pick<ReplicationGroup, 'id'>,
  memberId: string,
): Promise<void> {
  await transaction
    .deleteFrom('member')
    .where('id', '=', memberId)
    .where('group_id', '=', group.id)
    .execute();
  await transaction
    .deleteFrom('address')
    .where('owner', '=', `replication-group:${group.id}/${memberId}`)
    .execute();
}

/** Writes down what is asked for now, in the transaction that read it. */
export async function writeIntent(
  transaction: DatabaseTransaction,
  { id, intent, pending }: Pick<ReplicationGroup, 'id' | 'intent' | 'pending'>,
): Promise<void> {
  await transaction
    .updateTable('replication_group')
    .set({ intent: JSON.stringify(intent), pending: pending === undefined ? null : JSON.stringify(pending) })
    .where('id', '=', id)
    .execute();
}

export async function setHandover(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
  handover: Handover | undefined,
): Promise<void> {
  await transaction
    .updateTable('node_group')
    .set({ handover: handover === undefined ? null : JSON.stringify(handover) })
    .where('group_id', '=', groupId)
    .where('id', '=', nodeGroupId)
    .execute();
}

export async function setMemberStatus(
  transaction: DatabaseTransaction,
  memberIds: readonly string[],
  status: MemberStatus,
): Promise<void> {
  await transaction.updateTable('member').set({ status }).where('id', 'in', memberIds).execute();
}

export async function setRecovering(
  transaction: DatabaseTransaction,
  memberIds: readonly string[],
  recovering: boolean,
): Promise<void> {
  await transaction
    .updateTable('member')
    .set({ recovering: recovering ? 1 : 0 })
    .where('id', 'in', memberIds)
    .execute();
}

export async function setParameterStatus(
  transaction: DatabaseTransaction,
  memberId: string,
  status: ParameterStatus,
): Promise<void> {
  await transaction
    .updateTable('member')
    .set({ parameter_status: status })
    .where('id', '=', memberId)
    .execute();
}

/** Asks for a new process of each: their next generation. */
export async function restartMembers(
  transaction: DatabaseTransaction,
  memberIds: readonly string[],
): Promise<void> {
  await transaction
    .updateTable('member')
    .set(({ eb }) => ({ generation: eb('generation', '+', 1) }))
    .where('id', 'in', memberIds)
    .execute();
}

export async function setUsersDigest(
  transaction: DatabaseTransaction,
  groupId: string,
  digest: string | undefined,
): Promise<void> {
  await transaction
    .updateTable('replication_group')
    .set({ users_digest: digest ?? null })
    .where('id', '=', groupId)
    .execute();
}

/** What the deletion waits for; nothing any more when undefined. */
export async function setFinalSnapshot(
  transaction: DatabaseTransaction,
  groupId: string,
  name: string | undefined,
): Promise<void> {
  await transaction
    .updateTable('replication_group')
    .set({ final_snapshot: name ?? null })
    .where('id', '=', groupId)
    .execute();
}

/** Undefined: there is none, or none any more. */
export async function setMigration(
  transaction: DatabaseTransaction,
  groupId: string,
  migration: Migration | undefined,
): Promise<void> {
  await transaction
    .updateTable('replication_group')
    .set({ migration: migration === undefined ? null : JSON.stringify(migration) })
    .where('id', '=', groupId)
    .execute();
}

export async function retainPrimary(transaction: DatabaseTransaction, groupId: string): Promise<void> {
  await transaction
    .updateTable('replication_group')
    .set({ retain_primary: 1 })
    .where('id', '=', groupId)
    .execute();
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
    .where('status', '=', 'creating')
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
  await forgetScaling(transaction, id);
}
