/** RegisterScalableTarget, PutScalingPolicy, PutScheduledAction, and their opposites. */
import { randomUUID } from 'node:crypto';
import type { ScalingInput } from '@larder/contract/application-auto-scaling/model';
import { serviceError } from '@larder/contract/errors';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { readReplicationGroup } from '../replication-group/store.ts';
import { invalid, readKey, unregistered } from './names.ts';
import type {
  ScalableTarget,
  ScalingPolicy,
  ScheduledAction,
  Suspended,
  TargetKey,
  TrackingConfiguration,
} from './scaling.ts';
import { isTimezone, nextOccurrence, parseSchedule } from './schedule.ts';
import {
  deleteNamed,
  deleteTarget,
  readActions,
  readPolicies,
  readTarget,
  writeAction,
  writePolicy,
  writeTarget,
} from './store.ts';
import { readTracking } from './tracking.ts';

type Context = Pick<ControlContext, 'database' | 'nowMs' | 'wake'>;

/** AWS's own bounds of what may be asked for. */
const capacityBounds = { NodeGroups: { least: 1, most: 250 }, Replicas: { least: 1, most: 5 } } as const;
const mostPolicies = 50;
const mostActions = 200;

/** @throws ServiceError ValidationException */
export async function registerTarget(
  context: Context,
  region: string,
  input: ScalingInput<'RegisterScalableTarget'>,
): Promise<ScalableTarget> {
  const key = readKey(input);
  if (input.Tags !== undefined)
    throw invalid('Tags of scalable targets have no effect here; leave Tags out.');
  return change(context, key, async (transaction) => {
    const group = await readReplicationGroup(transaction, key.groupId);
    if (group === undefined) throw invalid(`Replication group ${key.groupId} does not exist.`);
    if (key.dimension === 'NodeGroups' && !group.intent.clusterEnabled) {
      throw invalid(`Replication group ${key.groupId} has no cluster mode, so it always has one node group.`);
    }
    const present = await readTarget(transaction, key);
    const minCapacity = input.MinCapacity ?? present?.minCapacity;
    const maxCapacity = input.MaxCapacity ?? present?.maxCapacity;
    if (minCapacity === undefined || maxCapacity === undefined) {
      throw invalid('A new scalable target needs MinCapacity and MaxCapacity.');
    }
    checkCapacities(key, minCapacity, maxCapacity);
    const target: ScalableTarget = {
      ...(present ?? { ...key, createdAtMs: context.nowMs(), boundsDue: false }),
      region,
      minCapacity,
      maxCapacity,
      suspended: readSuspended(input.SuspendedState, present?.suspended),
    };
    await writeTarget(transaction, target);
    return target;
  });
}

function readSuspended(
  given: ScalingInput<'RegisterScalableTarget'>['SuspendedState'],
  present: Suspended = { scaleIn: false, scaleOut: false, scheduled: false },
): Suspended {
  return {
    scaleIn: given?.DynamicScalingInSuspended ?? present.scaleIn,
    scaleOut: given?.DynamicScalingOutSuspended ?? present.scaleOut,
    scheduled: given?.ScheduledScalingSuspended ?? present.scheduled,
  };
}

/** Nodes stay as they are. @throws ServiceError ObjectNotFoundException, ValidationException */
export async function deregisterTarget(
  context: Context,
  input: ScalingInput<'DeregisterScalableTarget'>,
): Promise<void> {
  const key = readKey(input);
  await change(context, key, async (transaction) => {
    await registered(transaction, key);
    await deleteTarget(transaction, key);
  });
}

/** Made, or replaced as a whole. @throws ServiceError ObjectNotFoundException, LimitExceededException, … */
export async function putPolicy(
  context: Context,
  input: ScalingInput<'PutScalingPolicy'>,
): Promise<ScalingPolicy> {
  const key = readKey(input);
  const name = readName('PolicyName', input.PolicyName);
  const { TargetTrackingScalingPolicyConfiguration: asked } = input;
  if (
    input.StepScalingPolicyConfiguration !== undefined ||
    input.PredictiveScalingPolicyConfiguration !== undefined
  ) {
    throw onlyTracking();
  }
  if (asked === undefined) throw invalid('TargetTrackingScalingPolicyConfiguration must be provided.');
  if (asked.CustomizedMetricSpecification?.Metrics !== undefined) {
    throw invalid('Metric math has no effect here; give MetricName, Namespace and Statistic.');
  }
  const configuration = JSON.parse(JSON.stringify(asked)) as TrackingConfiguration;
  const metric = readTracking(key.groupId, key.dimension, configuration);
  return change(context, key, async (transaction) => {
    await registered(transaction, key);
    const others = await readPolicies(transaction, key);
    const present = others.find((each) => each.name === name);
    // Of a policy that is there the type need not be said again.
    if (
      input.PolicyType !== 'TargetTrackingScaling' &&
      (input.PolicyType !== undefined || present === undefined)
    ) {
      throw onlyTracking();
    }
    if (present === undefined && others.length >= mostPolicies) {
      throw tooMany(`A scalable target may have at most ${mostPolicies} scaling policies.`);
    }
    const policy: ScalingPolicy = {
      ...key,
      name,
      id: present?.id ?? randomUUID(),
      createdAtMs: present?.createdAtMs ?? context.nowMs(),
      configuration,
      metric,
    };
    await writePolicy(transaction, policy);
    return policy;
  });
}

/** @throws ServiceError ObjectNotFoundException */
export async function deletePolicy(
  context: Context,
  input: ScalingInput<'DeleteScalingPolicy'>,
): Promise<void> {
  const key = readKey(input);
  await change(context, key, async (transaction) => {
    if (await deleteNamed(transaction, 'scaling_policy', { ...key, name: input.PolicyName })) return;
    throw notThere(`No scaling policy is named ${input.PolicyName.slice(0, 100)} there.`);
  });
}

/** Made, or changed in what is given. @throws ServiceError ObjectNotFoundException, LimitExceededException, … */
export async function putAction(context: Context, input: ScalingInput<'PutScheduledAction'>): Promise<void> {
  const key = readKey(input);
  const name = readName('ScheduledActionName', input.ScheduledActionName);
  await change(context, key, async (transaction) => {
    await registered(transaction, key);
    const others = await readActions(transaction, key);
    const present = others.find((each) => each.name === name);
    if (present === undefined && others.length >= mostActions) {
      throw tooMany(`A scalable target may have at most ${mostActions} scheduled actions.`);
    }
    const schedule = input.Schedule ?? present?.schedule;
    const capacities = {
      minCapacity: input.ScalableTargetAction?.MinCapacity ?? present?.minCapacity,
      maxCapacity: input.ScalableTargetAction?.MaxCapacity ?? present?.maxCapacity,
    };
    if (schedule === undefined) throw invalid('A new scheduled action needs a Schedule.');
    const { minCapacity: least, maxCapacity: most } = capacities;
    if (least === undefined && most === undefined) {
      throw invalid('ScalableTargetAction needs a MinCapacity or a MaxCapacity.');
    }
    checkCapacities(key, (least ?? most)!, (most ?? least)!);
    await writeAction(
      transaction,
      scheduled(
        {
          ...key,
          name,
          id: present?.id ?? randomUUID(),
          createdAtMs: present?.createdAtMs ?? context.nowMs(),
          schedule,
          ...given({
            timezone: input.Timezone ?? present?.timezone,
            startAtMs: input.StartTime?.getTime() ?? present?.startAtMs,
            endAtMs: input.EndTime?.getTime() ?? present?.endAtMs,
            ...capacities,
          }),
        },
        context.nowMs(),
      ),
    );
  });
}

/** With the time of its next run. @throws ServiceError ValidationException when there is none. */
function scheduled(action: ScheduledAction, nowMs: number): ScheduledAction {
  const { timezone, startAtMs, endAtMs } = action;
  if (timezone !== undefined && !isTimezone(timezone)) {
    throw invalid(`Timezone ${timezone.slice(0, 60)} is not known; use a name such as Europe/Berlin.`);
  }
  if (startAtMs !== undefined && endAtMs !== undefined && endAtMs <= startAtMs) {
    throw invalid('EndTime must be after StartTime.');
  }
  const schedule = parseSchedule(action.schedule);
  if (schedule === undefined) {
    throw invalid(
      'Schedule must be at(yyyy-mm-ddThh:mm:ss), rate(N minutes|hours|days) or cron(minutes hours day-of-month month day-of-week year), one of the days ?; L, W and # are not read.',
    );
  }
  const nextAtMs = nextOccurrence({ ...action, schedule }, nowMs);
  if (nextAtMs === undefined)
    throw invalid('By its Schedule, StartTime and EndTime the action would never run.');
  return { ...action, nextAtMs };
}

/** @throws ServiceError ObjectNotFoundException */
export async function deleteAction(
  context: Context,
  input: ScalingInput<'DeleteScheduledAction'>,
): Promise<void> {
  const key = readKey(input);
  await change(context, key, async (transaction) => {
    if (await deleteNamed(transaction, 'scheduled_action', { ...key, name: input.ScheduledActionName }))
      return;
    throw notThere(`No scheduled action is named ${input.ScheduledActionName.slice(0, 100)} there.`);
  });
}

async function change<T>(
  { database, wake }: Context,
  { groupId }: TargetKey,
  work: (transaction: DatabaseTransaction) => Promise<T>,
): Promise<T> {
  const result = await database.transaction().execute(work);
  wake('scaling', groupId);
  return result;
}

async function registered(transaction: DatabaseTransaction, key: TargetKey): Promise<ScalableTarget> {
  const target = await readTarget(transaction, key);
  if (target === undefined) throw unregistered(key);
  return target;
}

function checkCapacities({ dimension }: TargetKey, min: number, max: number): void {
  const { least, most } = capacityBounds[dimension];
  const fits = (value: number) => Number.isInteger(value) && value >= least && value <= most;
  if (fits(min) && fits(max) && min <= max) return;
  throw invalid(
    `MinCapacity and MaxCapacity of ${dimension} must be whole numbers from ${least} to ${most}, the first not above the second.`,
  );
}

function readName(parameter: string, name: string): string {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(name) && !/[:/|]/.test(name)) return name;
  throw invalid(`${parameter} must be printable, without : / and |, and without blanks at its ends.`);
}

/** Without members that are undefined. */
function given<T extends object>(members: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}

function onlyTracking() {
  return invalid('ElastiCache is scaled by policies of the PolicyType TargetTrackingScaling alone.');
}

function tooMany(message: string) {
  return serviceError('LimitExceededException', message);
}

function notThere(message: string) {
  return serviceError('ObjectNotFoundException', message);
}
