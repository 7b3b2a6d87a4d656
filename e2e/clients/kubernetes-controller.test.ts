/**
 * What the ACK controller for ElastiCache sends, replayed: it reads again until a resource is synced, and looks at node
 * types and events of a group while that is available.
 */
import {
  CreateReplicationGroupCommand,
  DeleteReplicationGroupCommand,
  DescribeCacheClustersCommand,
  DescribeEventsCommand,
  DescribeReplicationGroupsCommand,
  IncreaseReplicaCountCommand,
  ListAllowedNodeTypeModificationsCommand,
  ListTagsForResourceCommand,
  ModifyReplicationGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorName } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { waitFor } from '../../testing/wait-for.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

const ReplicationGroupId = 'ack';
/** All that is kept. */
const minutesOfEvents = 14 * 24 * 60;

/** One pass of its reconciler. @returns whether it calls the group synced, and what it read. */
async function pass() {
  const { client } = larder;
  const { ReplicationGroups } = await client.send(
    new DescribeReplicationGroupsCommand({ ReplicationGroupId }),
  );
  const group = ReplicationGroups![0]!;
  const shards = group.NodeGroups ?? [];
  const members = shards.flatMap(({ NodeGroupMembers }) => NodeGroupMembers ?? []);
  if (group.Status === 'available' || group.Status === 'snapshotting') {
    const types = await client.send(new ListAllowedNodeTypeModificationsCommand({ ReplicationGroupId }));
    expect(types.ScaleUpModifications).not.toEqual([]);
    const events = await client.send(
      new DescribeEventsCommand({
        SourceIdentifier: ReplicationGroupId,
        SourceType: 'replication-group',
        Duration: minutesOfEvents,
        MaxRecords: 20,
      }),
    );
    expect(events.Events).not.toEqual([]);
  }
  await client.send(new ListTagsForResourceCommand({ ResourceName: group.ARN! }));
  // The first member's cluster tells what a group does not.
  await client.send(
    new DescribeCacheClustersCommand({
      CacheClusterId: members[0]!.CacheClusterId!,
      ShowCacheNodeInfo: true,
    }),
  );
  const synced =
    group.Status === 'available' &&
    shards.every(({ Status }) => Status === 'available') &&
    group.MemberClusters!.length === members.length;
  return { synced, group };
}

/** `create-failed` is the end for it: it would never look again. */
async function untilSynced() {
  const { group } = await waitFor(pass, (seen) => seen.synced || seen.group.Status === 'create-failed', {
    what: 'the group to be synced',
  });
  expect(group.Status).toBe('available');
  return group;
}

test('a group is synced after each change, and gone after its deletion', async () => {
  const { client } = larder;
  expect(await errorName(pass())).toBe('ReplicationGroupNotFoundFault');
  await client.send(
    new CreateReplicationGroupCommand({
      ReplicationGroupId,
      ReplicationGroupDescription: 'ack',
      Engine: 'valkey',
      CacheNodeType: 'cache.t4g.micro',
      NumNodeGroups: 2,
      ReplicasPerNodeGroup: 0,
      Tags: [{ Key: 'services.k8s.aws/controller-version', Value: 'elasticache-v1.8.0' }],
    }),
  );
  expect((await untilSynced()).MemberClusters).toHaveLength(2);
  await client.send(
    new IncreaseReplicaCountCommand({
      ReplicationGroupId,
      ApplyImmediately: true,
      ReplicaConfiguration: ['0001', '0002'].map((NodeGroupId) => ({ NodeGroupId, NewReplicaCount: 1 })),
    }),
  );
  expect((await untilSynced()).MemberClusters).toHaveLength(4);
  await client.send(
    new ModifyReplicationGroupCommand({
      ReplicationGroupId,
      ApplyImmediately: true,
      CacheNodeType: 'cache.t4g.small',
    }),
  );
  expect((await untilSynced()).CacheNodeType).toBe('cache.t4g.small');
  await client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId }));
  await waitFor(
    () => errorName(pass()),
    (name) => name === 'ReplicationGroupNotFoundFault',
    { what: 'the group to be gone' },
  );
  expect(larder.processes()).toEqual([]);
});
