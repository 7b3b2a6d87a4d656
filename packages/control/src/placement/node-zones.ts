/** The zones that a resource's nodes may be placed in. */
import type { ControlContext } from '../control-context.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { zonesOfSubnetGroup } from '../subnet-group/store.ts';
import { zonesOf } from './zones.ts';

/** Those of its subnet group, or of the region when it has none, that have room for nodes. */
export async function nodeZones(
  { placement }: Pick<ControlContext, 'placement'>,
  reader: Database | DatabaseTransaction,
  region: string,
  subnetGroup: string | undefined,
): Promise<readonly string[]> {
  const known =
    subnetGroup === undefined ? zonesOf(region) : await zonesOfSubnetGroup(reader, subnetGroup, region);
  return placement.zones(known);
}
