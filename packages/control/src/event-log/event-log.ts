/** What happened, for people: the history behind DescribeEvents. Written in the transaction of what it tells. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { type CacheNotice, publishNotice } from '../topic/cache-notice.ts';

export type EventSource =
  | 'replication-group'
  | 'cache-cluster'
  | 'user'
  | 'user-group'
  | 'cache-parameter-group'
  | 'cache-subnet-group';

export interface ClusterEvent {
  readonly atMs: number;
  readonly sourceType: EventSource;
  readonly sourceId: string;
  readonly message: string;
}

const keptMs = 14 * 24 * 3_600_000;

/**
 * @param notice what a cache's topic is told of it, if anything. It is looked up with the cache: an event of its end is
 *   recorded before its rows go.
 */
export async function recordEvent(
  transaction: DatabaseTransaction,
  event: ClusterEvent,
  notice?: CacheNotice,
): Promise<void> {
  const { id } = await transaction
    .insertInto('event')
    .values({
      at: event.atMs,
      source_type: event.sourceType,
      source_id: event.sourceId,
      message: event.message,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  if (notice !== undefined) await publishNotice(transaction, id, { ...event, notice });
  await transaction
    .deleteFrom('event')
    .where('at', '<', event.atMs - keptMs)
    .execute();
}

/** Events in `[fromMs, toMs]`, oldest first, at most `limit` after the id `afterId`. */
export async function listEvents(
  database: Database,
  filter: {
    readonly fromMs: number;
    readonly toMs: number;
    readonly sourceType?: string;
    readonly sourceId?: string;
    readonly afterId: number;
    readonly limit: number;
  },
): Promise<{ id: number; event: ClusterEvent }[]> {
  let query = database
    .selectFrom('event')
    .select(['id', 'at', 'source_type', 'source_id', 'message'])
    .where('at', '>=', filter.fromMs)
    .where('at', '<=', filter.toMs)
    .where('id', '>', filter.afterId)
    .orderBy('id')
    .limit(filter.limit);
  if (filter.sourceType !== undefined) query = query.where('source_type', '=', filter.sourceType);
  if (filter.sourceId !== undefined) query = query.where('source_id', '=', filter.sourceId);
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    event: {
      atMs: row.at,
      sourceType: row.source_type as EventSource,
      sourceId: row.source_id,
      message: row.message,
    },
  }));
}

/** 0 when there is none. */
export async function lastEventId(database: Database): Promise<number> {
  const row = await database
    .selectFrom('event')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst();
  return Number(row?.id ?? 0);
}
