/** Where log events are kept: the SQL, and what bounds it. */
import type { LogPosition } from '@larder/fleet/log-delivery/read-log';
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { LogDatabase, LogTables } from './tables.ts';

export const logLimits = {
  groups: 1_000,
  streams: 10_000,
  /** Of all messages together; the oldest go first. */
  storedBytes: 512 * 1024 * 1024,
  /** Of a group without a policy of its own. */
  retentionDays: 14,
} as const;

export interface NewLogEvent {
  readonly atMs: number;
  readonly message: string;
}

export interface LogEvent extends NewLogEvent {
  readonly id: number;
  readonly streamName: string;
  readonly ingestedAtMs: number;
}

/** Where a page begins: behind this event, in the order of time and then of arrival. */
export interface LogPlace {
  readonly atMs: number;
  readonly id: number;
}

export interface LogQuery {
  readonly group: string;
  /** Only of these, or of those that begin with the prefix. */
  readonly streams?: readonly string[] | undefined;
  readonly streamPrefix?: string | undefined;
  /** `[fromMs, toMs)` */
  readonly fromMs: number;
  readonly toMs: number;
  readonly behind?: LogPlace | undefined;
  /** Backwards: the newest first. */
  readonly newestFirst?: boolean;
  readonly limit: number;
}

type Writer = Transaction<LogTables>;

export async function readGroups(
  database: LogDatabase,
  of: {
    readonly prefix?: string;
    readonly contains?: string;
    readonly after?: string;
    readonly limit?: number;
  },
) {
  let query = database
    .selectFrom('log_group')
    .leftJoin('log_stream', 'log_stream.group_name', 'log_group.name')
    .select(({ fn }) => [
      'log_group.name as name',
      'log_group.created_at as created_at',
      'log_group.retention_days as retention_days',
      fn.coalesce(fn.sum<number>('log_stream.stored_bytes'), sql<number>`0`).as('stored_bytes'),
    ])
    .where('log_group.name', '>', of.after ?? '')
    .groupBy(['log_group.name', 'log_group.created_at', 'log_group.retention_days'])
    .orderBy('log_group.name');
  if (of.prefix !== undefined) query = query.where(beginsWith('log_group.name', of.prefix));
  if (of.contains !== undefined) {
    query = query.where(
      sql<boolean>`lower(log_group.name) like ${`%${of.contains.toLowerCase().replace(/[!%_]/g, '!$&')}%`} escape '!'`,
    );
  }
  if (of.limit !== undefined) query = query.limit(of.limit);
  return (await query.execute()).map((row) => ({
    name: row.name,
    createdAtMs: row.created_at,
    retentionDays: row.retention_days ?? undefined,
    storedBytes: Number(row.stored_bytes),
  }));
}

export async function groupExists(database: LogDatabase | Writer, name: string): Promise<boolean> {
  const row = await database
    .selectFrom('log_group')
    .select('name')
    .where('name', '=', name)
    .executeTakeFirst();
  return row !== undefined;
}

export async function countOf(
  database: LogDatabase | Writer,
  table: 'log_group' | 'log_stream',
): Promise<number> {
  const row = await database
    .selectFrom(table)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** @returns whether it is new. */
export async function insertGroup(
  writer: LogDatabase | Writer,
  name: string,
  nowMs: number,
): Promise<boolean> {
  const rows = await writer
    .insertInto('log_group')
    .values({ name, created_at: nowMs, retention_days: null })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .execute();
  return rows.length > 0;
}

/** @returns whether it is new. */
export async function insertStream(
  writer: LogDatabase | Writer,
  group: string,
  name: string,
  nowMs: number,
): Promise<boolean> {
  const rows = await writer
    .insertInto('log_stream')
    .values({ group_name: group, name, created_at: nowMs, stored_bytes: 0 })
    .onConflict((conflict) => conflict.columns(['group_name', 'name']).doNothing())
    .returning('name')
    .execute();
  return rows.length > 0;
}

export async function deleteGroup(database: LogDatabase, name: string): Promise<boolean> {
  return database.transaction().execute(async (writer) => {
    await writer.deleteFrom('log_event').where('group_name', '=', name).execute();
    await writer.deleteFrom('log_stream').where('group_name', '=', name).execute();
    const gone = await writer.deleteFrom('log_group').where('name', '=', name).executeTakeFirst();
    return gone.numDeletedRows > 0n;
  });
}

/** @returns whether there is such a group. */
export async function setRetention(database: LogDatabase, name: string, days: number): Promise<boolean> {
  const found = await database
    .updateTable('log_group')
    .set({ retention_days: days })
    .where('name', '=', name)
    .executeTakeFirst();
  return found.numUpdatedRows > 0n;
}

export async function readStreams(
  database: LogDatabase,
  of: {
    readonly group: string;
    readonly prefix?: string | undefined;
    readonly name?: string;
    readonly after?: string;
    readonly limit?: number;
  },
) {
  let query = database
    .selectFrom('log_stream')
    .selectAll()
    .where('group_name', '=', of.group)
    .where('name', '>', of.after ?? '')
    .orderBy('name');
  if (of.prefix !== undefined) query = query.where(beginsWith('name', of.prefix));
  if (of.name !== undefined) query = query.where('name', '=', of.name);
  if (of.limit !== undefined) query = query.limit(of.limit);
  return (await query.execute()).map((row) => ({
    name: row.name,
    createdAtMs: row.created_at,
    firstAtMs: row.first_at ?? undefined,
    lastAtMs: row.last_at ?? undefined,
    ingestedAtMs: row.ingested_at ?? undefined,
  }));
}

/** How far what is delivered to the stream has been read. */
export async function readStreamPosition(
  database: LogDatabase,
  group: string,
  name: string,
): Promise<LogPosition | null> {
  const row = await database
    .selectFrom('log_stream')
    .select('position')
    .where('group_name', '=', group)
    .where('name', '=', name)
    .executeTakeFirst();
  return row?.position == null ? null : (JSON.parse(row.position) as LogPosition);
}

const rowsAtOnce = 500;

/** @param position written in the same transaction, so that what was read is there once. */
export async function appendEvents(
  writer: Writer,
  group: string,
  stream: string,
  events: readonly NewLogEvent[],
  nowMs: number,
  position?: LogPosition | null,
): Promise<void> {
  for (let from = 0; from < events.length; from += rowsAtOnce) {
    await writer
      .insertInto('log_event')
      .values(
        events.slice(from, from + rowsAtOnce).map(({ atMs, message }) => ({
          group_name: group,
          stream_name: stream,
          at: atMs,
          ingested_at: nowMs,
          message,
        })),
      )
      .execute();
  }
  const times = events.map(({ atMs }) => atMs);
  const addedBytes = events.reduce((sum, { message }) => sum + Buffer.byteLength(message), 0);
  await writer
    .updateTable('log_stream')
    .set((each) => ({
      ...(events.length > 0 && {
        ingested_at: nowMs,
        first_at: sql<number>`case when first_at is null or first_at > ${Math.min(...times)} then ${Math.min(...times)} else first_at end`,
        last_at: sql<number>`case when last_at is null or last_at < ${Math.max(...times)} then ${Math.max(...times)} else last_at end`,
      }),
      stored_bytes: each('stored_bytes', '+', addedBytes),
      ...(position !== undefined && { position: JSON.stringify(position) }),
    }))
    .where('group_name', '=', group)
    .where('name', '=', stream)
    .execute();
}

export async function readEvents(database: LogDatabase, asked: LogQuery): Promise<LogEvent[]> {
  const direction = asked.newestFirst === true ? 'desc' : 'asc';
  let query = database
    .selectFrom('log_event')
    .select(['id', 'stream_name', 'at', 'ingested_at', 'message'])
    .where('group_name', '=', asked.group)
    .where('at', '>=', asked.fromMs)
    .where('at', '<', asked.toMs)
    .orderBy('at', direction)
    .orderBy('id', direction)
    .limit(asked.limit);
  if (asked.streams !== undefined) query = query.where('stream_name', 'in', asked.streams);
  if (asked.streamPrefix !== undefined) query = query.where(beginsWith('stream_name', asked.streamPrefix));
  if (asked.behind !== undefined) {
    const { atMs, id } = asked.behind;
    const beyond = asked.newestFirst === true ? '<' : '>';
    query = query.where(({ or, and, eb }) =>
      or([eb('at', beyond, atMs), and([eb('at', '=', atMs), eb('id', beyond, id)])]),
    );
  }
  return (await query.execute()).map((row) => ({
    id: row.id,
    streamName: row.stream_name,
    atMs: row.at,
    ingestedAtMs: row.ingested_at,
    message: row.message,
  }));
}

const forgetEveryMs = 60_000;

/** Forgets now and then, however often it is called. */
export function logForgetter(database: LogDatabase, nowMs: () => number): () => Promise<void> {
  let forgotAtMs = 0;
  return async () => {
    const now = nowMs();
    if (now - forgotAtMs < forgetEveryMs) return;
    forgotAtMs = now;
    await forgetOldEvents(database, now);
  };
}

const deletedAtOnce = 10_000;

/** What is older than its group keeps it goes, and the oldest of all where there is too much. */
export async function forgetOldEvents(
  database: LogDatabase,
  nowMs: number,
  mostBytes: number = logLimits.storedBytes,
): Promise<void> {
  for (const { name, retentionDays = logLimits.retentionDays } of await readGroups(database, {})) {
    const before = nowMs - retentionDays * 86_400_000;
    await deleteEvents(database, sql<boolean>`group_name = ${name} and at < ${before}`);
  }
  for (;;) {
    const row = await database
      .selectFrom('log_stream')
      .select(({ fn }) => fn.sum<number>('stored_bytes').as('bytes'))
      .executeTakeFirst();
    if (Number(row?.bytes ?? 0) <= mostBytes) return;
    const ids = await database
      .selectFrom('log_event')
      .select('id')
      .orderBy('id')
      .limit(deletedAtOnce)
      .execute();
    if (ids.length === 0) return;
    // A tenth where there are few: what is left is mostly what was kept.
    const last = ids[ids.length < deletedAtOnce ? Math.floor(ids.length / 10) : ids.length - 1]!;
    await deleteEvents(database, sql<boolean>`id <= ${last.id}`);
  }
}

async function deleteEvents(database: LogDatabase, which: RawBuilder<boolean>): Promise<void> {
  await database.transaction().execute(async (writer) => {
    const gone = await writer
      .selectFrom('log_event')
      .select(['group_name', 'stream_name', sql<number>`sum(octet_length(message))`.as('bytes')])
      .where(which)
      .groupBy(['group_name', 'stream_name'])
      .execute();
    if (gone.length === 0) return;
    await writer.deleteFrom('log_event').where(which).execute();
    for (const { group_name, stream_name, bytes } of gone) {
      await writer
        .updateTable('log_stream')
        .set((each) => ({ stored_bytes: each('stored_bytes', '-', Number(bytes)) }))
        .where('group_name', '=', group_name)
        .where('name', '=', stream_name)
        .execute();
    }
  });
}

/** To the letter: `like` of SQLite does not tell cases apart. */
function beginsWith(column: string, prefix: string) {
  return sql<boolean>`substr(${sql.ref(column)}, 1, ${[...prefix].length}) = ${prefix}`;
}
