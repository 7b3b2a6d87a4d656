/**
 * (pure) Subnet groups. There is one subnet in each zone, `subnet-us-east-1a`; what a group decides is in which zones the
 * nodes of those who use it may be placed.
 */
import { zonesOf } from '../placement/zones.ts';

export interface SubnetGroup {
  readonly name: string;
  readonly description: string;
  /** Ids, in the order of the request. */
  readonly subnets: readonly string[];
}

/** The one network there is. */
export const vpcId = 'vpc-larder';
/** What a request without a subnet group means: every zone. */
export const defaultSubnetGroup = 'default';

export function subnetsOf(region: string): string[] {
  return zonesOf(region).map((zone) => `subnet-${zone}`);
}

export function zoneOfSubnet(subnet: string): string {
  return subnet.slice('subnet-'.length);
}
