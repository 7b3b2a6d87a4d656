/** The SQL of slots on their way, and of shards that come and go. */
import type { SlotRange } from '@larder/engine/slots';
import type { DatabaseTransaction } from '../database/connect.ts';
import type { Resharding } from './replication-group.ts';

/** What one shard is to have; undefined when nothing is on its way any more. */
export async function setResharding(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
  resharding: Resharding,
): Promise<void> {
  await transaction
    .updateTable('node_group')
    .set({ resharding: JSON.stringify(resharding) })
    .where('group_id', '=', groupId)
    .where('id', '=', nodeGroupId)
    .execute();
}

export async function endResharding(transaction: DatabaseTransaction, groupId: string): Promise<void> {
  await transaction
    .updateTable('node_group')
    .set({ resharding: null })
    .where('group_id', '=', groupId)
    .execute();
}

/** What the engines say. */
export async function setSlots(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
  slots: readonly SlotRange[],
): Promise<void> {
  await transaction
    .updateTable('node_group')
    .set({ slots: JSON.stringify(slots) })
    .where('group_id', '=', groupId)
    .where('id', '=', nodeGroupId)
    .execute();
}

/** Every member of them was in sync. */
export async function markShardsFormed(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupIds: readonly string[],
): Promise<void> {
  await transaction
    .updateTable('node_group')
    .set({ formed: 1 })
    .where('group_id', '=', groupId)
    .where('id', 'in', nodeGroupIds)
    .execute();
  await transaction
    .updateTable('member')
    .set({ status: 'available' })
    .where('group_id', '=', groupId)
    .where('node_group_id', 'in', nodeGroupIds)
    .where('status', '=', 'creating')
    .execute();
}

/** From now on nobody starts its nodes again. */
export async function dismissMembers(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
): Promise<void> {
  await transaction
    .updateTable('member')
    .set({ status: 'deleting' })
    .where('group_id', '=', groupId)
    .where('node_group_id', '=', nodeGroupId)
    .execute();
}

/** Its members' rows must be gone. */
export async function deleteNodeGroup(
  transaction: DatabaseTransaction,
  groupId: string,
  nodeGroupId: string,
): Promise<void> {
  await transaction
    .deleteFrom('node_group')
    .where('group_id', '=', groupId)
    .where('id', '=', nodeGroupId)
    .execute();
}
