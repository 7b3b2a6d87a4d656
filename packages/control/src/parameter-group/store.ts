/** The parameter groups' SQL. */
import { parameterFamilies } from '@larder/engine/parameters/family';
import { sql } from 'kysely';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { defaultParameterGroups, type ParameterGroup } from './parameter-group.ts';

type Reader = Database | DatabaseTransaction;

/** The written one or the default one of that name. */
export async function readParameterGroup(
  database: Reader,
  name: string,
): Promise<ParameterGroup | undefined> {
  const isDefault = defaultParameterGroups().find((each) => each.name === name);
  return isDefault ?? (await readWritten(database, name))[0];
}

/** The default ones too, in the order of their names. */
export async function readParameterGroups(database: Reader): Promise<ParameterGroup[]> {
  const all = [...defaultParameterGroups(), ...(await readWritten(database))];
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function readWritten(database: Reader, name?: string): Promise<ParameterGroup[]> {
  let query = database.selectFrom('parameter_group').select(['name', 'family', 'description', 'settings']);
  if (name !== undefined) query = query.where('name', '=', name);
  const rows = await query.execute();
  return rows.map((row) => {
    const family = parameterFamilies().get(row.family);
    if (family === undefined) throw new Error(`Family ${row.family} is written down but not known.`);
    return {
      name: row.name,
      family,
      description: row.description,
      settings: JSON.parse(row.settings) as Record<string, string>,
      isDefault: false,
    };
  });
}

export async function countParameterGroups(transaction: DatabaseTransaction): Promise<number> {
  const row = await transaction
    .selectFrom('parameter_group')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export async function insertParameterGroup(
  transaction: DatabaseTransaction,
  group: ParameterGroup,
): Promise<void> {
  await transaction
    .insertInto('parameter_group')
    .values({
      name: group.name,
      family: group.family.family,
      description: group.description,
      settings: JSON.stringify(group.settings),
    })
    .execute();
}

export async function writeSettings(
  transaction: DatabaseTransaction,
  name: string,
  settings: ParameterGroup['settings'],
): Promise<void> {
  await transaction
    .updateTable('parameter_group')
    .set({ settings: JSON.stringify(settings) })
    .where('name', '=', name)
    .execute();
}

export async function removeParameterGroup(transaction: DatabaseTransaction, name: string): Promise<void> {
  await transaction.deleteFrom('parameter_group').where('name', '=', name).execute();
}

export interface ParameterGroupUser {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
}

/** Whose intent names the group. Nothing names a default one without meaning it: that is the same. */
export async function usersOfParameterGroup(database: Reader, name: string): Promise<ParameterGroupUser[]> {
  const named = sql<boolean>`intent ->> 'parameterGroup' = ${name}`;
  const groups = await database.selectFrom('replication_group').select('id').where(named).execute();
  const clusters = await database.selectFrom('cache_cluster').select('id').where(named).execute();
  return [
    ...groups.map(({ id }) => ({ resource: 'replication-group' as const, id })),
    ...clusters.map(({ id }) => ({ resource: 'cache-cluster' as const, id })),
  ];
}

/** Their nodes are to take the group's values on: until they were seen with them a difference is nobody's doing. */
export async function markApplying(
  transaction: DatabaseTransaction,
  users: readonly ParameterGroupUser[],
): Promise<void> {
  for (const { resource, id } of users) {
    const applying = { parameter_status: 'applying' } as const;
    await (resource === 'replication-group'
      ? transaction.updateTable('member').set(applying).where('group_id', '=', id).execute()
      : transaction.updateTable('cache_node').set(applying).where('cluster_id', '=', id).execute());
  }
}
