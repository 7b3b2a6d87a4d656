/** Subnet groups as ElastiCache shows them. */
import type { Caller } from '@larder/contract/elasticache/handlers';
import type { Input, Output } from '@larder/contract/elasticache/model';
import { formatArn } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import { pageOf } from '../request/page.ts';
import { existingSubnetGroup, readSubnetGroups } from './store.ts';
import { type SubnetGroup, vpcId, zoneOfSubnet } from './subnet-group.ts';

type Owner = Pick<Caller, 'region' | 'accountId'>;
type Shown = NonNullable<Output<'DescribeCacheSubnetGroups'>['CacheSubnetGroups']>[number];

/** @throws ServiceError CacheSubnetGroupNotFoundFault when one was asked for by name and is not there. */
export async function describeSubnetGroups(
  { database }: ControlContext,
  owner: Owner,
  input: Input<'DescribeCacheSubnetGroups'>,
): Promise<Output<'DescribeCacheSubnetGroups'>> {
  if (input.CacheSubnetGroupName !== undefined) {
    const group = await existingSubnetGroup(database, input.CacheSubnetGroupName, owner.region);
    return { CacheSubnetGroups: [showSubnetGroup(group, owner)] };
  }
  const all = await readSubnetGroups(database, owner.region);
  const { items, ...marker } = pageOf(all, input, ({ name }) => name);
  return { CacheSubnetGroups: items.map((group) => showSubnetGroup(group, owner)), ...marker };
}

export function showSubnetGroup(group: SubnetGroup, owner: Owner): Shown {
  return {
    CacheSubnetGroupName: group.name,
    CacheSubnetGroupDescription: group.description,
    VpcId: vpcId,
    Subnets: group.subnets.map((subnet) => ({
      SubnetIdentifier: subnet,
      SubnetAvailabilityZone: { Name: zoneOfSubnet(subnet) },
      SupportedNetworkTypes: ['ipv4'],
    })),
    ARN: formatArn({ ...owner, resourceType: 'subnetgroup', name: group.name }),
    SupportedNetworkTypes: ['ipv4'],
  };
}
