/** Application Auto Scaling's requests as bytes: who may send them, what arrives at a handler, and what comes back. */
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import { scalingOperationNames } from '@larder/contract/application-auto-scaling/model';
import { serviceError } from '@larder/contract/errors';
import { afterEach, expect, test } from 'vitest';
import { signedSender } from '../../../../testing/signed-request.ts';
import type { LookupAccessKey } from './authenticate.ts';
import { type RunningApi, startApi } from './running-api.test-support.ts';

const running: RunningApi[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

let received: unknown[] = [];
const operator: LookupAccessKey = async () => ({ secretAccessKey: 'secret', rights: 'operator' });
const reader: LookupAccessKey = async () => ({ secretAccessKey: 'secret', rights: 'read-only' });

/** Every operation records its input and answers `{}`, but for those given. */
async function start(lookupAccessKey: LookupAccessKey, handlers: Partial<ScalingHandlers> = {}) {
  received = [];
  const record = async (input: unknown) => {
    received.push(input);
    return {};
  };
  const recording = Object.fromEntries(scalingOperationNames.map((name) => [name, record]));
  const api = await startApi({
    lookupAccessKey,
    scalingHandlers: { ...recording, ...handlers } as ScalingHandlers,
  });
  running.push(api);
  return api;
}

async function send(
  api: RunningApi,
  operation: string,
  body: object | string,
  change: { service?: string; signed?: boolean; contentType?: string } = {},
) {
  const access = { endpoint: api.url, region: 'eu-test-1', accessKeyId: 'AK', secretAccessKey: 'secret' };
  const { status, body: text } = await signedSender(
    access,
    1,
    change.service ?? 'application-autoscaling',
  )({
    method: 'POST',
    path: '/',
    contentType: change.contentType ?? 'application/x-amz-json-1.1',
    target: `AnyScaleFrontendService.${operation}`,
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    signed: change.signed ?? true,
  });
  return { status, answer: JSON.parse(text) };
}

const key = {
  ServiceNamespace: 'elasticache',
  ResourceId: 'replication-group/shop',
  ScalableDimension: 'elasticache:replication-group:Replicas',
};

test('what is sent arrives, and what is answered comes back', async () => {
  const at = new Date('2026-11-23T10:00:00.250Z');
  const api = await start(operator, {
    DescribeScheduledActions: async () => ({
      ScheduledActions: [
        {
          ...key,
          ScheduledActionName: 'a',
          ScheduledActionARN: 'arn',
          Schedule: 'rate(1 day)',
          StartTime: at,
        },
      ],
    }),
  });
  const sent = {
    PolicyName: 'cpu',
    ...key,
    PolicyType: 'TargetTrackingScaling',
    TargetTrackingScalingPolicyConfiguration: {
      TargetValue: 42.5,
      PredefinedMetricSpecification: { PredefinedMetricType: 'ElastiCacheReplicaEngineCPUUtilization' },
      ScaleInCooldown: 60,
      DisableScaleIn: false,
    },
  };
  expect(await send(api, 'PutScalingPolicy', { ...sent, Unknown: 1 })).toEqual({ status: 200, answer: {} });
  expect(received).toEqual([sent]);
  const { answer } = await send(api, 'DescribeScheduledActions', { ServiceNamespace: 'elasticache' });
  expect(answer.ScheduledActions).toEqual([
    {
      ...key,
      ScheduledActionName: 'a',
      ScheduledActionARN: 'arn',
      Schedule: 'rate(1 day)',
      StartTime: at.getTime() / 1000,
    },
  ]);
});

test.each(scalingOperationNames)('a read-only key: %s', async (operation) => {
  const api = await start(reader);
  const names = { PolicyName: 'p', ScheduledActionName: 's' };
  const { status, answer } = await send(api, operation, { ...key, ...names });
  if (operation.startsWith('Describe')) {
    expect([status, received.length]).toEqual([200, 1]);
  } else {
    expect([status, answer.__type, received]).toEqual([403, 'AccessDeniedException', []]);
  }
});

test.each([
  [
    'without a signature',
    'DescribeScalableTargets',
    key,
    { signed: false },
    'MissingAuthenticationTokenException',
  ],
  [
    'signed for ElastiCache',
    'DescribeScalableTargets',
    key,
    { service: 'elasticache' },
    'InvalidSignatureException',
  ],
  ['of another operation', 'TagResource', {}, {}, 'UnknownOperationException'],
  ['of a name of the prototype', 'constructor', {}, {}, 'UnknownOperationException'],
  ['that is no JSON', 'DescribeScalableTargets', '{', {}, 'SerializationException'],
  ['without its namespace', 'DescribeScalableTargets', {}, {}, 'ValidationException'],
  [
    'as a form',
    'DescribeScalableTargets',
    key,
    { contentType: 'application/x-www-form-urlencoded' },
    'UnsupportedMediaType',
  ],
])('refuses a request %s', async (_, operation, body, change, type) => {
  const api = await start(operator);
  const { status, answer } = await send(api, operation, body, change);
  expect([answer.__type, received]).toEqual([type, []]);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
});

test('an error of the handler by its name; what was not foreseen says nothing', async () => {
  const api = await start(operator, {
    PutScalingPolicy: async () => {
      throw serviceError('ObjectNotFoundException', 'No scalable target.', { hint: 'Register one.' });
    },
    DeleteScalingPolicy: async () => {
      throw new Error('secret');
    },
  });
  expect(await send(api, 'PutScalingPolicy', { ...key, PolicyName: 'p' })).toEqual({
    status: 400,
    answer: { __type: 'ObjectNotFoundException', message: 'No scalable target. Register one.' },
  });
  const { status, answer } = await send(api, 'DeleteScalingPolicy', { ...key, PolicyName: 'p' });
  expect([status, answer.__type]).toEqual([500, 'InternalServiceException']);
  expect(JSON.stringify(answer)).not.toContain('secret');
  expect(api.errors).toHaveLength(1);
});
