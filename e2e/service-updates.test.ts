/** The promise: a newer build is rolled out node by node, and writes that were acknowledged are all there afterwards. */

import { readFileSync } from 'node:fs';
import {
  BatchApplyUpdateActionCommand,
  BatchStopUpdateActionCommand,
  DescribeServiceUpdatesCommand,
  DescribeUpdateActionsCommand,
  type UpdateAction,
} from '@aws-sdk/client-elasticache';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  errorName,
  groupAvailable,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { rebuiltRedis } from '../testing/rebuilt-engine.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';
import { wholeCopies, wholeCopiesSince } from '../testing/whole-copies.ts';
import { missingOf, writeProbe } from '../testing/write-probe.ts';

const clients = redisClients();
let larder: TestLarder;
let update: string;

beforeAll(async () => {
  larder = await startLarder();
  for (const id of ['one', 'two']) {
    await createGroup(larder, id, { EngineVersion: '8.0', NumCacheClusters: 3 });
  }
  await createGroup(larder, 'new', { NumCacheClusters: 1 });
  for (const id of ['one', 'two', 'new']) await groupAvailable(larder, id);
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

async function actionsOf(id: string): Promise<UpdateAction[]> {
  const { UpdateActions } = await larder.client.send(
    new DescribeUpdateActionsCommand({ ReplicationGroupIds: [id], ShowNodeLevelUpdateStatus: true }),
  );
  return UpdateActions!;
}

/** Versions of the engines that run, as they say themselves. */
async function versionsOf(id: string): Promise<string[]> {
  const members = (await describeGroup(larder, id)).NodeGroups![0]!.NodeGroupMembers!;
  const versions = members.map(({ ReadEndpoint }) => infoField(clients.to(ReadEndpoint!), 'valkey_version'));
  return (await Promise.all(versions)).map(String).sort();
}

const apply = (...ReplicationGroupIds: string[]) =>
  larder.client.send(new BatchApplyUpdateActionCommand({ ServiceUpdateName: update, ReplicationGroupIds }));

test('newer builds of the store are updates, and tell which groups they fit', async () => {
  const { ServiceUpdates } = await larder.client.send(new DescribeServiceUpdatesCommand({}));
  update = ServiceUpdates!.find(({ ServiceUpdateName }) => /^valkey-8\.1/.test(ServiceUpdateName!))!
    .ServiceUpdateName!;
  await effect('DescribeServiceUpdates', 'a newer build that is in the engine store', async () => {
    const { ServiceUpdates: one } = await larder.client.send(
      new DescribeServiceUpdatesCommand({ ServiceUpdateName: update }),
    );
    expect(one).toMatchObject([{ Engine: 'valkey', ServiceUpdateStatus: 'available' }]);
  });
  expect(
    await errorName(larder.client.send(new DescribeServiceUpdatesCommand({ ServiceUpdateName: 'none' }))),
  ).toBe('ServiceUpdateNotFoundFault');
  expect(await actionsOf('one')).toMatchObject([
    { ServiceUpdateName: update, UpdateActionStatus: 'not-applied', NodesUpdated: '0/3' },
  ]);
  expect(await actionsOf('new')).toEqual([]);
});

test('applied: replicas first, then a handover; no acknowledged write is lost', async () => {
  const endpoint = (await describeGroup(larder, 'one')).NodeGroups![0]!.PrimaryEndpoint!;
  const before = primaryOf(await describeGroup(larder, 'one'));
  const writer = clients.to(endpoint, { retryStrategy: () => 2, maxRetriesPerRequest: 0 });
  const probe = writeProbe('during', (key) => writer.set(key, key));
  await waitFor(
    () => probe.count,
    (count) => count > 50,
    { what: '50 writes' },
  );
  const copies = wholeCopies(larder);
  const { ProcessedUpdateActions, UnprocessedUpdateActions } = await apply('one', 'new', 'nobody');
  expect(ProcessedUpdateActions).toMatchObject([
    { ReplicationGroupId: 'one', UpdateActionStatus: 'in-progress' },
  ]);
  expect(UnprocessedUpdateActions!.map(({ ErrorType }) => ErrorType)).toEqual([
    'InvalidParameterValue',
    'ReplicationGroupNotFoundFault',
  ]);
  await waitFor(
    () => actionsOf('one'),
    ([action]) => action!.UpdateActionStatus === 'complete',
    { what: 'the update to be complete' },
  );
  await effect(
    'BatchApplyUpdateAction',
    'every engine says the new version, and no write was lost',
    async () => {
      expect(await versionsOf('one')).toEqual(['8.1.1', '8.1.1', '8.1.1']);
      const { acknowledged, longestGapMs } = await probe.stop();
      console.log(`${acknowledged.length} writes during the update, longest gap ${longestGapMs} ms`);
      expect(await missingOf(acknowledged, (keys) => writer.mget([...keys]))).toEqual([]);
    },
  );
  // Each node followed on from where it was.
  expect(wholeCopiesSince(larder, copies)).toBe(0);
  await effect('DescribeUpdateActions', 'as many nodes updated as engines say the new version', async () => {
    expect(await actionsOf('one')).toMatchObject([
      {
        NodesUpdated: '3/3',
        NodeGroupUpdateStatus: [
          {
            NodeGroupMemberUpdateStatus: [
              { NodeUpdateStatus: 'complete' },
              { NodeUpdateStatus: 'complete' },
              { NodeUpdateStatus: 'complete' },
            ],
          },
        ],
      },
    ]);
  });
  expect(primaryOf(await describeGroup(larder, 'one'))).not.toBe(before);
});

test('stopped after the node under way; applied again it goes on', async () => {
  await apply('two');
  await waitFor(
    () => versionsOf('two'),
    (versions) => versions.includes('8.1.1'),
    { what: 'a node to be updated', everyMs: 5 },
  );
  await larder.client.send(
    new BatchStopUpdateActionCommand({ ServiceUpdateName: update, ReplicationGroupIds: ['two'] }),
  );
  await groupAvailable(larder, 'two');
  await effect('BatchStopUpdateAction', 'some engines keep their old version', async () => {
    const versions = await versionsOf('two');
    expect(versions).toContain('8.0.1');
    const [action] = await actionsOf('two');
    expect(action!.UpdateActionStatus).toBe('stopped');
    expect(action!.NodesUpdated).toBe(`${versions.filter((each) => each === '8.1.1').length}/3`);
  });
  await apply('two');
  await groupAvailable(larder, 'two');
  expect(await versionsOf('two')).toEqual(['8.1.1', '8.1.1', '8.1.1']);
});

test('a newer package of the same release is an update too', async () => {
  const { older, newer } = await rebuiltRedis();
  const id = 'rebuilt';
  await createGroup(larder, id, { Engine: 'redis', EngineVersion: older.version, NumCacheClusters: 2 });
  await groupAvailable(larder, id);
  const processes = () => larder.processes().filter(({ nodeId }) => nodeId.startsWith(id));
  const runs = ({ command }: EngineBuild) =>
    processes().map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(command.args.at(-1)!));
  expect(runs(older)).toEqual([true, true]);
  const name = `redis-${newer.version}`;
  expect((await actionsOf(id)).map(({ ServiceUpdateName: each }) => each)).toEqual([name]);
  const copies = wholeCopies(larder);
  await larder.client.send(
    new BatchApplyUpdateActionCommand({ ServiceUpdateName: name, ReplicationGroupIds: [id] }),
  );
  await waitFor(
    () => actionsOf(id),
    ([action]) => action!.UpdateActionStatus === 'complete',
    { what: 'the update to be complete' },
  );
  expect(runs(newer)).toEqual([true, true]);
  expect(wholeCopiesSince(larder, copies)).toBe(0);
  const { EngineVersion: shown } = await describeCluster(larder, `${id}-001`);
  expect(shown).toBe('7.0');
});
