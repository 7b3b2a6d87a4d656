/** The promise: parameter groups, subnet groups and tags read back as they were sent, to real clients, after a kill too. */
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AddTagsToResourceCommand,
  CreateCacheParameterGroupCommand,
  CreateCacheSecurityGroupCommand,
  CreateCacheSubnetGroupCommand,
  DeleteCacheParameterGroupCommand,
  DeleteCacheSubnetGroupCommand,
  DescribeCacheParameterGroupsCommand,
  DescribeEngineDefaultParametersCommand,
  ListTagsForResourceCommand,
  ModifyCacheParameterGroupCommand,
  ModifyCacheSubnetGroupCommand,
  type Parameter,
  paginateDescribeCacheEngineVersions,
  paginateDescribeCacheParameters,
  paginateDescribeCacheSubnetGroups,
  paginateDescribeEngineDefaultParameters,
  RemoveTagsFromResourceCommand,
  ResetCacheParameterGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorName, eventsOf } from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { waitFor } from '../testing/wait-for.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

async function parametersOf(name: string, Source?: string): Promise<Parameter[]> {
  const found: Parameter[] = [];
  const pages = paginateDescribeCacheParameters(
    { client: larder.client, pageSize: 20 },
    { CacheParameterGroupName: name, Source },
  );
  for await (const { Parameters } of pages) found.push(...(Parameters ?? []));
  return found;
}

async function userValues(name: string): Promise<Record<string, string>> {
  const parameters = await parametersOf(name, 'user');
  return Object.fromEntries(parameters.map((each) => [each.ParameterName!, each.ParameterValue!]));
}

/** Processes that work in the folder of the engines that are only asked. */
async function askedEngines(): Promise<string[]> {
  const folder = join(larder.dataDirectory, 'scratch');
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const place = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (place.startsWith(folder)) found.push(pid);
  }
  return found;
}

// The order of requests is that of Terraform's aws_elasticache_parameter_group.
test('a parameter group lives as Terraform makes it live', async () => {
  const { client } = larder;
  const name = 'web';
  const made = await client.send(
    new CreateCacheParameterGroupCommand({
      CacheParameterGroupName: name,
      CacheParameterGroupFamily: 'valkey9',
      Description: 'Managed by Terraform',
    }),
  );
  const arn = made.CacheParameterGroup!.ARN!;
  const modify = (values: Record<string, string>) =>
    client.send(
      new ModifyCacheParameterGroupCommand({
        CacheParameterGroupName: name,
        ParameterNameValues: Object.entries(values).map(([ParameterName, ParameterValue]) => ({
          ParameterName,
          ParameterValue,
        })),
      }),
    );
  await modify({ 'maxmemory-policy': 'allkeys-lru', 'notify-keyspace-events': 'KEA', timeout: '300' });
  expect(await userValues(name)).toEqual({
    'maxmemory-policy': 'allkeys-lru',
    'notify-keyspace-events': 'AKE',
    timeout: '300',
  });
  await modify({ 'notify-keyspace-events': '' });
  expect((await userValues(name))['notify-keyspace-events']).toBe('');
  expect(await errorName(modify({ 'maxmemory-policy': 'never', timeout: '60' }))).toBe(
    'InvalidParameterValueException',
  );

  await larder.restart();
  await waitFor(askedEngines, (left) => left.length === 0, {
    what: 'the asked engines to end with the service',
  });
  expect(await userValues(name)).toMatchObject({ timeout: '300' });

  await larder.client.send(
    new ResetCacheParameterGroupCommand({
      CacheParameterGroupName: name,
      ParameterNameValues: [{ ParameterName: 'timeout', ParameterValue: '300' }],
    }),
  );
  expect(Object.keys(await userValues(name)).sort()).toEqual(['maxmemory-policy', 'notify-keyspace-events']);
  const listed = await larder.client.send(
    new DescribeCacheParameterGroupsCommand({ CacheParameterGroupName: name }),
  );
  expect(listed.CacheParameterGroups).toMatchObject([{ ARN: arn, CacheParameterGroupFamily: 'valkey9' }]);
  await larder.client.send(new DeleteCacheParameterGroupCommand({ CacheParameterGroupName: name }));
  expect(
    await errorName(
      larder.client.send(new DescribeCacheParameterGroupsCommand({ CacheParameterGroupName: name })),
    ),
  ).toBe('CacheParameterGroupNotFoundFault');
  expect(await eventsOf(larder, name)).toEqual([
    'Created cache parameter group web',
    'Modified maxmemory-policy, notify-keyspace-events, timeout of cache parameter group web',
    'Modified notify-keyspace-events of cache parameter group web',
    'Reset timeout of cache parameter group web',
    'Deleted cache parameter group web',
  ]);
});

describe('what engines have', () => {
  test('their defaults come in pages, the marker inside', async () => {
    const pages = paginateDescribeEngineDefaultParameters(
      { client: larder.client, pageSize: 20 },
      { CacheParameterGroupFamily: 'redis7' },
    );
    const names: string[] = [];
    for await (const { EngineDefaults } of pages) {
      names.push(...EngineDefaults!.Parameters!.map(({ ParameterName }) => ParameterName!));
    }
    expect(names).toEqual((await parametersOf('default.redis7')).map(({ ParameterName }) => ParameterName));
    expect(new Set(names).size).toBe(names.length);
    const { EngineDefaults } = await larder.client.send(
      new DescribeEngineDefaultParametersCommand({ CacheParameterGroupFamily: 'memcached1.6' }),
    );
    expect(EngineDefaults!.CacheNodeTypeSpecificParameters![0]!.CacheNodeTypeSpecificValues).toContainEqual({
      CacheNodeType: 'cache.t4g.micro',
      Value: '512',
    });
  });

  test('their versions are those that can run here', async () => {
    const versions: string[] = [];
    for await (const page of paginateDescribeCacheEngineVersions({ client: larder.client }, {})) {
      versions.push(...page.CacheEngineVersions!.map((each) => `${each.Engine} ${each.EngineVersion}`));
    }
    expect(versions).toContain('valkey 9.1');
    expect(versions).toContain('redis 7.0');
    expect(versions.some((each) => /^memcached 1\.6\.\d+$/.test(each))).toBe(true);
  });
});

test('a subnet group, its tags and its end', async () => {
  const { client } = larder;
  const { CacheSubnetGroup } = await client.send(
    new CreateCacheSubnetGroupCommand({
      CacheSubnetGroupName: 'Private',
      CacheSubnetGroupDescription: 'two zones',
      SubnetIds: ['subnet-us-east-1a', 'subnet-us-east-1b'],
      Tags: [{ Key: 'team', Value: 'shop' }],
    }),
  );
  const ResourceName = CacheSubnetGroup!.ARN!;
  await client.send(new AddTagsToResourceCommand({ ResourceName, Tags: [{ Key: 'stage', Value: 'test' }] }));
  await client.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: ['team'] }));
  const { TagList } = await client.send(new ListTagsForResourceCommand({ ResourceName }));
  expect(TagList).toEqual([{ Key: 'stage', Value: 'test' }]);
  await client.send(
    new ModifyCacheSubnetGroupCommand({
      CacheSubnetGroupName: 'private',
      SubnetIds: ['subnet-us-east-1c'],
    }),
  );
  const zones: Record<string, (string | undefined)[]> = {};
  for await (const page of paginateDescribeCacheSubnetGroups({ client }, {})) {
    for (const group of page.CacheSubnetGroups!) {
      zones[group.CacheSubnetGroupName!] = group.Subnets!.map((each) => each.SubnetAvailabilityZone!.Name);
    }
  }
  expect(zones).toEqual({
    default: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
    private: ['us-east-1c'],
  });
  await client.send(new DeleteCacheSubnetGroupCommand({ CacheSubnetGroupName: 'private' }));
  expect(await errorName(client.send(new ListTagsForResourceCommand({ ResourceName })))).toBe(
    'CacheSubnetGroupNotFoundFault',
  );
});

test('cache security groups are refused as for an account of today', async () => {
  const create = larder.client.send(
    new CreateCacheSecurityGroupCommand({ CacheSecurityGroupName: 'old', Description: 'x' }),
  );
  await expect(create).rejects.toMatchObject({
    name: 'InvalidParameterValueException',
    message: 'Use of cache security groups is not permitted in this API version for your account.',
  });
});
