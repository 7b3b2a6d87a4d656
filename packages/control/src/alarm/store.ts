/** The alarms' SQL: what they are, what happened to them, and what they owe. */
import type { AlarmState } from '@larder/metrics/alarm/evaluate-alarm';
import type { Selectable } from 'kysely';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { Tables } from '../database/tables.ts';
import type { Alarm, AlarmNotification, HistoryItem } from './alarm.ts';

type Reader = Database | DatabaseTransaction;

const historyKeptMs = 30 * 24 * 3_600_000;
/** Of one alarm: one that changes every second would fill the disk. */
export const mostHistoryOfAlarm = 2_000;

/** In the order of their names. */
export async function readAlarms(database: Reader, names?: readonly string[]): Promise<Alarm[]> {
  if (names?.length === 0) return [];
  let query = database.selectFrom('alarm').selectAll().orderBy('name');
  if (names !== undefined) query = query.where('name', 'in', names);
  return (await query.execute()).map(alarmOf);
}

export async function readAlarm(database: Reader, name: string): Promise<Alarm | undefined> {
  return (await readAlarms(database, [name]))[0];
}

function alarmOf(row: Selectable<Tables['alarm']>): Alarm {
  return {
    name: row.name,
    kind: row.kind,
    configuration: JSON.parse(row.configuration),
    state: row.state,
    reason: row.state_reason,
    reasonData: row.state_reason_data ?? undefined,
    stateUpdatedAtMs: row.state_updated_at,
    stateTransitionedAtMs: row.state_transitioned_at,
    configuredAtMs: row.configured_at,
    revision: row.revision,
    owner: row.owner ?? undefined,
  } as Alarm;
}

/** Makes it, or changes it as a whole. */
export async function writeAlarm(transaction: DatabaseTransaction, alarm: Alarm): Promise<void> {
  const row = {
    kind: alarm.kind,
    configuration: JSON.stringify(alarm.configuration),
    state: alarm.state,
    state_reason: alarm.reason,
    state_reason_data: alarm.reasonData ?? null,
    state_updated_at: alarm.stateUpdatedAtMs,
    state_transitioned_at: alarm.stateTransitionedAtMs,
    configured_at: alarm.configuredAtMs,
    revision: alarm.revision,
    owner: alarm.owner ?? null,
  };
  await transaction
    .insertInto('alarm')
    .values({ name: alarm.name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}

/**
 * Moves an alarm from one state to another, when it still is what was judged.
 * @returns whether it was.
 */
export async function moveState(
  transaction: DatabaseTransaction,
  before: Pick<Alarm, 'name' | 'revision' | 'state'>,
  after: {
    readonly state: AlarmState;
    readonly reason: string;
    readonly reasonData: string | undefined;
    readonly atMs: number;
  },
): Promise<boolean> {
  const { numUpdatedRows } = await transaction
    .updateTable('alarm')
    .set({
      state: after.state,
      state_reason: after.reason,
      state_reason_data: after.reasonData ?? null,
      state_updated_at: after.atMs,
      ...(after.state !== before.state && { state_transitioned_at: after.atMs }),
    })
    .where('name', '=', before.name)
    .where('revision', '=', before.revision)
    .where('state', '=', before.state)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function deleteAlarmRows(
  transaction: DatabaseTransaction,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  await transaction.deleteFrom('alarm').where('name', 'in', names).execute();
  await transaction.deleteFrom('alarm_notification').where('alarm', 'in', names).execute();
}

export async function countAlarms(database: Reader): Promise<number> {
  const { count } = await database
    .selectFrom('alarm')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Old items, and those beyond what is kept of an alarm, go at the same time. */
export async function recordHistory(transaction: DatabaseTransaction, item: HistoryItem): Promise<void> {
  await transaction
    .insertInto('alarm_history')
    .values({
      alarm: item.alarm,
      kind: item.kind,
      at: item.atMs,
      type: item.type,
      summary: item.summary,
      data: item.data,
    })
    .execute();
  await transaction
    .deleteFrom('alarm_history')
    .where('at', '<', item.atMs - historyKeptMs)
    .execute();
  await transaction
    .deleteFrom('alarm_history')
    .where('alarm', '=', item.alarm)
    .where('number', '<=', (beyond) =>
      beyond
        .selectFrom('alarm_history')
        .select('number')
        .where('alarm', '=', item.alarm)
        .orderBy('number', 'desc')
        .offset(mostHistoryOfAlarm)
        .limit(1),
    )
    .execute();
}

export interface HistoryFilter {
  readonly alarm?: string | undefined;
  readonly kinds: readonly string[];
  readonly type?: string | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly isAscending: boolean;
  /** Only what comes after the item of that number. */
  readonly after?: number | undefined;
  readonly limit: number;
}

export async function readHistory(
  database: Database,
  filter: HistoryFilter,
): Promise<{ readonly number: number; readonly item: HistoryItem }[]> {
  let query = database
    .selectFrom('alarm_history')
    .selectAll()
    .where('kind', 'in', filter.kinds)
    .orderBy('number', filter.isAscending ? 'asc' : 'desc')
    .limit(filter.limit);
  if (filter.alarm !== undefined) query = query.where('alarm', '=', filter.alarm);
  if (filter.type !== undefined) query = query.where('type', '=', filter.type);
  if (filter.fromMs !== undefined) query = query.where('at', '>=', filter.fromMs);
  if (filter.toMs !== undefined) query = query.where('at', '<=', filter.toMs);
  if (filter.after !== undefined) query = query.where('number', filter.isAscending ? '>' : '<', filter.after);
  return (await query.execute()).map((row) => ({
    number: row.number,
    item: {
      alarm: row.alarm,
      kind: row.kind as HistoryItem['kind'],
      atMs: row.at,
      type: row.type as HistoryItem['type'],
      summary: row.summary,
      data: row.data,
    },
  }));
}

export async function insertNotification(
  transaction: DatabaseTransaction,
  notification: AlarmNotification,
): Promise<void> {
  await transaction
    .insertInto('alarm_notification')
    .values({
      id: notification.id,
      alarm: notification.alarm,
      at: notification.atMs,
      topics: JSON.stringify(notification.topics),
      subject: notification.subject,
      message: notification.message,
      attempts: notification.attempts,
      retry_at: notification.retryAtMs,
      held: notification.held ? 1 : 0,
    })
    .execute();
}

/** In the order in which they were made. */
export async function readNotifications(
  database: Reader,
  filter: { readonly held: boolean; readonly dueMs?: number; readonly limit?: number },
): Promise<AlarmNotification[]> {
  let query = database
    .selectFrom('alarm_notification')
    .selectAll()
    .where('held', '=', filter.held ? 1 : 0)
    .orderBy('number');
  if (filter.dueMs !== undefined) query = query.where('retry_at', '<=', filter.dueMs);
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  return (await query.execute()).map((row) => ({
    id: row.id,
    alarm: row.alarm,
    atMs: row.at,
    topics: JSON.parse(row.topics) as string[],
    subject: row.subject,
    message: row.message,
    attempts: row.attempts,
    retryAtMs: row.retry_at,
    held: row.held === 1,
  }));
}

/** What is left of it; it goes when nothing is. */
export async function changeNotification(
  transaction: DatabaseTransaction,
  id: string,
  change: Partial<Pick<AlarmNotification, 'topics' | 'attempts' | 'retryAtMs' | 'held'>>,
): Promise<void> {
  if (change.topics?.length === 0) {
    await transaction.deleteFrom('alarm_notification').where('id', '=', id).execute();
    return;
  }
  await transaction
    .updateTable('alarm_notification')
    .set({
      ...(change.topics !== undefined && { topics: JSON.stringify(change.topics) }),
      ...(change.attempts !== undefined && { attempts: change.attempts }),
      ...(change.retryAtMs !== undefined && { retry_at: change.retryAtMs }),
      ...(change.held !== undefined && { held: change.held ? 1 : 0 }),
    })
    .where('id', '=', id)
    .execute();
}

export async function deleteHeld(transaction: DatabaseTransaction, alarm: string): Promise<void> {
  await transaction
    .deleteFrom('alarm_notification')
    .where('alarm', '=', alarm)
    .where('held', '=', 1)
    .execute();
}
