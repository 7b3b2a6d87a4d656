/**
 * Application Auto Scaling's API as data and as types: the ten operations that scale ElastiCache, and of their shapes
 * what ElastiCache can use. Names, bounds and error codes are those of API version 2016-02-06.
 */
import {
  type DescribedOperation,
  flag,
  list,
  modelOf,
  number,
  operation,
  structure,
  text,
  timestamp,
} from '../described.ts';
import type { OperationModel } from '../service-model.ts';

export const applicationAutoScaling = {
  apiVersion: '2016-02-06',
  signingName: 'application-autoscaling',
  /** `X-Amz-Target: AnyScaleFrontendService.RegisterScalableTarget` */
  targetPrefix: 'AnyScaleFrontendService.',
  /** Code -> HTTP status. */
  errors: {
    ConcurrentUpdateException: 500,
    FailedResourceAccessException: 400,
    InternalServiceException: 500,
    InvalidNextTokenException: 400,
    LimitExceededException: 400,
    ObjectNotFoundException: 400,
    ValidationException: 400,
  },
} as const;

export type ScalingErrorName = keyof typeof applicationAutoScaling.errors;

const name = text({ least: 1, most: 1600 });
const actionName = text({ least: 1, most: 256 });
const token = text({ least: 0, most: 4096 });
/** Of which only is said that it is there: it has no effect, and is refused. */
const ignored = structure('Ignored', {}, {});

/** What every object belongs to. */
const target = { ServiceNamespace: name, ResourceId: name, ScalableDimension: name };
/** What every Describe operation takes. */
const page = { ScalableDimension: name, MaxResults: number, NextToken: token };

const suspendedState = structure(
  'SuspendedState',
  {},
  {
    DynamicScalingInSuspended: flag,
    DynamicScalingOutSuspended: flag,
    ScheduledScalingSuspended: flag,
  },
);

const targetTracking = structure(
  'TargetTrackingScalingPolicyConfiguration',
  { TargetValue: number },
  {
    PredefinedMetricSpecification: structure(
      'PredefinedMetricSpecification',
      { PredefinedMetricType: name },
      { ResourceLabel: text({ least: 1, most: 1023 }) },
    ),
    CustomizedMetricSpecification: structure(
      'CustomizedMetricSpecification',
      {},
      {
        MetricName: name,
        Namespace: name,
        Dimensions: list(structure('MetricDimension', { Name: name, Value: name }, {}), 30),
        Statistic: name,
        Unit: name,
        Metrics: list(ignored, 500),
      },
    ),
    ScaleOutCooldown: number,
    ScaleInCooldown: number,
    DisableScaleIn: flag,
  },
);

const capacities = structure('ScalableTargetAction', {}, { MinCapacity: number, MaxCapacity: number });

const alarms = list(structure('Alarm', { AlarmName: name, AlarmARN: name }, {}));

const scalableTarget = structure(
  'ScalableTarget',
  { ...target, MinCapacity: number, MaxCapacity: number, RoleARN: name, CreationTime: timestamp },
  { SuspendedState: suspendedState, ScalableTargetARN: name },
);

const scalingPolicy = structure(
  'ScalingPolicy',
  { ...target, PolicyARN: name, PolicyName: actionName, PolicyType: name, CreationTime: timestamp },
  { TargetTrackingScalingPolicyConfiguration: targetTracking, Alarms: alarms },
);

const scheduledAction = structure(
  'ScheduledAction',
  { ...target, ScheduledActionName: actionName, ScheduledActionARN: name, Schedule: name },
  {
    Timezone: name,
    StartTime: timestamp,
    EndTime: timestamp,
    ScalableTargetAction: capacities,
    CreationTime: timestamp,
  },
);

const scalingActivity = structure(
  'ScalingActivity',
  { ...target, ActivityId: name, Description: name, Cause: name, StartTime: timestamp, StatusCode: name },
  {
    EndTime: timestamp,
    StatusMessage: name,
    Details: name,
    NotScaledReasons: list(
      structure(
        'NotScaledReason',
        { Code: name },
        { MaxCapacity: number, MinCapacity: number, CurrentCapacity: number },
      ),
    ),
  },
);

const operations = {
  RegisterScalableTarget: operation(
    structure('RegisterScalableTargetRequest', target, {
      MinCapacity: number,
      MaxCapacity: number,
      RoleARN: name,
      SuspendedState: suspendedState,
      Tags: ignored,
    }),
    structure('RegisterScalableTargetResponse', {}, { ScalableTargetARN: name }),
  ),
  DeregisterScalableTarget: operation(
    structure('DeregisterScalableTargetRequest', target, {}),
    structure('DeregisterScalableTargetResponse', {}, {}),
  ),
  DescribeScalableTargets: operation(
    structure(
      'DescribeScalableTargetsRequest',
      { ServiceNamespace: name },
      { ...page, ResourceIds: list(name, 50) },
    ),
    structure(
      'DescribeScalableTargetsResponse',
      {},
      { ScalableTargets: list(scalableTarget), NextToken: token },
    ),
  ),
  PutScalingPolicy: operation(
    structure(
      'PutScalingPolicyRequest',
      { PolicyName: actionName, ...target },
      {
        PolicyType: name,
        TargetTrackingScalingPolicyConfiguration: targetTracking,
        StepScalingPolicyConfiguration: ignored,
        PredictiveScalingPolicyConfiguration: ignored,
      },
    ),
    structure('PutScalingPolicyResponse', { PolicyARN: name }, { Alarms: alarms }),
  ),
  DeleteScalingPolicy: operation(
    structure('DeleteScalingPolicyRequest', { PolicyName: name, ...target }, {}),
    structure('DeleteScalingPolicyResponse', {}, {}),
  ),
  DescribeScalingPolicies: operation(
    structure(
      'DescribeScalingPoliciesRequest',
      { ServiceNamespace: name },
      { ...page, ResourceId: name, PolicyNames: list(name, 50) },
    ),
    structure(
      'DescribeScalingPoliciesResponse',
      {},
      { ScalingPolicies: list(scalingPolicy), NextToken: token },
    ),
  ),
  DescribeScalingActivities: operation(
    structure(
      'DescribeScalingActivitiesRequest',
      { ServiceNamespace: name },
      { ...page, ResourceId: name, IncludeNotScaledActivities: flag },
    ),
    structure(
      'DescribeScalingActivitiesResponse',
      {},
      { ScalingActivities: list(scalingActivity), NextToken: token },
    ),
  ),
  PutScheduledAction: operation(
    structure(
      'PutScheduledActionRequest',
      { ScheduledActionName: actionName, ...target },
      {
        Schedule: name,
        Timezone: name,
        StartTime: timestamp,
        EndTime: timestamp,
        ScalableTargetAction: capacities,
      },
    ),
    structure('PutScheduledActionResponse', {}, {}),
  ),
  DeleteScheduledAction: operation(
    structure('DeleteScheduledActionRequest', { ScheduledActionName: name, ...target }, {}),
    structure('DeleteScheduledActionResponse', {}, {}),
  ),
  DescribeScheduledActions: operation(
    structure(
      'DescribeScheduledActionsRequest',
      { ServiceNamespace: name },
      { ...page, ResourceId: name, ScheduledActionNames: list(name, 50) },
    ),
    structure(
      'DescribeScheduledActionsResponse',
      {},
      { ScheduledActions: list(scheduledAction), NextToken: token },
    ),
  ),
};

export type ScalingOperationName = keyof typeof operations;

/** What a handler receives: decoded, of the modelled types, every required member present. */
export type ScalingInput<Op extends ScalingOperationName> =
  (typeof operations)[Op] extends DescribedOperation<infer Request, unknown> ? Request : never;

export type ScalingOutput<Op extends ScalingOperationName> =
  (typeof operations)[Op] extends DescribedOperation<unknown, infer Result> ? Result : never;

const models: ReadonlyMap<string, OperationModel> = new Map(
  Object.entries(operations).map(([operationName, described]) => [
    operationName,
    modelOf(operationName, described),
  ]),
);

export const scalingOperationNames: readonly ScalingOperationName[] = [...models.keys()].filter(
  isScalingOperationName,
);

export function isScalingOperationName(value: string): value is ScalingOperationName {
  return models.has(value);
}

export function scalingOperationModel(value: ScalingOperationName): OperationModel {
  return models.get(value)!;
}
