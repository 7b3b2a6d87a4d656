import type { Input } from '@larder/contract/elasticache/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TestControl, testControl } from '../user/control.test-support.ts';
import { zonesOfSubnetGroup } from './store.ts';

let control: TestControl;
beforeEach(() => {
  control = testControl();
});
afterEach(() => control.close());

const region = 'us-east-1';
const refused = (error: string) => ({ name: 'ServiceError', error });
const create = (name = 'mine', SubnetIds = ['subnet-us-east-1b', 'subnet-us-east-1a'], more = {}) =>
  control.call('CreateCacheSubnetGroup', {
    CacheSubnetGroupName: name,
    CacheSubnetGroupDescription: `${name} of a test`,
    SubnetIds,
    ...more,
  });
const modify = (more: Partial<Input<'ModifyCacheSubnetGroup'>>, name = 'mine') =>
  control.call('ModifyCacheSubnetGroup', { CacheSubnetGroupName: name, ...more });
const remove = (name = 'mine') => control.call('DeleteCacheSubnetGroup', { CacheSubnetGroupName: name });
const zones = (name: string) => zonesOfSubnetGroup(control.database, name, region);

/** A group whose one member stands in that zone. */
async function place(id: string, zone: string, subnetGroup: string): Promise<void> {
  await control.attach(id, [], { subnetGroup });
  await control.database
    .insertInto('member')
    .values({
      id: `${id}-001`,
      group_id: id,
      node_group_id: '0001',
      ordinal: 0,
      zone,
      host: 'local',
      address: '127.64.0.1',
      status: 'available',
      generation: 1,
      parameter_status: 'in-sync',
      created_at: 0,
    })
    .execute();
}

/** A cluster of one node in that zone. */
async function placeCluster(id: string, zone: string, subnetGroup: string): Promise<void> {
  await control.database
    .insertInto('cache_cluster')
    .values({
      id,
      intent: JSON.stringify({ subnetGroup }),
      status: 'available',
      epoch: 1,
      created_at: 0,
      config_version: 1,
    })
    .execute();
  await control.database
    .insertInto('cache_node')
    .values({
      ...{ cluster_id: id, id: '0001', zone, host: 'local', address: '127.64.0.2' },
      ...{ status: 'available', generation: 1, parameter_status: 'in-sync', created_at: 0 },
    })
    .execute();
}

describe('a subnet group', () => {
  test('reads back as it was sent, with a zone for each subnet', async () => {
    const { CacheSubnetGroup: made } = await create('Mine', undefined, { Tags: [{ Key: 'a', Value: 'b' }] });
    expect(made).toEqual({
      CacheSubnetGroupName: 'mine',
      CacheSubnetGroupDescription: 'Mine of a test',
      VpcId: 'vpc-larder',
      Subnets: ['us-east-1b', 'us-east-1a'].map((zone) => ({
        SubnetIdentifier: `subnet-${zone}`,
        SubnetAvailabilityZone: { Name: zone },
        SupportedNetworkTypes: ['ipv4'],
      })),
      ARN: 'arn:aws:elasticache:us-east-1:000000000000:subnetgroup:mine',
      SupportedNetworkTypes: ['ipv4'],
    });
    const one = await control.call('DescribeCacheSubnetGroups', { CacheSubnetGroupName: 'MINE' });
    expect(one).toEqual({ CacheSubnetGroups: [made] });
    expect(await zones('mine')).toEqual(['us-east-1b', 'us-east-1a']);
    expect(await control.call('ListTagsForResource', { ResourceName: made!.ARN! })).toEqual({
      TagList: [{ Key: 'a', Value: 'b' }],
    });
  });

  test('named default is there with every zone, and stays as it is', async () => {
    expect(await zones('default')).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1c']);
    const { CacheSubnetGroups } = await control.call('DescribeCacheSubnetGroups', {});
    expect(CacheSubnetGroups!.map((each) => each.CacheSubnetGroupName)).toEqual(['default']);
    await expect(create('default')).rejects.toMatchObject(refused('CacheSubnetGroupAlreadyExistsFault'));
    await expect(modify({ CacheSubnetGroupDescription: 'x' }, 'default')).rejects.toMatchObject(
      refused('SubnetNotAllowedFault'),
    );
    await expect(remove('default')).rejects.toMatchObject(refused('CacheSubnetGroupInUse'));
  });

  test.each([
    ['an unknown subnet', ['subnet-us-east-1a', 'subnet-0abc'], 'InvalidSubnet'],
    ["another region's", ['subnet-eu-west-1a'], 'InvalidSubnet'],
    ['none', [], 'InvalidParameterValueException'],
    ['21', Array.from({ length: 21 }, () => 'subnet-us-east-1a'), 'CacheSubnetQuotaExceededFault'],
  ])('of %s is refused', async (_, subnets, error) => {
    await expect(create('mine', subnets)).rejects.toMatchObject(refused(error));
    await create('mine', ['subnet-us-east-1a']);
    await expect(modify({ SubnetIds: subnets })).rejects.toMatchObject(refused(error));
    expect(await zones('mine')).toEqual(['us-east-1a']);
  });

  test('has a name of its own, and there are not too many', async () => {
    await create();
    await expect(create('MINE')).rejects.toMatchObject(refused('CacheSubnetGroupAlreadyExistsFault'));
    await expect(create('my_group')).rejects.toMatchObject(refused('InvalidParameterValueException'));
    await control.database
      .insertInto('subnet_group')
      .values(
        Array.from({ length: 299 }, (_, index) => ({ name: `g${index}`, description: '', subnets: '[]' })),
      )
      .execute();
    await expect(create('other')).rejects.toMatchObject(refused('CacheSubnetGroupQuotaExceededFault'));
    for (const wrong of [zones('none'), modify({}, 'none'), remove('none')]) {
      await expect(wrong).rejects.toMatchObject(refused('CacheSubnetGroupNotFoundFault'));
    }
  });

  test.each([
    ['a replication group', place],
    ['a cache cluster', placeCluster],
  ])('in use by %s keeps the subnets in whose zones its nodes stand', async (_, put) => {
    await create();
    await put('shop', 'us-east-1b', 'mine');
    await expect(modify({ SubnetIds: ['subnet-us-east-1a'] })).rejects.toMatchObject(refused('SubnetInUse'));
    await expect(remove()).rejects.toMatchObject(refused('CacheSubnetGroupInUse'));
    await modify({ SubnetIds: ['subnet-us-east-1b', 'subnet-us-east-1c'], CacheSubnetGroupDescription: 'x' });
    expect(await zones('mine')).toEqual(['us-east-1b', 'us-east-1c']);
    await control.database.deleteFrom('cache_node').execute();
    await control.database.deleteFrom('member').execute();
    await remove();
    expect(await control.messages('cache-subnet-group')).toEqual([
      'Created cache subnet group mine',
      'Modified cache subnet group mine',
      'Deleted cache subnet group mine',
    ]);
  });
});

describe('cache security groups', () => {
  test('are no more', async () => {
    const noMore = {
      error: 'InvalidParameterValueException',
      message: 'Use of cache security groups is not permitted in this API version for your account.',
    };
    const group = { CacheSecurityGroupName: 'old' };
    const ec2 = { ...group, EC2SecurityGroupName: 'x', EC2SecurityGroupOwnerId: '1' };
    for (const answer of [
      control.call('CreateCacheSecurityGroup', { ...group, Description: 'x' }),
      control.call('DeleteCacheSecurityGroup', group),
      control.call('AuthorizeCacheSecurityGroupIngress', ec2),
      control.call('RevokeCacheSecurityGroupIngress', ec2),
    ]) {
      await expect(answer).rejects.toMatchObject(noMore);
    }
    expect(await control.call('DescribeCacheSecurityGroups', {})).toEqual({ CacheSecurityGroups: [] });
    await expect(control.call('DescribeCacheSecurityGroups', group)).rejects.toMatchObject(
      refused('CacheSecurityGroupNotFoundFault'),
    );
  });
});
