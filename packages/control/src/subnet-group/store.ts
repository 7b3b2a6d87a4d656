/** The subnet groups' SQL. */
import { serviceError } from '@larder/contract/errors';
import { sql } from 'kysely';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { defaultSubnetGroup, type SubnetGroup, subnetsOf, zoneOfSubnet } from './subnet-group.ts';

type Reader = Database | DatabaseTransaction;

/** The default one too, in the order of their names. */
export async function readSubnetGroups(database: Reader, region: string): Promise<SubnetGroup[]> {
  const all = [defaultOf(region), ...(await readWritten(database))];
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws ServiceError CacheSubnetGroupNotFoundFault */
export async function existingSubnetGroup(
  database: Reader,
  name: string,
  region: string,
): Promise<SubnetGroup> {
  const stored = name.toLowerCase();
  if (stored === defaultSubnetGroup) return defaultOf(region);
  const [found] = await readWritten(database, stored);
  if (found !== undefined) return found;
  throw serviceError(
    'CacheSubnetGroupNotFoundFault',
    `Cache Subnet Group ${name.slice(0, 255)} does not exist.`,
  );
}

/**
 * The zones in which nodes of a user of the group may be placed, in the order of its subnets.
 * @throws ServiceError CacheSubnetGroupNotFoundFault
 */
export async function zonesOfSubnetGroup(
  database: Reader,
  name: string,
  region: string,
): Promise<readonly string[]> {
  return (await existingSubnetGroup(database, name, region)).subnets.map(zoneOfSubnet);
}

async function readWritten(database: Reader, name?: string): Promise<SubnetGroup[]> {
  let query = database.selectFrom('subnet_group').select(['name', 'description', 'subnets']);
  if (name !== undefined) query = query.where('name', '=', name);
  const rows = await query.execute();
  return rows.map((row) => ({ ...row, subnets: JSON.parse(row.subnets) as string[] }));
}

function defaultOf(region: string): SubnetGroup {
  return { name: defaultSubnetGroup, description: 'Default CacheSubnetGroup', subnets: subnetsOf(region) };
}

export async function countSubnetGroups(transaction: DatabaseTransaction): Promise<number> {
  const row = await transaction
    .selectFrom('subnet_group')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Writes it down, whether it is new or not. */
export async function saveSubnetGroup(transaction: DatabaseTransaction, group: SubnetGroup): Promise<void> {
  const row = { description: group.description, subnets: JSON.stringify(group.subnets) };
  await transaction
    .insertInto('subnet_group')
    .values({ name: group.name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}

export async function removeSubnetGroup(transaction: DatabaseTransaction, name: string): Promise<void> {
  await transaction.deleteFrom('subnet_group').where('name', '=', name).execute();
}

export interface PlacedNode {
  /** Id of the replication group or cache cluster. */
  readonly of: string;
  readonly zone: string;
}

/** The nodes of everybody whose intent names the group. */
export async function nodesInSubnetGroup(database: Reader, name: string): Promise<PlacedNode[]> {
  const named = (table: string) => sql<boolean>`${sql.ref(`${table}.intent`)} ->> 'subnetGroup' = ${name}`;
  const members = await database
    .selectFrom('member')
    .innerJoin('replication_group', 'replication_group.id', 'member.group_id')
    .select(['member.group_id as of', 'member.zone as zone'])
    .where(named('replication_group'))
    .execute();
  const nodes = await database
    .selectFrom('cache_node')
    .innerJoin('cache_cluster', 'cache_cluster.id', 'cache_node.cluster_id')
    .select(['cache_node.cluster_id as of', 'cache_node.zone as zone'])
    .where(named('cache_cluster'))
    .execute();
  return [...members, ...nodes];
}
