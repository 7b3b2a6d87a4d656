import { formatArn } from '@larder/contract/ids';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { replicatedGroup } from '../replication-group/group.test-support.ts';
import { insertReplicationGroup } from '../replication-group/store.ts';
import { type TestControl, testControl, valkeyUser } from '../user/control.test-support.ts';
import { deleteTags, readTagsOf } from './store.ts';

let control: TestControl;
beforeEach(async () => {
  control = testControl();
  await control.database
    .transaction()
    .execute((transaction) => insertReplicationGroup(transaction, replicatedGroup(2)));
});
afterEach(() => control.close());

const owner = { region: 'us-east-1', accountId: '000000000000' };
type Type = Parameters<typeof formatArn>[0]['resourceType'];
const arn = (resourceType: Type, name: string) => formatArn({ ...owner, resourceType, name });
const refused = (error: string) => ({ name: 'ServiceError', error });
const tags = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([Key, Value]) => ({ Key, Value }));
const add = (resource: string, values: Readonly<Record<string, string>>) =>
  control.call('AddTagsToResource', { ResourceName: resource, Tags: tags(values) });
const remove = (resource: string, TagKeys: string[]) =>
  control.call('RemoveTagsFromResource', { ResourceName: resource, TagKeys });
async function list(resource: string): Promise<Record<string, string>> {
  const { TagList } = await control.call('ListTagsForResource', { ResourceName: resource });
  return Object.fromEntries(TagList!.map(({ Key, Value }) => [Key!, Value!]));
}

const shop = arn('replicationgroup', 'shop');

describe('tags', () => {
  test('are added, replaced, removed and listed; each answer has what there is then', async () => {
    expect(await add(shop, { team: 'shop', stage: 'test' })).toEqual({
      TagList: tags({ stage: 'test', team: 'shop' }),
    });
    await add(shop, { stage: 'live' });
    expect(await list(shop)).toEqual({ stage: 'live', team: 'shop' });
    expect(await remove(shop, ['team'])).toEqual({ TagList: tags({ stage: 'live' }) });
    await expect(remove(shop, ['stage', 'team'].concat(Array(40_000).fill('stage')))).rejects.toMatchObject(
      refused('TagNotFoundFault'),
    );
    expect(await list(shop)).toEqual({ stage: 'live' });
    expect(await remove(shop, Array(40_000).fill('stage'))).toEqual({ TagList: [] });
  });

  test('of a replication group hold for its members, which may have their own', async () => {
    const member = arn('cluster', 'shop-001');
    await add(shop, { team: 'shop', stage: 'test' });
    await add(member, { stage: 'live', rack: '7' });
    expect(await list(member)).toEqual({ rack: '7', stage: 'live', team: 'shop' });
    expect(await list(arn('cluster', 'shop-002'))).toEqual({ stage: 'test', team: 'shop' });
    await expect(remove(member, ['team'])).rejects.toMatchObject(refused('TagNotFoundFault'));
    await control.database
      .transaction()
      .execute((transaction) => deleteTags(transaction, { resourceType: 'replicationgroup', name: 'shop' }));
    expect(await control.database.selectFrom('tag').selectAll().execute()).toEqual([]);
  });

  test('there are at most 50, however they come', async () => {
    const many = (count: number, prefix: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, '']));
    await add(shop, many(30, 'a'));
    await expect(add(shop, many(21, 'b'))).rejects.toMatchObject(refused('TagQuotaPerResourceExceeded'));
    await expect(add(shop, many(51, 'c'))).rejects.toMatchObject(refused('TagQuotaPerResourceExceeded'));
    expect(
      await readTagsOf(control.database, { resourceType: 'replicationgroup', name: 'shop' }),
    ).toHaveLength(30);
    await add(shop, many(20, 'b'));
  });

  test('are on everything that has an ARN here', async () => {
    await control.call('CreateCacheParameterGroup', {
      CacheParameterGroupName: 'mine',
      CacheParameterGroupFamily: 'valkey9',
      Description: 'x',
    });
    await control.call('CreateCacheSubnetGroup', {
      CacheSubnetGroupName: 'mine',
      CacheSubnetGroupDescription: 'x',
      SubnetIds: ['subnet-us-east-1a'],
    });
    await control.call('CreateUser', valkeyUser('app'));
    await control.call('CreateUser', valkeyUser('fallback', { UserName: 'default' }));
    await control.call('CreateUserGroup', { UserGroupId: 'apps', Engine: 'valkey', UserIds: ['fallback'] });
    const resources = [
      ...[shop, arn('cluster', 'shop-001'), arn('parametergroup', 'mine'), arn('subnetgroup', 'mine')],
      ...[arn('user', 'app'), arn('usergroup', 'apps'), arn('subnetgroup', 'default')],
    ];
    for (const [index, resource] of resources.entries()) await add(resource, { [`k${index}`]: resource });
    for (const [index, resource] of resources.entries()) {
      expect((await list(resource))[`k${index}`], resource).toBe(resource);
    }
  });

  test.each([
    ['cluster', 'CacheClusterNotFoundFault'],
    ['replicationgroup', 'ReplicationGroupNotFoundFault'],
    ['parametergroup', 'CacheParameterGroupNotFoundFault'],
    ['subnetgroup', 'CacheSubnetGroupNotFoundFault'],
    ['securitygroup', 'CacheSecurityGroupNotFoundFault'],
    ['user', 'UserNotFoundFault'],
    ['usergroup', 'UserGroupNotFoundFault'],
    ['snapshot', 'SnapshotNotFoundFault'],
    ['serverlesscache', 'ServerlessCacheNotFoundFault'],
    ['serverlesscachesnapshot', 'ServerlessCacheSnapshotNotFoundFault'],
    ['reserved-instance', 'ReservedCacheNodeNotFoundFault'],
    ['globalreplicationgroup', 'InvalidARNFault'],
  ] as const)('of a %s that is not there: %s', async (type, error) => {
    const resource = arn(type, 'nothing');
    for (const answer of [add(resource, { a: 'b' }), remove(resource, ['a']), list(resource)]) {
      await expect(answer).rejects.toMatchObject(refused(error));
    }
  });

  test.each([
    ['no ARN', 'shop'],
    ['another account', shop.replace('000000000000', '111111111111')],
    ['another region', shop.replace('us-east-1', 'eu-west-1')],
    ['another service', shop.replace('elasticache', 'rds')],
  ])('%s is refused', async (_, resource) => {
    await expect(list(resource)).rejects.toMatchObject(refused('InvalidARNFault'));
  });
});
