/** Subnet groups, tags, events and engine versions: what placement, killed services and engines show of them. */
import {
  AddTagsToResourceCommand,
  CreateCacheClusterCommand,
  CreateCacheSubnetGroupCommand,
  DeleteCacheSubnetGroupCommand,
  DescribeCacheSubnetGroupsCommand,
  DescribeEventsCommand,
  ListTagsForResourceCommand,
  ModifyCacheSubnetGroupCommand,
  paginateDescribeCacheEngineVersions,
  paginateDescribeEvents,
  RemoveTagsFromResourceCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  errorName,
  groupAvailable,
  groupGone,
} from '../../testing/elasticache-requests.ts';
import { endProcess } from '../../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { memcached } from '../../testing/memcached-text.ts';
import { infoField, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';
import {
  clusterAvailable,
  pidOf,
  rejectedCombination,
  rejectedValue,
  runningNodes,
} from './looks.test-support.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

test('subnet groups decide in which zones nodes stand', async () => {
  const subnets = (...letters: string[]) => letters.map((letter) => `subnet-us-east-1${letter}`);
  const create = (CacheSubnetGroupName: string, SubnetIds: string[]) =>
    larder.client.send(
      new CreateCacheSubnetGroupCommand({
        CacheSubnetGroupName,
        CacheSubnetGroupDescription: 'of a test',
        SubnetIds,
      }),
    );
  const modify = (SubnetIds: string[], CacheSubnetGroupName = 'narrow') =>
    larder.client.send(new ModifyCacheSubnetGroupCommand({ CacheSubnetGroupName, SubnetIds }));
  const remove = (CacheSubnetGroupName: string) =>
    larder.client.send(new DeleteCacheSubnetGroupCommand({ CacheSubnetGroupName }));
  const describe = async (CacheSubnetGroupName: string) =>
    (await larder.client.send(new DescribeCacheSubnetGroupsCommand({ CacheSubnetGroupName })))
      .CacheSubnetGroups![0]!;
  const zonesOf = async (id: string) =>
    (await describeGroup(larder, id)).NodeGroups![0]!.NodeGroupMembers!.map(
      ({ PreferredAvailabilityZone }) => PreferredAvailabilityZone,
    );

  await create('narrow', subnets('b', 'c'));
  await createGroup(larder, 'placed', { NumCacheClusters: 3, CacheSubnetGroupName: 'Narrow' });
  const elsewhere = createGroup(larder, 'misplaced', {
    CacheSubnetGroupName: 'narrow',
    PreferredCacheClusterAZs: ['us-east-1a'],
  });
  expect(await errorName(elsewhere)).toBe(rejectedValue);
  await groupAvailable(larder, 'placed');
  await effect(
    'CreateCacheSubnetGroup',
    'the nodes that run stand in its zones only; one asked for elsewhere is not started',
    async () => {
      expect(new Set(await zonesOf('placed'))).toEqual(new Set(['us-east-1b', 'us-east-1c']));
      expect(runningNodes(larder, 'placed')).toHaveLength(3);
      expect(runningNodes(larder, 'misplaced')).toEqual([]);
    },
  );

  expect(await errorName(modify(subnets('b')))).toBe('SubnetInUse');
  await modify(subnets('a', 'b', 'c'));
  await larder.client.send(
    new CreateCacheClusterCommand({ CacheClusterId: 'late', ReplicationGroupId: 'placed' }),
  );
  await groupAvailable(larder, 'placed');
  await effect(
    'ModifyCacheSubnetGroup',
    'a node added since runs in the zone that came in, the emptiest',
    async () => {
      expect(runningNodes(larder, 'late')).toEqual(['late.0001']);
      expect((await describeCluster(larder, 'late')).PreferredAvailabilityZone).toBe('us-east-1a');
    },
  );
  await larder.restart();
  await effect(
    'DescribeCacheSubnetGroups',
    'its zones are those in which the nodes that run stand, after a kill of the service too',
    async () => {
      const group = await describe('narrow');
      const zones = group.Subnets!.map(({ SubnetAvailabilityZone }) => SubnetAvailabilityZone!.Name);
      expect(new Set(zones)).toEqual(new Set(await zonesOf('placed')));
      expect(runningNodes(larder, 'placed')).toHaveLength(3);
    },
  );

  expect(await errorName(remove('narrow'))).toBe('CacheSubnetGroupInUse');
  await deleteGroup(larder, 'placed');
  await groupGone(larder, 'placed');
  await remove('narrow');
  await effect(
    'DeleteCacheSubnetGroup',
    'a service that was killed since does not know it, and starts no node in it',
    async () => {
      await larder.restart();
      expect(await errorName(createGroup(larder, 'never', { CacheSubnetGroupName: 'narrow' }))).toBe(
        'CacheSubnetGroupNotFoundFault',
      );
      expect(runningNodes(larder, 'never')).toEqual([]);
    },
  );

  await create('taken', subnets('a'));
  expect(await errorName(create('Taken', subnets('a')))).toBe('CacheSubnetGroupAlreadyExistsFault');
  expect(await errorName(create('strange', ['subnet-1']))).toBe('InvalidSubnet');
  expect(await errorName(create('none', []))).toBe(rejectedValue);
  expect(
    await errorName(
      create(
        'many',
        Array.from({ length: 21 }, () => 'subnet-us-east-1a'),
      ),
    ),
  ).toBe('CacheSubnetQuotaExceededFault');
  expect(await errorName(modify(subnets('a'), 'default'))).toBe('SubnetNotAllowedFault');
  expect(await errorName(remove('nothing'))).toBe('CacheSubnetGroupNotFoundFault');
  const quota = await Promise.all(
    Array.from({ length: 300 }, (_, index) => errorName(create(`many-${index}`, subnets('a')))),
  );
  expect(new Set(quota)).toEqual(new Set(['no error', 'CacheSubnetGroupQuotaExceededFault']));
});

test('tags hold for members, and outlive the service', async () => {
  await createGroup(larder, 'tagged', { NumCacheClusters: 2, Tags: [{ Key: 'team', Value: 'shop' }] });
  const arn = (await groupAvailable(larder, 'tagged')).ARN!;
  const memberArn = (await describeCluster(larder, 'tagged-002')).ARN!;
  const tags = async (ResourceName: string) => {
    const { TagList } = await larder.client.send(new ListTagsForResourceCommand({ ResourceName }));
    return Object.fromEntries(TagList!.map(({ Key, Value }) => [Key, Value]));
  };
  await larder.client.send(
    new AddTagsToResourceCommand({ ResourceName: arn, Tags: [{ Key: 'cost centre', Value: 'ä <1> & "2"' }] }),
  );
  await larder.restart();
  const both = { team: 'shop', 'cost centre': 'ä <1> & "2"' };
  await effect(
    'AddTagsToResource',
    'a service that was killed since has them, for the group and for each member',
    async () => {
      expect(await tags(arn)).toEqual(both);
      expect(await tags(memberArn)).toEqual(both);
    },
  );
  await effect('ListTagsForResource', 'what a service that was killed since has from disk', async () => {
    expect(await tags(arn)).toEqual(both);
  });
  await larder.client.send(new RemoveTagsFromResourceCommand({ ResourceName: arn, TagKeys: ['team'] }));
  await larder.restart();
  await effect(
    'RemoveTagsFromResource',
    'a service that was killed since has the rest only, for members too',
    async () => {
      expect(await tags(arn)).toEqual({ 'cost centre': 'ä <1> & "2"' });
      expect(await tags(memberArn)).toEqual({ 'cost centre': 'ä <1> & "2"' });
    },
  );
  const again = new RemoveTagsFromResourceCommand({ ResourceName: arn, TagKeys: ['team'] });
  expect(await errorName(larder.client.send(again))).toBe('TagNotFoundFault');
  const many = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: '' }));
  const quota = new AddTagsToResourceCommand({ ResourceName: arn, Tags: many });
  expect(await errorName(larder.client.send(quota))).toBe('TagQuotaPerResourceExceeded');
  // A group of that name that comes later begins without them.
  await deleteGroup(larder, 'tagged');
  await groupGone(larder, 'tagged');
  await createGroup(larder, 'tagged', {});
  expect(await tags(arn)).toEqual({});
  await groupAvailable(larder, 'tagged');
});

test('events tell what was seen to happen, when it did, and outlive the service', async () => {
  const since = new Date();
  await createGroup(larder, 'told', { NumCacheClusters: 2, AutomaticFailoverEnabled: true });
  await groupAvailable(larder, 'told');
  endProcess(pidOf(larder, 'told-001')!);
  const of = async (SourceIdentifier: string, SourceType: 'replication-group' | 'cache-cluster') => {
    const { Events } = await larder.client.send(new DescribeEventsCommand({ SourceIdentifier, SourceType }));
    return Events!;
  };
  await waitFor(
    () => of('told-001', 'cache-cluster'),
    (events) => events.some(({ Message }) => Message === 'Finished recovery for cache nodes 0001'),
    { what: 'the recovery to be told' },
  );
  await larder.restart();
  await effect(
    'DescribeEvents',
    'a primary that the test killed: the failover and the recovery, in a service that was killed since',
    async () => {
      const events = await of('told', 'replication-group');
      expect(events.map(({ Message }) => Message)).toEqual([
        'Replication group told created',
        'Failover from primary node told-001 to replica node told-002 completed',
      ]);
      for (const { Date: at } of events) {
        expect(at!.getTime()).toBeGreaterThanOrEqual(since.getTime());
        expect(at!.getTime()).toBeLessThanOrEqual(Date.now());
      }
      const place = (await describeCluster(larder, 'told-002')).CacheNodes![0]!.Endpoint!;
      expect((await clients.to(place).role())[0]).toBe('master');
    },
  );
  const paged: string[] = [];
  for await (const { Events } of paginateDescribeEvents(
    { client: larder.client, pageSize: 20 },
    { Duration: 60 },
  )) {
    paged.push(...Events!.map(({ SourceIdentifier, Message }) => `${SourceIdentifier} ${Message}`));
  }
  const { Events } = await larder.client.send(
    new DescribeEventsCommand({ MaxRecords: 100, SourceType: 'replication-group' }),
  );
  expect(paged.length).toBeGreaterThan(20);
  expect(Events!.every(({ SourceType }) => SourceType === 'replication-group')).toBe(true);
  const early = await larder.client.send(
    new DescribeEventsCommand({
      StartTime: new Date(0),
      EndTime: since,
      SourceIdentifier: 'told',
      SourceType: 'replication-group',
    }),
  );
  expect(early.Events).toEqual([]);
  const ask = (input: object) => errorName(larder.client.send(new DescribeEventsCommand(input)));
  expect(await ask({ SourceIdentifier: 'told' })).toBe(rejectedCombination);
  expect(await ask({ StartTime: new Date(), EndTime: since })).toBe(rejectedCombination);
  expect(await ask({ MaxRecords: 1 })).toBe(rejectedValue);
});

test('every engine version that is listed runs', async () => {
  const listed: { engine: string; version: string; family: string }[] = [];
  for await (const page of paginateDescribeCacheEngineVersions({ client: larder.client }, {})) {
    for (const { Engine, EngineVersion, CacheParameterGroupFamily } of page.CacheEngineVersions!) {
      listed.push({ engine: Engine!, version: EngineVersion!, family: CacheParameterGroupFamily! });
    }
  }
  expect(new Set(listed.map(({ engine }) => engine))).toEqual(new Set(['valkey', 'redis', 'memcached']));
  expect(listed.map(({ engine, version }) => `${engine} ${version}`)).toContain('valkey 8.1');
  const started = listed.map(async ({ engine, version, family }, index) => {
    const id = `engine-${index}`;
    await larder.client.send(
      new CreateCacheClusterCommand({
        CacheClusterId: id,
        Engine: engine,
        EngineVersion: version,
        NumCacheNodes: 1,
      }),
    );
    const cluster = await clusterAvailable(larder, id);
    const place = cluster.CacheNodes![0]!.Endpoint!;
    const said =
      engine === 'memcached'
        ? /^VERSION (\S+)/.exec(await memcached(place, 'version\r\n'))![1]
        : await infoField(clients.to(place), `${engine}_version`);
    expect(`${said}.`.startsWith(`${version}.`), `${engine} ${version} says ${said}`).toBe(true);
    expect(cluster.CacheParameterGroup!.CacheParameterGroupName).toBe(`default.${family}`);
  });
  await effect(
    'DescribeCacheEngineVersions',
    'a node made of each version says that it is that, by INFO and version',
    () => Promise.all(started),
  );
});
