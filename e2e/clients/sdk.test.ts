/** The promise: the JavaScript SDK's waiters and paginators work as they are. */
import {
  AddTagsToResourceCommand,
  CacheClusterNotFoundFault,
  CreateCacheClusterCommand,
  CreateReplicationGroupCommand,
  CreateUserCommand,
  DeleteCacheClusterCommand,
  DeleteReplicationGroupCommand,
  DescribeCacheClustersCommand,
  DescribeReplicationGroupsCommand,
  ListTagsForResourceCommand,
  ModifyReplicationGroupCommand,
  paginateDescribeCacheClusters,
  paginateDescribeEvents,
  paginateDescribeUsers,
  ReplicationGroupNotFoundFault,
  waitUntilCacheClusterAvailable,
  waitUntilCacheClusterDeleted,
  waitUntilReplicationGroupAvailable,
  waitUntilReplicationGroupDeleted,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLarder, type TestLarder } from '../../testing/larder.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

const waiting = () => ({ client: larder.client, maxWaitTime: 60, minDelay: 0.05, maxDelay: 0.1 });

test('a group from its creation to its end', async () => {
  const { client } = larder;
  const ReplicationGroupId = 'js';
  const description = (text: string) => ({ ReplicationGroupId, ReplicationGroupDescription: text });
  await client.send(
    new CreateReplicationGroupCommand({
      ...description('x'),
      NumCacheClusters: 2,
      AutomaticFailoverEnabled: true,
    }),
  );
  expect((await waitUntilReplicationGroupAvailable(waiting(), { ReplicationGroupId })).state).toBe('SUCCESS');
  await waitUntilCacheClusterAvailable(waiting(), { CacheClusterId: 'js-002' });
  const { ReplicationGroup: modified } = await client.send(
    new ModifyReplicationGroupCommand({ ...description('y'), ApplyImmediately: true }),
  );
  expect(modified!.Description).toBe('y');
  await waitUntilReplicationGroupAvailable(waiting(), { ReplicationGroupId });
  const ResourceName = modified!.ARN!;
  await client.send(new AddTagsToResourceCommand({ ResourceName, Tags: [{ Key: 'a', Value: 'b' }] }));
  const tags = await client.send(new ListTagsForResourceCommand({ ResourceName }));
  expect(tags.TagList).toEqual([{ Key: 'a', Value: 'b' }]);
  // It is available: that is not what this waiter waits for, and never will be.
  await expect(waitUntilReplicationGroupDeleted(waiting(), { ReplicationGroupId })).rejects.toThrow(
    'FAILURE',
  );
  await client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId }));
  expect((await waitUntilReplicationGroupDeleted(waiting(), { ReplicationGroupId })).state).toBe('SUCCESS');
  const lost = client.send(new DescribeReplicationGroupsCommand({ ReplicationGroupId }));
  await expect(lost).rejects.toBeInstanceOf(ReplicationGroupNotFoundFault);
});

test('a cluster from its creation to its end', async () => {
  const { client } = larder;
  const CacheClusterId = 'one';
  await client.send(new CreateCacheClusterCommand({ CacheClusterId, Engine: 'memcached', NumCacheNodes: 2 }));
  await waitUntilCacheClusterAvailable(waiting(), { CacheClusterId });
  await client.send(new DeleteCacheClusterCommand({ CacheClusterId }));
  await waitUntilCacheClusterDeleted(waiting(), { CacheClusterId });
  const lost = client.send(new DescribeCacheClustersCommand({ CacheClusterId }));
  await expect(lost).rejects.toBeInstanceOf(CacheClusterNotFoundFault);
});

test('pages: everything once, in the same order as at once', async () => {
  const { client } = larder;
  const ids = Array.from({ length: 25 }, (_, index) => `page-${String(index).padStart(2, '0')}`);
  const create = (UserId: string) =>
    client.send(
      new CreateUserCommand({
        UserId,
        UserName: UserId,
        Engine: 'redis',
        AccessString: 'on ~* +@read',
        NoPasswordRequired: true,
      }),
    );
  await Promise.all(ids.map(create));
  const ReplicationGroupId = 'wide';
  await client.send(
    new CreateReplicationGroupCommand({
      ReplicationGroupId,
      ReplicationGroupDescription: 'x',
      NumNodeGroups: 11,
      ReplicasPerNodeGroup: 1,
    }),
  );
  await waitUntilReplicationGroupAvailable(waiting(), { ReplicationGroupId });
  const config = { client, pageSize: 20 };
  const users: (string | undefined)[][] = [];
  for await (const { Users } of paginateDescribeUsers(config, {}))
    users.push(Users!.map(({ UserId }) => UserId));
  expect(users.map(({ length }) => length)).toEqual([20, 6]);
  expect(users.flat()).toEqual(['default', ...ids]);
  const clusters: (string | undefined)[][] = [];
  for await (const { CacheClusters } of paginateDescribeCacheClusters(config, {})) {
    clusters.push(CacheClusters!.map(({ CacheClusterId }) => CacheClusterId));
  }
  const all = await client.send(new DescribeCacheClustersCommand({ MaxRecords: 100 }));
  expect(clusters.map(({ length }) => length)).toEqual([20, 2]);
  expect(clusters.flat()).toEqual(all.CacheClusters!.map(({ CacheClusterId }) => CacheClusterId));
  const events: string[] = [];
  for await (const { Events } of paginateDescribeEvents(config, { Duration: 60 })) {
    events.push(...Events!.map(({ SourceIdentifier, Message }) => `${SourceIdentifier}: ${Message}`));
  }
  for (const id of ids) expect(events.filter((each) => each === `${id}: Created user ${id}`)).toHaveLength(1);
});
