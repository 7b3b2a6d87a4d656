/** What is taken, what is refused, and what is shown of it, over a state of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import type {
  ScalingInput,
  ScalingOperationName,
  ScalingOutput,
} from '@larder/contract/application-auto-scaling/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ControlContext } from '../control-context.ts';
import { connectDatabase, type Database } from '../database/connect.ts';
import { clusterGroup, replicatedGroup } from '../replication-group/group.test-support.ts';
import { insertReplicationGroup } from '../replication-group/store.ts';
import { scalingHandlers } from './handlers.ts';

const caller = { requestId: 'r', accessKeyId: undefined, accountId: '000000000000', region: 'us-east-1' };
const nowMs = Date.UTC(2026, 10, 23, 12);
let folder: string;
let database: Database;
let handlers: ScalingHandlers;
let woken: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'larder-scaling-'));
  database = connectDatabase(join(folder, 'state.db'));
  woken = [];
  const wake = (resource: string, id: string) => woken.push(`${resource} ${id}`);
  handlers = scalingHandlers({ database, nowMs: () => nowMs, wake } as unknown as ControlContext);
  await database.transaction().execute(async (transaction) => {
    await insertReplicationGroup(transaction, replicatedGroup(1, { id: 'plain' }));
    await insertReplicationGroup(transaction, renamed(clusterGroup(2, 1)));
  });
});

afterEach(async () => {
  await database.destroy();
  rmSync(folder, { recursive: true });
});

/** Members' names are unique, and both groups of the support name theirs alike. */
function renamed(group: ReturnType<typeof clusterGroup>) {
  const name = (id: string) => `c${id}`;
  return {
    ...group,
    id: 'shards',
    nodeGroups: group.nodeGroups.map((each) => ({
      ...each,
      primary: name(each.primary),
      members: each.members.map((member) => ({ ...member, id: name(member.id) })),
    })),
  };
}

const call = <Op extends ScalingOperationName>(operation: Op, input: ScalingInput<Op>) =>
  handlers[operation](input, caller) as Promise<ScalingOutput<Op>>;

/** The code of what a request is refused with. */
function refusal<Op extends ScalingOperationName>(operation: Op, input: ScalingInput<Op>): Promise<string> {
  return call(operation, input).then(
    () => 'taken',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
}

const replicas = {
  ServiceNamespace: 'elasticache',
  ResourceId: 'replication-group/plain',
  ScalableDimension: 'elasticache:replication-group:Replicas',
};
const shards = {
  ServiceNamespace: 'elasticache',
  ResourceId: 'replication-group/shards',
  ScalableDimension: 'elasticache:replication-group:NodeGroups',
};
const everything = { ServiceNamespace: 'elasticache' };
const tracking = (type: string, more: object = {}) => ({
  PolicyName: 'cpu',
  PolicyType: 'TargetTrackingScaling',
  TargetTrackingScalingPolicyConfiguration: {
    TargetValue: 50,
    PredefinedMetricSpecification: { PredefinedMetricType: type },
    ...more,
  },
});
const replicaCpu = 'ElastiCacheReplicaEngineCPUUtilization';

describe('a scalable target', () => {
  test('is registered, changed in what is given, shown and taken away', async () => {
    const { ScalableTargetARN } = await call('RegisterScalableTarget', {
      ...replicas,
      MinCapacity: 1,
      MaxCapacity: 5,
    });
    await call('RegisterScalableTarget', {
      ...replicas,
      MaxCapacity: 3,
      SuspendedState: { DynamicScalingInSuspended: true },
    });
    const { ScalableTargets } = await call('DescribeScalableTargets', everything);
    expect(ScalableTargets).toEqual([
      {
        ...replicas,
        MinCapacity: 1,
        MaxCapacity: 3,
        RoleARN: expect.stringContaining('AWSServiceRoleForApplicationAutoScaling_ElastiCacheRG'),
        CreationTime: new Date(nowMs),
        SuspendedState: {
          DynamicScalingInSuspended: true,
          DynamicScalingOutSuspended: false,
          ScheduledScalingSuspended: false,
        },
        ScalableTargetARN,
      },
    ]);
    await call('DeregisterScalableTarget', replicas);
    expect((await call('DescribeScalableTargets', everything)).ScalableTargets).toEqual([]);
    expect(await refusal('DeregisterScalableTarget', replicas)).toBe('ObjectNotFoundException');
    expect(woken).toEqual(['scaling plain', 'scaling plain', 'scaling plain']);
  });

  test.each([
    ['of another service', { ServiceNamespace: 'ecs' }],
    ['of another kind', { ResourceId: 'cache-cluster/plain' }],
    ['without an id', { ResourceId: 'replication-group/' }],
    ['that is not there', { ResourceId: 'replication-group/nobody' }],
    ['of another dimension', { ScalableDimension: 'ecs:service:DesiredCount' }],
    ['with shards but no cluster mode', { ScalableDimension: shards.ScalableDimension }],
    ['with no maximum', { MaxCapacity: undefined }],
    ['with crossed bounds', { MinCapacity: 4, MaxCapacity: 3 }],
    ['with half a replica', { MinCapacity: 1.5 }],
    ['with no replica', { MinCapacity: 0 }],
    ['with six replicas', { MaxCapacity: 6 }],
    ['with tags', { Tags: {} }],
  ])('is refused: one %s', async (_, change) => {
    const input = { ...replicas, MinCapacity: 1, MaxCapacity: 5, ...change };
    expect(await refusal('RegisterScalableTarget', input)).toBe('ValidationException');
    expect(woken).toEqual([]);
  });

  test('of shards reaches to 250', async () => {
    const register = (MaxCapacity: number) =>
      refusal('RegisterScalableTarget', { ...shards, MinCapacity: 1, MaxCapacity });
    expect([await register(250), await register(251)]).toEqual(['taken', 'ValidationException']);
  });
});

describe('a policy', () => {
  beforeEach(async () => {
    await call('RegisterScalableTarget', { ...replicas, MinCapacity: 1, MaxCapacity: 5 });
    await call('RegisterScalableTarget', { ...shards, MinCapacity: 1, MaxCapacity: 5 });
  });

  test('is made, replaced under its name, shown as it was sent, and taken away', async () => {
    const { PolicyARN } = await call('PutScalingPolicy', { ...replicas, ...tracking(replicaCpu) });
    const again = await call('PutScalingPolicy', {
      ...replicas,
      ...tracking(replicaCpu, { ScaleInCooldown: 1 }),
      PolicyType: undefined,
    });
    expect(again.PolicyARN).toBe(PolicyARN);
    const { ScalingPolicies } = await call('DescribeScalingPolicies', everything);
    expect(ScalingPolicies).toEqual([
      {
        ...replicas,
        ...tracking(replicaCpu, { ScaleInCooldown: 1 }),
        PolicyARN,
        CreationTime: new Date(nowMs),
        Alarms: [],
      },
    ]);
    await call('DeleteScalingPolicy', { ...replicas, PolicyName: 'cpu' });
    expect(await refusal('DeleteScalingPolicy', { ...replicas, PolicyName: 'cpu' })).toBe(
      'ObjectNotFoundException',
    );
  });

  test('of connections is a customized metric', async () => {
    const connections = (more: object) => ({
      ...shards,
      ...tracking(replicaCpu, {
        TargetValue: 5_000,
        PredefinedMetricSpecification: undefined,
        CustomizedMetricSpecification: {
          Namespace: 'AWS/ElastiCache',
          MetricName: 'CurrConnections',
          Statistic: 'Average',
          ...more,
        },
      }),
    });
    const own = { Name: 'ReplicationGroupId', Value: 'shards' };
    const taken = [
      {},
      { Statistic: 'Maximum', Unit: 'Count' },
      { Dimensions: [own, { Name: 'Role', Value: 'Primary' }] },
    ];
    for (const more of taken) expect(await refusal('PutScalingPolicy', connections(more))).toBe('taken');
    for (const more of [
      { MetricName: 'CacheHits' },
      { Namespace: 'AWS/EC2' },
      { Statistic: 'Sum' },
      { Unit: 'Percent' },
      { Dimensions: [{ ...own, Value: 'other' }] },
      { Dimensions: [{ Name: 'CacheClusterId', Value: 'x' }] },
      { Metrics: [{}] },
    ]) {
      expect([more, await refusal('PutScalingPolicy', connections(more))]).toEqual([
        more,
        'ValidationException',
      ]);
    }
  });

  test.each([
    ['of steps', { ...tracking(replicaCpu), StepScalingPolicyConfiguration: {} }],
    ['of another type', { ...tracking(replicaCpu), PolicyType: 'StepScaling' }],
    ['without a type', { ...tracking(replicaCpu), PolicyType: undefined }],
    ['without a configuration', { PolicyName: 'p', PolicyType: 'TargetTrackingScaling' }],
    ['of shards', tracking('ElastiCachePrimaryEngineCPUUtilization')],
    ['of another service', tracking('ECSServiceAverageCPUUtilization')],
    ['named like a prototype', tracking('constructor')],
    ['of no target', tracking(replicaCpu, { TargetValue: 0 })],
    ['of more than all', tracking(replicaCpu, { TargetValue: 101 })],
    ['of half a second', tracking(replicaCpu, { ScaleInCooldown: 0.5 })],
    ['of no metric', tracking(replicaCpu, { PredefinedMetricSpecification: undefined })],
    ['of a bad name', { ...tracking(replicaCpu), PolicyName: 'a\nb' }],
  ])('is refused: one %s', async (_, input) => {
    expect(await refusal('PutScalingPolicy', { ...replicas, ...input })).toBe('ValidationException');
  });

  test('needs its target; there are fifty at most', async () => {
    const elsewhere = { ...shards, ScalableDimension: replicas.ScalableDimension };
    expect(await refusal('PutScalingPolicy', { ...elsewhere, ...tracking(replicaCpu) })).toBe(
      'ObjectNotFoundException',
    );
    for (let index = 0; index < 50; index += 1) {
      await call('PutScalingPolicy', { ...replicas, ...tracking(replicaCpu), PolicyName: `p${index}` });
    }
    expect(await refusal('PutScalingPolicy', { ...replicas, ...tracking(replicaCpu) })).toBe(
      'LimitExceededException',
    );
    const pages: string[] = [];
    let NextToken: string | undefined;
    do {
      const page = await call('DescribeScalingPolicies', { ...everything, MaxResults: 20, NextToken });
      pages.push(page.ScalingPolicies!.map(({ PolicyName }) => PolicyName).join());
      ({ NextToken } = page);
    } while (NextToken !== undefined);
    expect(pages).toHaveLength(3);
    expect(new Set(pages.join().split(',')).size).toBe(50);
    expect(await refusal('DescribeScalingPolicies', { ...everything, NextToken: 'x' })).toBe(
      'InvalidNextTokenException',
    );
    expect(await refusal('DescribeScalingPolicies', { ...everything, MaxResults: 51 })).toBe(
      'ValidationException',
    );
  });
});

describe('a scheduled action', () => {
  beforeEach(async () => {
    await call('RegisterScalableTarget', { ...replicas, MinCapacity: 1, MaxCapacity: 5 });
  });
  const morning = {
    ...replicas,
    ScheduledActionName: 'morning',
    Schedule: 'cron(0 8 ? * MON-FRI *)',
    Timezone: 'Europe/Berlin',
    ScalableTargetAction: { MinCapacity: 3 },
  };

  test('is made, changed in what is given, and taken away', async () => {
    await call('PutScheduledAction', morning);
    await call('PutScheduledAction', {
      ...replicas,
      ScheduledActionName: 'morning',
      EndTime: new Date(nowMs + 86_400_000),
    });
    const { ScheduledActions } = await call('DescribeScheduledActions', everything);
    expect(ScheduledActions).toMatchObject([{ ...morning, EndTime: new Date(nowMs + 86_400_000) }]);
    await call('DeleteScheduledAction', { ...replicas, ScheduledActionName: 'morning' });
    expect(await refusal('DeleteScheduledAction', { ...replicas, ScheduledActionName: 'morning' })).toBe(
      'ObjectNotFoundException',
    );
  });

  test.each([
    ['without a schedule', { Schedule: undefined }],
    ['with a schedule that is none', { Schedule: 'daily' }],
    ['that was to run yesterday', { Schedule: 'at(2026-11-22T00:00:00)' }],
    ['in a zone that is none', { Timezone: 'Mars/Olympus' }],
    ['that ends before it begins', { StartTime: new Date(nowMs + 2), EndTime: new Date(nowMs + 1) }],
    ['that does nothing', { ScalableTargetAction: {} }],
    ['with crossed bounds', { ScalableTargetAction: { MinCapacity: 3, MaxCapacity: 2 } }],
    ['beyond the bounds', { ScalableTargetAction: { MaxCapacity: 6 } }],
  ])('is refused: one %s', async (_, change) => {
    expect(await refusal('PutScheduledAction', { ...morning, ...change })).toBe('ValidationException');
  });
});
