/**
 * What happens to caches, on the topics that they name: ElastiCache's notifications. Written in the transaction of the
 * event, so there is exactly one message for each.
 */
import { createHash } from 'node:crypto';
import { isServiceError } from '@larder/contract/errors';
import type { DatabaseTransaction } from '../database/connect.ts';
import type { ServiceIntent } from '../node/service-intent.ts';
import { publishIn } from './publish.ts';

/** ElastiCache's names, those that happen here. */
export type CacheNotice =
  | 'AddCacheNodeComplete'
  | 'CacheClusterParametersChanged'
  | 'CacheClusterProvisioningComplete'
  | 'CacheClusterProvisioningFailed'
  | 'CacheClusterScalingComplete'
  | 'CacheNodeReplaceComplete'
  | 'CacheNodeReplaceStarted'
  | 'CacheNodesRebooted'
  | 'CreateReplicationGroupComplete'
  | 'DeleteCacheClusterComplete'
  | 'FailoverComplete'
  | 'RemoveCacheNodeComplete'
  | 'ReplicationGroupIncreaseReplicaCountFinished'
  | 'ReplicationGroupIncreaseReplicaCountStarted'
  | 'ReplicationGroupScalingComplete'
  | 'SnapshotComplete'
  | 'SnapshotFailed';

export interface NoticedEvent {
  readonly atMs: number;
  readonly sourceType: string;
  readonly sourceId: string;
  readonly notice: CacheNotice;
}

/** @param eventId of the event in the log; the message's id is derived from it. */
export async function publishNotice(
  transaction: DatabaseTransaction,
  eventId: number,
  event: NoticedEvent,
): Promise<void> {
  const notification = await notificationOf(transaction, event);
  if (notification?.active !== true) return;
  const { topicArn } = notification;
  try {
    await publishIn(
      transaction,
      {
        id: messageId(topicArn, eventId, event.atMs),
        topicArn,
        subject: 'ElastiCache Notification',
        body: JSON.stringify({ [`ElastiCache:${event.notice}`]: event.sourceId }),
        createdAtMs: event.atMs,
      },
      'dead-letter',
    );
  } catch (error) {
    // A cache may name a topic that was deleted, or that is somebody else's. That must not keep it from working.
    if (!isServiceError(error, 'NotFound')) throw error;
  }
}

/** Of what the event is about; a member of a group has its group's. */
async function notificationOf(
  transaction: DatabaseTransaction,
  { sourceType, sourceId }: NoticedEvent,
): Promise<ServiceIntent['notification']> {
  const groupId =
    sourceType === 'replication-group'
      ? sourceId
      : sourceType === 'cache-cluster'
        ? await groupOf(transaction, sourceId)
        : undefined;
  const row =
    groupId === undefined
      ? await transaction
          .selectFrom('cache_cluster')
          .select('intent')
          .where('id', '=', sourceId)
          .executeTakeFirst()
      : await transaction
          .selectFrom('replication_group')
          .select('intent')
          .where('id', '=', groupId)
          .executeTakeFirst();
  return row && (JSON.parse(row.intent) as ServiceIntent).notification;
}

async function groupOf(transaction: DatabaseTransaction, memberId: string): Promise<string | undefined> {
  const row = await transaction
    .selectFrom('member')
    .select('group_id')
    .where('id', '=', memberId)
    .executeTakeFirst();
  return row?.group_id;
}

/** A UUID, as SNS's are. */
function messageId(topicArn: string, eventId: number, atMs: number): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([topicArn, eventId, atMs]))
    .digest('hex');
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `a${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-');
}
