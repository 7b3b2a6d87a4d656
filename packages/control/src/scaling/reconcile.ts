/**
 * One pass over what may be scaled of a group: end what was begun, run what is due, look at the load, and begin at most
 * one change.
 *
 * A change is written down before it is asked for. A service that was killed in between finds it pending, and asks for
 * it again unless the group has that capacity already.
 */
import { randomUUID } from 'node:crypto';
import { isServiceError } from '@larder/contract/errors';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { ReplicationGroup } from '../replication-group/replication-group.ts';
import { readReplicationGroup } from '../replication-group/store.ts';
import { applyCapacity } from './apply.ts';
import { lookPeriodMs, metricPoints } from './load.ts';
import { planScaling, type ScalingDecision } from './plan.ts';
import { capacityOf, type ScalableTarget, type ScalingActivity, type ScheduledAction } from './scaling.ts';
import { lastOccurrence, nextOccurrence, parseSchedule } from './schedule.ts';
import {
  insertActivity,
  readActions,
  readActivities,
  readPolicies,
  readTarget,
  readTargets,
  updateActivity,
  writeAction,
  writeTarget,
} from './store.ts';

export interface ScalingDeps {
  readonly context: ControlContext;
  readonly logger: Logger;
  /** From one look at the load to the next. */
  readonly periodMs: number;
}

export async function reconcileScaling(deps: ScalingDeps, groupId: string): Promise<PassOutcome> {
  const { database } = deps.context;
  const targets = await readTargets(database, { groupId });
  const group = await readReplicationGroup(database, groupId);
  if (group === undefined || targets.length === 0) return 'gone';
  await runDue(deps, targets);
  for (const { dimension } of targets) {
    // Read afresh: what ran just now may have changed it, and a change of the other dimension makes the group busy.
    const target = await readTarget(database, { groupId, dimension });
    const now = await readReplicationGroup(database, groupId);
    if (target === undefined || now === undefined) continue;
    const [open] = await readActivities(database, { groupId, dimension, onlyOpen: true, limit: 1 });
    if (open !== undefined) await goOn(deps, target, now, open.activity);
    else if (now.status === 'available') await look(deps, target, now);
  }
  return 'settled';
}

/** Of an action that was missed several times the last run counts: each only says what the bounds are from then on. */
async function runDue({ context }: ScalingDeps, targets: readonly ScalableTarget[]): Promise<void> {
  const { database, nowMs } = context;
  const atMs = nowMs();
  for (const { groupId, dimension } of targets) {
    const due = (await readActions(database, { groupId, dimension }))
      .flatMap((action) => {
        const { nextAtMs } = action;
        if (nextAtMs === undefined || nextAtMs > atMs) return [];
        const occurrence = { ...action, schedule: parseSchedule(action.schedule)! };
        const nextMs = nextOccurrence(occurrence, atMs);
        return [{ action, lastMs: lastOccurrence(occurrence, nextAtMs, atMs), nextMs }];
      })
      .sort((a, b) => a.lastMs - b.lastMs);
    for (const { action, nextMs } of due) {
      await database.transaction().execute(async (transaction) => {
        const target = await readTarget(transaction, { groupId, dimension });
        if (target === undefined) return;
        const { nextAtMs: _, ...ran } = action;
        await writeAction(transaction, { ...ran, ...(nextMs !== undefined && { nextAtMs: nextMs }) });
        if (!target.suspended.scheduled) await setBounds(transaction, target, action, atMs);
      });
    }
  }
}

async function setBounds(
  transaction: DatabaseTransaction,
  target: ScalableTarget,
  action: ScheduledAction,
  atMs: number,
): Promise<void> {
  // One that sets a single bound moves the other where they would cross.
  const bounds = {
    minCapacity: action.minCapacity ?? Math.min(target.minCapacity, action.maxCapacity!),
    maxCapacity: action.maxCapacity ?? Math.max(target.maxCapacity, action.minCapacity!),
  };
  await writeTarget(transaction, { ...target, ...bounds, boundsDue: true });
  const what = `min capacity to ${bounds.minCapacity} and max capacity to ${bounds.maxCapacity}`;
  await insertActivity(transaction, {
    id: randomUUID(),
    groupId: target.groupId,
    dimension: target.dimension,
    description: `Setting ${what}`,
    cause: `scheduled action name ${action.name} was triggered`,
    startedAtMs: atMs,
    endedAtMs: atMs,
    status: 'Successful',
    statusMessage: `Successfully set ${what}`,
  });
}

async function look(deps: ScalingDeps, target: ScalableTarget, group: ReplicationGroup): Promise<void> {
  const { context } = deps;
  const clock = { nowMs: context.nowMs(), periodMs: lookPeriodMs(deps.periodMs) };
  const policies = await readPolicies(context.database, target);
  const loads = await Promise.all(
    policies.map(async ({ name, configuration, metric }) => ({
      name,
      configuration,
      points: await metricPoints(metric, group, context.metrics, clock),
    })),
  );
  const capacity = capacityOf(group, target.dimension);
  const decision = planScaling(target, capacity, loads, clock);
  deps.logger.debug(
    { group: group.id, dimension: target.dimension, capacity, decision },
    'looked at the load',
  );
  if (decision.kind === 'keep') return keep(deps, target, capacity, decision);
  const activity = await begin(deps, target, capacity, decision);
  await goOn(deps, target, group, activity);
}

async function keep(
  { context }: ScalingDeps,
  target: ScalableTarget,
  capacity: number,
  decision: ScalingDecision & { readonly kind: 'keep' },
): Promise<void> {
  const { groupId, dimension } = target;
  const { notScaled } = decision;
  const within = capacity >= target.minCapacity && capacity <= target.maxCapacity;
  if (notScaled === undefined && !(target.boundsDue && within)) return;
  await context.database.transaction().execute(async (transaction) => {
    const now = await readTarget(transaction, target);
    if (now?.boundsDue === true && within) await writeTarget(transaction, { ...now, boundsDue: false });
    if (notScaled === undefined) return;
    const [last] = await readActivities(transaction, { groupId, dimension, limit: 1 });
    // Said once, not at every look.
    if (last?.activity.notScaled?.code === notScaled.code) return;
    await insertActivity(transaction, {
      id: randomUUID(),
      groupId,
      dimension,
      description: `Keeping ${wordOf(target)} at ${capacity}`,
      cause: decision.because,
      startedAtMs: context.nowMs(),
      endedAtMs: context.nowMs(),
      status: 'Unfulfilled',
      notScaled,
    });
  });
}

async function begin(
  { context }: ScalingDeps,
  target: ScalableTarget,
  capacity: number,
  { to, because }: ScalingDecision & { readonly kind: 'scale' },
): Promise<ScalingActivity> {
  const { groupId, dimension } = target;
  const activity: ScalingActivity = {
    id: randomUUID(),
    groupId,
    dimension,
    description: `Setting ${wordOf(target)} to ${to}`,
    cause: because,
    startedAtMs: context.nowMs(),
    status: 'Pending',
    change: { from: capacity, to },
  };
  await context.database.transaction().execute(async (transaction) => {
    await insertActivity(transaction, activity);
    await tell(transaction, activity, `from ${capacity} to ${to}: ${because}`);
  });
  return activity;
}

/** Asks for a change that is pending; ends one that has come about, or can't. */
async function goOn(
  deps: ScalingDeps,
  target: ScalableTarget,
  group: ReplicationGroup,
  activity: ScalingActivity,
): Promise<void> {
  const { to } = activity.change!;
  const reached = capacityOf(group, target.dimension) === to;
  if (group.status === 'deleting' || group.status === 'create-failed') {
    return end(deps, target, activity, `The replication group is ${group.status}.`);
  }
  if (activity.status === 'InProgress') {
    if (group.status !== 'available') return;
    const missed = reached
      ? undefined
      : `The capacity was changed to ${capacityOf(group, target.dimension)}.`;
    return end(deps, target, activity, missed);
  }
  if (!reached) {
    if (group.status !== 'available') return;
    try {
      await applyCapacity(deps.context, target, group, to);
    } catch (error) {
      if (!isServiceError(error)) throw error;
      deps.logger.warn({ group: group.id, error }, 'A change of capacity was refused.');
      return end(deps, target, activity, `${error.code}: ${error.message}`);
    }
  }
  await deps.context.database.transaction().execute((transaction) =>
    updateActivity(transaction, activity.id, {
      status: 'InProgress',
      statusMessage: `Successfully asked to set ${wordOf(target)} to ${to}. Waiting for it to come about.`,
    }),
  );
}

/** @param trouble missing: it came about. */
async function end(
  { context }: ScalingDeps,
  key: ScalableTarget,
  activity: ScalingActivity,
  trouble: string | undefined,
): Promise<void> {
  const { from, to } = activity.change!;
  const endedAtMs = context.nowMs();
  await context.database.transaction().execute(async (transaction) => {
    await updateActivity(transaction, activity.id, {
      status: trouble === undefined ? 'Successful' : 'Failed',
      statusMessage: trouble ?? `Successfully set ${wordOf(key)} to ${to}. Change successfully fulfilled.`,
      endedAtMs,
    });
    await tell(transaction, { ...activity, startedAtMs: endedAtMs }, outcomeOf(from, to, trouble));
    const target = await readTarget(transaction, key);
    if (target === undefined) return;
    const moment =
      trouble !== undefined
        ? { lastFailureAtMs: endedAtMs }
        : to > from
          ? { lastOutAtMs: endedAtMs, boundsDue: false }
          : { lastInAtMs: endedAtMs, boundsDue: false };
    await writeTarget(transaction, { ...target, ...moment });
  });
}

function outcomeOf(from: number, to: number, trouble: string | undefined): string {
  return trouble === undefined
    ? `from ${from} to ${to} succeeded`
    : `from ${from} to ${to} failed: ${trouble}`;
}

function wordOf({ dimension }: Pick<ScalableTarget, 'dimension'>): string {
  return dimension === 'NodeGroups' ? 'node group count' : 'replica count';
}

async function tell(
  transaction: DatabaseTransaction,
  activity: ScalingActivity,
  message: string,
): Promise<void> {
  await recordEvent(transaction, {
    atMs: activity.startedAtMs,
    sourceType: 'replication-group',
    sourceId: activity.groupId,
    message: `Auto scaling of the ${wordOf(activity)} of replication group ${activity.groupId} ${message}`,
  });
}
