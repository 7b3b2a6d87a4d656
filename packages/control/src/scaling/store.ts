/** Autoscaling's SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type {
  ActivityStatus,
  Dimension,
  ScalableTarget,
  ScalingActivity,
  ScalingPolicy,
  ScheduledAction,
  TargetKey,
} from './scaling.ts';

type Reader = Database | DatabaseTransaction;

export interface TargetFilter {
  readonly groupId?: string | undefined;
  readonly dimension?: Dimension | undefined;
}

const activitiesKeptMs = 42 * 24 * 3_600_000;

/** In the order of their groups. */
export async function readTargets(database: Reader, filter: TargetFilter = {}): Promise<ScalableTarget[]> {
  let query = database.selectFrom('scalable_target').selectAll().orderBy('group_id').orderBy('dimension');
  if (filter.groupId !== undefined) query = query.where('group_id', '=', filter.groupId);
  if (filter.dimension !== undefined) query = query.where('dimension', '=', filter.dimension);
  return (await query.execute()).map(
    (row): ScalableTarget => ({
      groupId: row.group_id,
      dimension: row.dimension as Dimension,
      minCapacity: row.min_capacity,
      maxCapacity: row.max_capacity,
      suspended: JSON.parse(row.suspended) as ScalableTarget['suspended'],
      region: row.region,
      createdAtMs: row.created_at,
      boundsDue: row.bounds_due === 1,
      ...(row.last_out_at !== null && { lastOutAtMs: row.last_out_at }),
      ...(row.last_in_at !== null && { lastInAtMs: row.last_in_at }),
      ...(row.last_failure_at !== null && { lastFailureAtMs: row.last_failure_at }),
    }),
  );
}

export async function readTarget(database: Reader, key: TargetKey): Promise<ScalableTarget | undefined> {
  return (await readTargets(database, key))[0];
}

/** Makes it, or changes what it is. */
export async function writeTarget(transaction: DatabaseTransaction, target: ScalableTarget): Promise<void> {
  const row = {
    min_capacity: target.minCapacity,
    max_capacity: target.maxCapacity,
    suspended: JSON.stringify(target.suspended),
    region: target.region,
    bounds_due: target.boundsDue ? 1 : 0,
    last_out_at: target.lastOutAtMs ?? null,
    last_in_at: target.lastInAtMs ?? null,
    last_failure_at: target.lastFailureAtMs ?? null,
  };
  const { groupId, dimension, createdAtMs } = target;
  await transaction
    .insertInto('scalable_target')
    .values({ group_id: groupId, dimension, created_at: createdAtMs, ...row })
    .onConflict((conflict) => conflict.columns(['group_id', 'dimension']).doUpdateSet(row))
    .execute();
}

/** With its policies and scheduled actions. */
export async function deleteTarget(
  transaction: DatabaseTransaction,
  { groupId, dimension }: TargetKey,
): Promise<void> {
  for (const table of ['scaling_policy', 'scheduled_action', 'scalable_target'] as const) {
    await transaction
      .deleteFrom(table)
      .where('group_id', '=', groupId)
      .where('dimension', '=', dimension)
      .execute();
  }
  await closeActivities(transaction, { groupId, dimension }, 'The scalable target was deregistered.');
}

/** What belongs to a group that is gone. What was done stays to be read. */
export async function forgetScaling(transaction: DatabaseTransaction, groupId: string): Promise<void> {
  for (const table of ['scaling_policy', 'scheduled_action', 'scalable_target'] as const) {
    await transaction.deleteFrom(table).where('group_id', '=', groupId).execute();
  }
  await closeActivities(transaction, { groupId }, 'The replication group was deleted.');
}

/** Nobody follows them any more. */
async function closeActivities(
  transaction: DatabaseTransaction,
  { groupId, dimension }: Partial<TargetKey> & Pick<TargetKey, 'groupId'>,
  statusMessage: string,
): Promise<void> {
  let query = transaction
    .updateTable('scaling_activity')
    .set({ status: 'Unfulfilled' satisfies ActivityStatus, status_message: statusMessage })
    .where('group_id', '=', groupId)
    .where('status', 'in', ['Pending', 'InProgress'] satisfies ActivityStatus[]);
  if (dimension !== undefined) query = query.where('dimension', '=', dimension);
  await query.execute();
}

/** In the order of their groups and names. */
export async function readPolicies(database: Reader, filter: TargetFilter = {}): Promise<ScalingPolicy[]> {
  let query = database
    .selectFrom('scaling_policy')
    .selectAll()
    .orderBy('group_id')
    .orderBy('dimension')
    .orderBy('name');
  if (filter.groupId !== undefined) query = query.where('group_id', '=', filter.groupId);
  if (filter.dimension !== undefined) query = query.where('dimension', '=', filter.dimension);
  return (await query.execute()).map((row) => ({
    groupId: row.group_id,
    dimension: row.dimension as Dimension,
    name: row.name,
    id: row.id,
    configuration: JSON.parse(row.configuration) as ScalingPolicy['configuration'],
    metric: JSON.parse(row.metric) as ScalingPolicy['metric'],
    createdAtMs: row.created_at,
  }));
}

export async function writePolicy(transaction: DatabaseTransaction, policy: ScalingPolicy): Promise<void> {
  const row = {
    configuration: JSON.stringify(policy.configuration),
    metric: JSON.stringify(policy.metric),
  };
  const { groupId, dimension, name, id, createdAtMs } = policy;
  await transaction
    .insertInto('scaling_policy')
    .values({ group_id: groupId, dimension, name, id, created_at: createdAtMs, ...row })
    .onConflict((conflict) => conflict.columns(['group_id', 'dimension', 'name']).doUpdateSet(row))
    .execute();
}

/** In the order of their groups and names. */
export async function readActions(database: Reader, filter: TargetFilter = {}): Promise<ScheduledAction[]> {
  let query = database
    .selectFrom('scheduled_action')
    .selectAll()
    .orderBy('group_id')
    .orderBy('dimension')
    .orderBy('name');
  if (filter.groupId !== undefined) query = query.where('group_id', '=', filter.groupId);
  if (filter.dimension !== undefined) query = query.where('dimension', '=', filter.dimension);
  return (await query.execute()).map((row) => ({
    groupId: row.group_id,
    dimension: row.dimension as Dimension,
    name: row.name,
    id: row.id,
    schedule: row.schedule,
    createdAtMs: row.created_at,
    ...(row.timezone !== null && { timezone: row.timezone }),
    ...(row.start_at !== null && { startAtMs: row.start_at }),
    ...(row.end_at !== null && { endAtMs: row.end_at }),
    ...(row.min_capacity !== null && { minCapacity: row.min_capacity }),
    ...(row.max_capacity !== null && { maxCapacity: row.max_capacity }),
    ...(row.next_at !== null && { nextAtMs: row.next_at }),
  }));
}

export async function writeAction(transaction: DatabaseTransaction, action: ScheduledAction): Promise<void> {
  const row = {
    schedule: action.schedule,
    timezone: action.timezone ?? null,
    start_at: action.startAtMs ?? null,
    end_at: action.endAtMs ?? null,
    min_capacity: action.minCapacity ?? null,
    max_capacity: action.maxCapacity ?? null,
    next_at: action.nextAtMs ?? null,
  };
  const { groupId, dimension, name, id, createdAtMs } = action;
  await transaction
    .insertInto('scheduled_action')
    .values({ group_id: groupId, dimension, name, id, created_at: createdAtMs, ...row })
    .onConflict((conflict) => conflict.columns(['group_id', 'dimension', 'name']).doUpdateSet(row))
    .execute();
}

/** @returns whether there was one. */
export async function deleteNamed(
  transaction: DatabaseTransaction,
  table: 'scaling_policy' | 'scheduled_action',
  { groupId, dimension, name }: TargetKey & { readonly name: string },
): Promise<boolean> {
  const result = await transaction
    .deleteFrom(table)
    .where('group_id', '=', groupId)
    .where('dimension', '=', dimension)
    .where('name', '=', name)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}

export interface ActivityFilter extends TargetFilter {
  /** Older than the one of this number. */
  readonly beforeNumber?: number;
  readonly limit?: number;
  /** Those that only say why nothing was scaled are left out. */
  readonly onlyScaled?: boolean;
  readonly onlyOpen?: boolean;
}

/** The newest first. */
export async function readActivities(
  database: Reader,
  filter: ActivityFilter,
): Promise<{ readonly number: number; readonly activity: ScalingActivity }[]> {
  let query = database.selectFrom('scaling_activity').selectAll().orderBy('number', 'desc');
  if (filter.groupId !== undefined) query = query.where('group_id', '=', filter.groupId);
  if (filter.dimension !== undefined) query = query.where('dimension', '=', filter.dimension);
  if (filter.beforeNumber !== undefined) query = query.where('number', '<', filter.beforeNumber);
  if (filter.onlyScaled === true) query = query.where('not_scaled', 'is', null);
  if (filter.onlyOpen === true) query = query.where('status', 'in', ['Pending', 'InProgress']);
  if (filter.limit !== undefined) query = query.limit(filter.limit);
  return (await query.execute()).map((row) => ({
    number: row.number,
    activity: {
      id: row.id,
      groupId: row.group_id,
      dimension: row.dimension as Dimension,
      description: row.description,
      cause: row.cause,
      startedAtMs: row.started_at,
      status: row.status as ActivityStatus,
      ...(row.ended_at !== null && { endedAtMs: row.ended_at }),
      ...(row.status_message !== null && { statusMessage: row.status_message }),
      ...(row.change !== null && { change: JSON.parse(row.change) as { from: number; to: number } }),
      ...(row.not_scaled !== null && {
        notScaled: JSON.parse(row.not_scaled) as NonNullable<ScalingActivity['notScaled']>,
      }),
    },
  }));
}

/** Also drops those that are older than six weeks. */
export async function insertActivity(
  transaction: DatabaseTransaction,
  activity: ScalingActivity,
): Promise<void> {
  await transaction
    .insertInto('scaling_activity')
    .values({
      id: activity.id,
      group_id: activity.groupId,
      dimension: activity.dimension,
      description: activity.description,
      cause: activity.cause,
      started_at: activity.startedAtMs,
      ended_at: activity.endedAtMs ?? null,
      status: activity.status,
      status_message: activity.statusMessage ?? null,
      change: activity.change === undefined ? null : JSON.stringify(activity.change),
      not_scaled: activity.notScaled === undefined ? null : JSON.stringify(activity.notScaled),
    })
    .execute();
  await transaction
    .deleteFrom('scaling_activity')
    .where('started_at', '<', activity.startedAtMs - activitiesKeptMs)
    .execute();
}

export async function updateActivity(
  transaction: DatabaseTransaction,
  id: string,
  change: {
    readonly status: ActivityStatus;
    readonly statusMessage: string;
    readonly endedAtMs?: number;
  },
): Promise<void> {
  await transaction
    .updateTable('scaling_activity')
    .set({ status: change.status, status_message: change.statusMessage, ended_at: change.endedAtMs ?? null })
    .where('id', '=', id)
    .execute();
}
