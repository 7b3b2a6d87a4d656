/**
 * The promise: a group's replicas follow its load, both ways, by a policy that the aws command line made, and a kill of
 * the service in the middle changes nothing of that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AwsProgram, debianAwsCli } from '../testing/aws-clients.ts';
import {
  createGroup,
  describeGroup,
  eventsOf,
  groupAvailable,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

const id = 'follows';
const clients = redisClients();
let larder: TestLarder;
let cli: AwsProgram | undefined;
let missing = '';

beforeAll(async () => {
  cli = await debianAwsCli().catch((error: Error) => {
    missing = error.message;
    return undefined;
  });
  if (cli === undefined) console.warn(`NOT TESTED: autoscaling by the aws command line: ${missing}`);
  // The load is looked at twice a second, so that three looks are over soon.
  larder = await startLarder({ flags: ['--scaling-period', '0.5'] });
  await createGroup(larder, id, { NumCacheClusters: 2, AutomaticFailoverEnabled: true });
  await groupAvailable(larder, id);
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

const run = (...args: string[]) =>
  cli!.run(larder.access, [
    'application-autoscaling',
    ...args,
    ...['--service-namespace', 'elasticache', '--endpoint-url', larder.access.endpoint, '--output', 'json'],
  ]);

// What the CLI prints is untyped; each test looks at the members it names.
async function answer(...args: string[]) {
  const { code, stdout, stderr } = await run(...args);
  expect([args[0], code, stderr]).toEqual([args[0], 0, '']);
  return stdout === '' ? {} : JSON.parse(stdout);
}

const resource = ['--resource-id', `replication-group/${id}`];
const replicas = [...resource, '--scalable-dimension', 'elasticache:replication-group:Replicas'];

const replicaNodes = async () => {
  const group = await describeGroup(larder, id);
  return group.NodeGroups![0]!.NodeGroupMembers!.filter(
    ({ CacheClusterId }) => CacheClusterId !== primaryOf(group),
  );
};

/**
 * Has every replica there is sort a list again and again, until it is told to end: much work for the engine and little
 * for who asks. Half of the time is left to others on this machine.
 */
function readLoad(): { stop(): Promise<void> } {
  const abort = new AbortController();
  const open = new Map<string, Promise<void>>();
  const hammer = async (client: Redis) => {
    while (!abort.signal.aborted) {
      const beganAtMs = performance.now();
      const batch = client.pipeline();
      for (let index = 0; index < 5; index += 1) batch.call('SORT_RO', 'long', 'ALPHA', 'LIMIT', '0', '1');
      await batch.exec().catch(() => undefined);
      await sleep(Math.min(200, performance.now() - beganAtMs));
    }
  };
  const look = async () => {
    while (!abort.signal.aborted) {
      for (const { ReadEndpoint } of await replicaNodes().catch(() => [])) {
        const address = ReadEndpoint!.Address!;
        if (!open.has(address)) open.set(address, hammer(clients.to(ReadEndpoint!)));
      }
      await sleep(200);
    }
  };
  const looking = look();
  return {
    async stop() {
      abort.abort();
      await looking;
      await Promise.all(open.values());
    },
  };
}

interface Activity {
  readonly StatusCode: string;
  readonly Description: string;
  readonly Cause: string;
}

/** The oldest first. */
async function activities(): Promise<Activity[]> {
  const { ScalingActivities } = await answer('describe-scaling-activities', ...resource);
  return ScalingActivities.reverse();
}

test('replicas come with the load, and go with it', { timeout: 240_000 }, async ({ skip }) => {
  skip(cli === undefined, missing);
  const group = await describeGroup(larder, id);
  const primary = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
  await primary.rpush('long', ...Array.from({ length: 5_000 }, (_, index) => `item ${index}`));

  await answer('register-scalable-target', ...replicas, '--min-capacity', '1', '--max-capacity', '2');
  const tracking = {
    TargetValue: 25,
    PredefinedMetricSpecification: { PredefinedMetricType: 'ElastiCacheReplicaEngineCPUUtilization' },
    ScaleOutCooldown: 1,
    ScaleInCooldown: 3,
  };
  const { PolicyARN } = await answer(
    ...['put-scaling-policy', ...replicas, '--policy-name', 'cpu', '--policy-type', 'TargetTrackingScaling'],
    ...['--target-tracking-scaling-policy-configuration', JSON.stringify(tracking)],
  );
  const { ScalingPolicies } = await answer('describe-scaling-policies', ...resource);
  expect(ScalingPolicies).toMatchObject([
    { PolicyARN, PolicyName: 'cpu', TargetTrackingScalingPolicyConfiguration: tracking },
  ]);

  const load = readLoad();
  try {
    await waitFor(activities, (seen) => seen.length > 0, {
      what: 'a replica to be asked for',
      limitMs: 60_000,
    });
    // What was begun is written down: the service that comes back goes on with it.
    await larder.restart();
    await waitFor(replicaNodes, (nodes) => nodes.length === 2, { what: 'a second replica' });
    await groupAvailable(larder, id);
    await waitFor(activities, ([first]) => first?.StatusCode === 'Successful', {
      what: 'the activity to end',
    });
    expect(await infoField(primary, 'connected_slaves')).toBe('2');
  } finally {
    await load.stop();
  }
  const [out] = await activities();
  expect(out).toMatchObject({
    StatusCode: 'Successful',
    Description: 'Setting replica count to 2',
    Cause: expect.stringMatching(/^policy cpu: the metric is [\d.]+, above its target of 25$/),
  });

  await waitFor(replicaNodes, (nodes) => nodes.length === 1, {
    what: 'the second replica to go',
    limitMs: 90_000,
  });
  await groupAvailable(larder, id);
  await waitFor(activities, (seen) => seen.at(-1)?.StatusCode === 'Successful', {
    what: 'the activity to end',
  });
  expect((await activities()).map(({ Description }) => Description)).toEqual([
    'Setting replica count to 2',
    'Setting replica count to 1',
  ]);
  expect(await infoField(primary, 'connected_slaves')).toBe('1');
  const told = (await eventsOf(larder, id)).filter((message) => message.startsWith('Auto scaling'));
  expect(told).toHaveLength(4);
});

test('a scheduled action, and what is taken away again', { timeout: 120_000 }, async ({ skip }) => {
  skip(cli === undefined, missing);
  await answer('delete-scaling-policy', ...replicas, '--policy-name', 'cpu');
  // Far enough away for the command line to start.
  const soon = new Date(Date.now() + 10_000).toISOString().slice(0, 19);
  await answer(
    ...['put-scheduled-action', ...replicas, '--scheduled-action-name', 'sale', '--schedule', `at(${soon})`],
    ...['--scalable-target-action', 'MinCapacity=2,MaxCapacity=3'],
  );
  const { ScheduledActions } = await answer('describe-scheduled-actions', ...resource);
  expect(ScheduledActions).toMatchObject([
    { ScheduledActionName: 'sale', ScalableTargetAction: { MinCapacity: 2, MaxCapacity: 3 } },
  ]);
  await waitFor(replicaNodes, (nodes) => nodes.length === 2, { what: 'the sale to begin', limitMs: 60_000 });
  const { ScalableTargets } = await answer(
    'describe-scalable-targets',
    '--resource-ids',
    `replication-group/${id}`,
  );
  expect(ScalableTargets).toMatchObject([{ MinCapacity: 2, MaxCapacity: 3 }]);
  expect((await activities()).map(({ Cause }) => Cause)).toContain(
    'scheduled action name sale was triggered',
  );
  await answer('delete-scheduled-action', ...replicas, '--scheduled-action-name', 'sale');
  await answer('deregister-scalable-target', ...replicas);
  const gone = await run('deregister-scalable-target', ...replicas);
  expect(gone.stderr).toContain(
    'An error occurred (ObjectNotFoundException) when calling the DeregisterScalableTarget operation',
  );
});

test('shards come and go with the bounds of their policy, and every key stays', { timeout: 180_000 }, async ({
  skip,
}) => {
  skip(cli === undefined, missing);
  const name = 'sharded';
  const shards = [
    ...['--resource-id', `replication-group/${name}`],
    ...['--scalable-dimension', 'elasticache:replication-group:NodeGroups'],
  ];
  await createGroup(larder, name, { NumNodeGroups: 1, ReplicasPerNodeGroup: 0, ClusterMode: 'enabled' });
  const group = await groupAvailable(larder, name);
  const { Address: host, Port: port } = group.ConfigurationEndpoint!;
  const cluster = new Cluster([{ host: host!, port: port! }]);
  try {
    for (let index = 0; index < 500; index += 1) await cluster.set(`key ${index}`, `${index}`);
    await answer('register-scalable-target', ...shards, '--min-capacity', '2', '--max-capacity', '3');
    const tracking = {
      TargetValue: 80,
      PredefinedMetricSpecification: {
        PredefinedMetricType: 'ElastiCacheDatabaseMemoryUsageCountedForEvictPercentage',
      },
    };
    await answer(
      ...[
        'put-scaling-policy',
        ...shards,
        '--policy-name',
        'memory',
        '--policy-type',
        'TargetTrackingScaling',
      ],
      ...['--target-tracking-scaling-policy-configuration', JSON.stringify(tracking)],
    );
    const has = (count: number) =>
      waitFor(
        () => describeGroup(larder, name),
        ({ NodeGroups, Status }) => NodeGroups!.length === count && Status === 'available',
        { what: `${count} shards`, limitMs: 60_000 },
      );
    const two = await has(2);
    expect(two.NodeGroups!.map(({ Slots }) => Slots)).toEqual(['0-8191', '8192-16383']);
    await answer('register-scalable-target', ...shards, '--min-capacity', '1', '--max-capacity', '1');
    const one = await has(1);
    expect(one.NodeGroups!.map(({ NodeGroupId, Slots }) => [NodeGroupId, Slots])).toEqual([
      ['0001', '0-16383'],
    ]);
    for (let index = 0; index < 500; index += 1) expect(await cluster.get(`key ${index}`)).toBe(`${index}`);
  } finally {
    cluster.disconnect();
  }
});

test('another service is refused by name', async ({ skip }) => {
  skip(cli === undefined, missing);
  const refused = await cli!.run(larder.access, [
    ...['application-autoscaling', 'describe-scalable-targets', '--service-namespace', 'ecs'],
    ...['--endpoint-url', larder.access.endpoint],
  ]);
  expect(refused.stderr).toContain('(ValidationException)');
  expect(refused.stderr).toContain('ServiceNamespace must be elasticache');
});
