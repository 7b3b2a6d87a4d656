/** Targets, policies, scheduled actions and activities, as they are shown. */
import type { ScalingInput, ScalingOutput } from '@larder/contract/application-auto-scaling/model';
import { serviceError } from '@larder/contract/errors';
import type { ControlContext } from '../control-context.ts';
import {
  childArn,
  invalid,
  type Owner,
  readDimension,
  readNamespace,
  readResource,
  serviceRole,
  showKey,
  targetArn,
} from './names.ts';
import type { ScalingActivity } from './scaling.ts';
import { readActions, readActivities, readPolicies, readTargets, type TargetFilter } from './store.ts';

type Context = Pick<ControlContext, 'database'>;

interface Question {
  readonly ServiceNamespace: string;
  readonly ResourceId?: string | undefined;
  readonly ResourceIds?: readonly string[] | undefined;
  readonly ScalableDimension?: string | undefined;
}

interface PageRequest {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

const mostResults = 50;

export async function describeTargets(
  { database }: Context,
  owner: Owner,
  input: ScalingInput<'DescribeScalableTargets'>,
): Promise<ScalingOutput<'DescribeScalableTargets'>> {
  const filter = readFilter(input);
  const ids = input.ResourceIds?.map(readResource);
  const all = (await readTargets(database, filter)).filter(({ groupId }) => ids?.includes(groupId) !== false);
  const { items, ...token } = pageOf(all, input, (each) => `${each.groupId} ${each.dimension}`);
  return {
    ScalableTargets: items.map((each) => ({
      ...showKey(each),
      MinCapacity: each.minCapacity,
      MaxCapacity: each.maxCapacity,
      RoleARN: serviceRole(owner.accountId),
      CreationTime: new Date(each.createdAtMs),
      SuspendedState: {
        DynamicScalingInSuspended: each.suspended.scaleIn,
        DynamicScalingOutSuspended: each.suspended.scaleOut,
        ScheduledScalingSuspended: each.suspended.scheduled,
      },
      ScalableTargetARN: targetArn(each, owner),
    })),
    ...token,
  };
}

export async function describePolicies(
  { database }: Context,
  owner: Owner,
  input: ScalingInput<'DescribeScalingPolicies'>,
): Promise<ScalingOutput<'DescribeScalingPolicies'>> {
  const { PolicyNames: names } = input;
  const all = await readPolicies(database, readFilter(input));
  const wanted = all.filter(({ name }) => names?.includes(name) !== false);
  const { items, ...token } = pageOf(wanted, input, keyOfNamed);
  return {
    ScalingPolicies: items.map((each) => ({
      ...showKey(each),
      PolicyARN: childArn('scalingPolicy', each, owner),
      PolicyName: each.name,
      PolicyType: 'TargetTrackingScaling',
      CreationTime: new Date(each.createdAtMs),
      TargetTrackingScalingPolicyConfiguration: each.configuration,
      Alarms: [],
    })),
    ...token,
  };
}

export async function describeActions(
  { database }: Context,
  owner: Owner,
  input: ScalingInput<'DescribeScheduledActions'>,
): Promise<ScalingOutput<'DescribeScheduledActions'>> {
  const { ScheduledActionNames: names } = input;
  const all = await readActions(database, readFilter(input));
  const wanted = all.filter(({ name }) => names?.includes(name) !== false);
  const { items, ...token } = pageOf(wanted, input, keyOfNamed);
  return {
    ScheduledActions: items.map((each) => ({
      ...showKey(each),
      ScheduledActionName: each.name,
      ScheduledActionARN: childArn('scheduledAction', each, owner),
      Schedule: each.schedule,
      Timezone: each.timezone,
      StartTime: each.startAtMs === undefined ? undefined : new Date(each.startAtMs),
      EndTime: each.endAtMs === undefined ? undefined : new Date(each.endAtMs),
      ScalableTargetAction: { MinCapacity: each.minCapacity, MaxCapacity: each.maxCapacity },
      CreationTime: new Date(each.createdAtMs),
    })),
    ...token,
  };
}

/** The newest first. */
export async function describeActivities(
  { database }: Context,
  input: ScalingInput<'DescribeScalingActivities'>,
): Promise<ScalingOutput<'DescribeScalingActivities'>> {
  const { limit, after } = readPage(input);
  if (after !== undefined && !/^\d{1,15}$/.test(after)) throw foreignToken();
  const found = await readActivities(database, {
    ...readFilter(input),
    limit: limit + 1,
    onlyScaled: input.IncludeNotScaledActivities !== true,
    ...(after !== undefined && { beforeNumber: Number(after) }),
  });
  const items = found.slice(0, limit);
  return {
    ScalingActivities: items.map(({ activity }) => showActivity(activity)),
    ...(found.length > limit && { NextToken: tokenOf(String(items.at(-1)!.number)) }),
  };
}

type ShownActivity = NonNullable<ScalingOutput<'DescribeScalingActivities'>['ScalingActivities']>[number];

function showActivity(activity: ScalingActivity): ShownActivity {
  const { notScaled, change, endedAtMs } = activity;
  return {
    ...showKey(activity),
    ActivityId: activity.id,
    Description: activity.description,
    Cause: activity.cause,
    StartTime: new Date(activity.startedAtMs),
    EndTime: endedAtMs === undefined ? undefined : new Date(endedAtMs),
    StatusCode: activity.status,
    StatusMessage: activity.statusMessage,
    Details: change === undefined ? undefined : JSON.stringify(change),
    NotScaledReasons:
      notScaled === undefined
        ? undefined
        : [
            {
              Code: notScaled.code,
              CurrentCapacity: notScaled.capacity,
              ...(notScaled.code === 'AlreadyAtMaxCapacity' && { MaxCapacity: notScaled.capacity }),
            },
          ],
  };
}

function readFilter(question: Question): TargetFilter {
  readNamespace(question.ServiceNamespace);
  const { ResourceId: resource, ResourceIds: resources, ScalableDimension: dimension } = question;
  if (dimension !== undefined && resource === undefined && resources === undefined) {
    throw invalid('ScalableDimension needs the id of a resource beside it.');
  }
  return {
    groupId: resource === undefined ? undefined : readResource(resource),
    dimension: dimension === undefined ? undefined : readDimension(dimension),
  };
}

function keyOfNamed(each: {
  readonly groupId: string;
  readonly dimension: string;
  readonly name: string;
}): string {
  return `${each.groupId} ${each.dimension} ${each.name}`;
}

/** A page of what is all in memory, in the order of its keys. */
function pageOf<T>(
  all: readonly T[],
  request: PageRequest,
  keyOf: (item: T) => string,
): { readonly items: readonly T[]; readonly NextToken?: string } {
  const { limit, after } = readPage(request);
  const rest = all.filter((item) => after === undefined || keyOf(item) > after);
  const items = rest.slice(0, limit);
  return rest.length > limit ? { items, NextToken: tokenOf(keyOf(items.at(-1)!)) } : { items };
}

function readPage({ MaxResults: limit = mostResults, NextToken: token }: PageRequest): {
  readonly limit: number;
  readonly after: string | undefined;
} {
  if (!Number.isInteger(limit) || limit < 1 || limit > mostResults) {
    throw invalid(`MaxResults must be a whole number from 1 to ${mostResults}.`);
  }
  if (token === undefined || token === '') return { limit, after: undefined };
  const text = Buffer.from(token, 'base64url').toString('utf8');
  if (!text.startsWith('after:')) throw foreignToken();
  return { limit, after: text.slice('after:'.length) };
}

function tokenOf(key: string): string {
  return Buffer.from(`after:${key}`, 'utf8').toString('base64url');
}

function foreignToken() {
  return serviceError('InvalidNextTokenException', 'NextToken is not one that a previous answer gave.');
}
