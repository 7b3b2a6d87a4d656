/** Passes over a state of its own: groups exist as rows alone, and their load is made up. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeObservation } from '@larder/fleet/host';
import { memoryMetricStore } from '@larder/metrics/memory-metric-store';
import { summaryOf } from '@larder/metrics/summary';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ControlContext } from '../control-context.ts';
import { connectDatabase, type Database } from '../database/connect.ts';
import { oneMachine } from '../placement/placement.ts';
import { clusterGroup, observe, replicatedGroup } from '../replication-group/group.test-support.ts';
import { increaseReplicaCount } from '../replication-group/replicas.ts';
import { membersOf, type ReplicationGroup } from '../replication-group/replication-group.ts';
import { insertReplicationGroup, readReplicationGroup } from '../replication-group/store.ts';
import { inPoints, outPoints } from './plan.ts';
import { reconcileScaling } from './reconcile.ts';
import { capacityOf, type Dimension, type ScalableTarget, type TrackedMetric } from './scaling.ts';
import {
  insertActivity,
  readActions,
  readActivities,
  readTarget,
  writeAction,
  writePolicy,
  writeTarget,
} from './store.ts';

const periodMs = 1_000;
let folder: string;
let database: Database;
let nowMs: number;
/** Of every node; undefined: none of them is measured. */
let connections: number | undefined;
let usedMemoryBytes: number;
let context: ControlContext;
let pass: () => Promise<unknown>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-scaling-'));
  database = connectDatabase(join(folder, 'state.db'));
  nowMs = Date.UTC(2026, 10, 23, 12);
  connections = 10;
  usedMemoryBytes = 1_000_000;
  const addresses = Array.from({ length: 40 }, (_, index) => `127.64.9.${index}`);
  const host = {
    async observe(nodeIds: readonly string[]) {
      const group = await readReplicationGroup(database, 'shop');
      const seen = [...observe(group!)].filter(([nodeId]) => nodeIds.includes(nodeId)).map(loaded);
      return new Map(seen);
    },
  };
  context = {
    database,
    host,
    placement: oneMachine(
      () => addresses,
      async () => true,
    ),
    nowMs: () => nowMs,
    metrics: memoryMetricStore(),
    wake: () => undefined,
  } as unknown as ControlContext;
  restart();
});

afterEach(async () => {
  await database.destroy();
  rmSync(folder, { recursive: true });
});

function restart(): void {
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  pass = () => reconcileScaling({ context, logger, periodMs }, 'shop');
}

function loaded([nodeId, seen]: [string, NodeObservation]): [string, NodeObservation] {
  return [nodeId, { ...seen, engine: { ...seen.engine!, info: { ...seen.engine!.info, usedMemoryBytes } } }];
}

/** Clients of every node, in the second that is just over. */
async function measure(value: number): Promise<void> {
  const group = await readReplicationGroup(database, 'shop');
  await context.metrics.record(
    membersOf(group!).map(({ id }) => ({
      metric: {
        namespace: 'AWS/ElastiCache',
        name: 'CurrConnections',
        dimensions: [
          { name: 'CacheClusterId', value: id },
          { name: 'CacheNodeId', value: '0001' },
        ],
      },
      unit: 'Count',
      resolutionSeconds: 1,
      data: [{ atMs: nowMs - periodMs, summary: summaryOf(value) }],
    })),
  );
}

async function passes(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    nowMs += periodMs;
    if (connections !== undefined) await measure(connections);
    await pass();
  }
}

async function prepare(
  group: ReplicationGroup,
  dimension: Dimension,
  change: Partial<ScalableTarget> = {},
  metric: TrackedMetric['measure'] | undefined = 'connections',
): Promise<void> {
  const key = { groupId: group.id, dimension };
  await database.transaction().execute(async (transaction) => {
    await insertReplicationGroup(transaction, group);
    await writeTarget(transaction, {
      ...key,
      minCapacity: 1,
      maxCapacity: 5,
      suspended: { scaleIn: false, scaleOut: false, scheduled: false },
      region: 'us-east-1',
      createdAtMs: nowMs,
      boundsDue: false,
      ...change,
    });
    if (metric === undefined) return;
    await writePolicy(transaction, {
      ...key,
      name: 'p',
      id: 'p',
      createdAtMs: nowMs,
      configuration: { TargetValue: 50, ScaleOutCooldown: 0, ScaleInCooldown: 0 },
      metric: {
        measure: metric,
        role: dimension === 'Replicas' ? 'replica' : 'primary',
        statistic: 'mean',
      },
    });
  });
}

/** What the group's own passes do in the end. */
async function converge(): Promise<void> {
  await database.deleteFrom('member').where('status', '=', 'deleting').execute();
  await database.updateTable('member').set({ status: 'available' }).execute();
  await database.updateTable('replication_group').set({ status: 'available' }).execute();
}

const shop = async () => (await readReplicationGroup(database, 'shop'))!;
const activities = async () => (await readActivities(database, {})).map(({ activity }) => activity);
/** Events of autoscaling, behind what each begins with. */
const messages = async () => {
  const beginning = 'Auto scaling of the replica count of replication group shop ';
  const rows = await database.selectFrom('event').select('message').orderBy('id').execute();
  return rows
    .filter(({ message }) => message.startsWith(beginning))
    .map(({ message }) => message.slice(beginning.length));
};

test('replicas: out with the load, in without it, each activity recorded and told', async () => {
  await prepare(replicatedGroup(2), 'Replicas');
  connections = 90;
  await passes(outPoints - 1);
  expect((await shop()).status).toBe('available');
  await passes(1);
  expect((await shop()).status).toBe('modifying');
  expect(capacityOf(await shop(), 'Replicas')).toBe(2);
  expect(await activities()).toMatchObject([
    { status: 'InProgress', change: { from: 1, to: 2 }, description: 'Setting replica count to 2' },
  ]);
  // While it is under way nothing else is begun, and it does not end.
  await passes(5);
  expect((await activities()).map(({ status }) => status)).toEqual(['InProgress']);
  await converge();
  connections = 45;
  await passes(1);
  expect(await activities()).toMatchObject([{ status: 'Successful', endedAtMs: nowMs }]);
  expect(await readTarget(database, { groupId: 'shop', dimension: 'Replicas' })).toMatchObject({
    lastOutAtMs: nowMs,
  });
  connections = 1;
  await passes(inPoints - 1);
  expect(capacityOf(await shop(), 'Replicas')).toBe(2);
  await passes(1);
  expect(capacityOf(await shop(), 'Replicas')).toBe(1);
  await converge();
  await passes(1);
  expect((await activities()).map(({ status, change }) => [status, change!.to])).toEqual([
    ['Successful', 1],
    ['Successful', 2],
  ]);
  expect(await messages()).toEqual([
    'from 1 to 2: policy p: the metric is 90, above its target of 50',
    'from 1 to 2 succeeded',
    'from 2 to 1: every metric is below 75 % of its target',
    'from 2 to 1 succeeded',
  ]);
});

test('no data is not low', async () => {
  await prepare(replicatedGroup(3), 'Replicas');
  connections = undefined;
  await passes(3 * inPoints);
  expect(await activities()).toEqual([]);
  connections = 1;
  await passes(inPoints - 1);
  expect(await activities()).toEqual([]);
  await passes(1);
  expect(capacityOf(await shop(), 'Replicas')).toBe(1);
});

test('never beside an operation that runs', async () => {
  await prepare(replicatedGroup(2), 'Replicas');
  connections = 90;
  await passes(1);
  await increaseReplicaCount(context, 'us-east-1', {
    ReplicationGroupId: 'shop',
    NewReplicaCount: 3,
    ApplyImmediately: true,
  });
  await passes(10);
  expect(await activities()).toEqual([]);
});

test('shards: out by what a fifth or the deviation asks for; in only where the rest has room', async () => {
  await prepare(clusterGroup(2, 0), 'NodeGroups');
  connections = 100;
  await passes(outPoints);
  expect((await shop()).nodeGroups.map(({ id }) => id)).toEqual(['0001', '0002', '0003', '0004']);
  expect(await activities()).toMatchObject([{ change: { from: 2, to: 4 }, status: 'InProgress' }]);
  // As if the slots had moved.
  await database.updateTable('node_group').set({ resharding: null }).execute();
  await converge();
  connections = 1;
  usedMemoryBytes = 400_000_000;
  await passes(inPoints + 1);
  expect(await activities()).toMatchObject([
    { status: 'Failed', statusMessage: expect.stringContaining('bytes free') },
    { status: 'Successful' },
  ]);
  expect((await shop()).status).toBe('available');
  // Refused once, it is not asked for at every look.
  await passes(4);
  expect(await activities()).toHaveLength(2);
  usedMemoryBytes = 1_000_000;
  await passes(1);
  expect(capacityOf(await shop(), 'NodeGroups')).toBe(1);
  expect(
    (await shop()).nodeGroups.filter(({ resharding }) => resharding?.leaving).map(({ id }) => id),
  ).toEqual(['0002', '0003', '0004']);
});

test('a service that was killed before it asked asks again; one that was killed after does not', async () => {
  await prepare(replicatedGroup(2), 'Replicas', {}, undefined);
  const pending = {
    groupId: 'shop',
    dimension: 'Replicas',
    id: 'x',
    description: '',
    cause: '',
    startedAtMs: nowMs,
    status: 'Pending',
    change: { from: 1, to: 2 },
  } as const;
  await database.transaction().execute((transaction) => insertActivity(transaction, pending));
  restart();
  await passes(1);
  expect([capacityOf(await shop(), 'Replicas'), (await activities())[0]!.status]).toEqual([2, 'InProgress']);
  // Asked for, and not written down.
  await database.updateTable('scaling_activity').set({ status: 'Pending' }).execute();
  restart();
  await passes(1);
  expect([capacityOf(await shop(), 'Replicas'), (await activities())[0]!.status]).toEqual([2, 'InProgress']);
  await converge();
  await passes(1);
  expect((await activities())[0]!.status).toBe('Successful');
});

test('a scheduled action sets the bounds at its time, and the group follows without a policy', async () => {
  await prepare(replicatedGroup(2), 'Replicas', {}, undefined);
  const key = { groupId: 'shop', dimension: 'Replicas' } as const;
  const atMs = nowMs + 10 * periodMs;
  await database.transaction().execute((transaction) =>
    writeAction(transaction, {
      ...key,
      name: 'sale',
      id: 'a',
      schedule: 'rate(1 day)',
      minCapacity: 3,
      createdAtMs: nowMs,
      nextAtMs: atMs,
    }),
  );
  await passes(9);
  expect(await activities()).toEqual([]);
  await passes(1);
  expect(await readTarget(database, key)).toMatchObject({ minCapacity: 3, maxCapacity: 5 });
  expect(capacityOf(await shop(), 'Replicas')).toBe(3);
  expect((await activities()).map(({ cause }) => cause)).toEqual([
    'the capacity of 1 is below the minimum of 3',
    'scheduled action name sale was triggered',
  ]);
  const [action] = await readActions(database, key);
  expect(action!.nextAtMs).toBeGreaterThan(nowMs);
  await converge();
  await passes(2);
  expect(await readTarget(database, key)).toMatchObject({ boundsDue: false });
});

test('a suspended schedule passes without effect; what was missed while the service was away runs once', async () => {
  const scheduled = { scaleIn: false, scaleOut: false, scheduled: true };
  await prepare(replicatedGroup(2), 'Replicas', { suspended: scheduled }, undefined);
  const key = { groupId: 'shop', dimension: 'Replicas' } as const;
  const action = {
    ...key,
    name: 'often',
    id: 'a',
    schedule: 'rate(1 minute)',
    maxCapacity: 1,
    createdAtMs: nowMs,
    nextAtMs: nowMs + 60_000,
  };
  await database.transaction().execute((transaction) => writeAction(transaction, action));
  nowMs += 600_000;
  await passes(1);
  expect(await activities()).toEqual([]);
  const target = (await readTarget(database, key))!;
  await database
    .transaction()
    .execute((transaction) =>
      writeTarget(transaction, { ...target, suspended: { ...scheduled, scheduled: false } }),
    );
  nowMs += 600_000;
  await passes(1);
  expect(await activities()).toHaveLength(1);
  expect(await readTarget(database, key)).toMatchObject({ minCapacity: 1, maxCapacity: 1 });
});

test('of several actions that were missed the one that was due last has the last word', async () => {
  await prepare(replicatedGroup(2), 'Replicas', {}, undefined);
  const key = { groupId: 'shop', dimension: 'Replicas' } as const;
  const action = (name: string, hour: number, minCapacity: number) => ({
    ...key,
    name,
    id: name,
    schedule: `cron(0 ${hour} * * ? *)`,
    minCapacity,
    createdAtMs: nowMs,
    nextAtMs: Date.UTC(2026, 10, 24, hour),
  });
  await database.transaction().execute(async (transaction) => {
    await writeAction(transaction, action('evening', 20, 1));
    await writeAction(transaction, action('morning', 8, 3));
  });
  nowMs = Date.UTC(2026, 10, 25, 9);
  await passes(1);
  expect(await readTarget(database, key)).toMatchObject({ minCapacity: 3 });
  expect((await readActions(database, key)).map(({ nextAtMs }) => new Date(nextAtMs!).getUTCHours())).toEqual(
    [20, 8],
  );
});

test('at the maximum it is said once why nothing is scaled', async () => {
  await prepare(replicatedGroup(2), 'Replicas', { maxCapacity: 1 });
  connections = 90;
  await passes(20);
  expect(await activities()).toMatchObject([
    { status: 'Unfulfilled', notScaled: { code: 'AlreadyAtMaxCapacity', capacity: 1 } },
  ]);
});

test('of what is not registered, or gone, nothing is known', async () => {
  await database
    .transaction()
    .execute((transaction) => insertReplicationGroup(transaction, replicatedGroup(2)));
  expect(await pass()).toBe('gone');
});
