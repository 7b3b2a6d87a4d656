/** The user groups' SQL. */
import type { EngineName } from '@larder/engine/engine';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { UserEngine } from '../user/user.ts';
import type { UserGroup, UserGroupUse } from './user-group.ts';

type Reader = Database | DatabaseTransaction;

/** In the order of their ids. */
export async function readUserGroups(
  database: Reader,
  filter: { readonly ids?: readonly string[] } = {},
): Promise<UserGroup[]> {
  if (filter.ids?.length === 0) return [];
  let query = database.selectFrom('user_group').selectAll().orderBy('id');
  if (filter.ids !== undefined) query = query.where('id', 'in', filter.ids);
  const groups = await query.execute();
  if (groups.length === 0) return [];
  const members = await database
    .selectFrom('user_group_member')
    .selectAll()
    .where(
      'group_id',
      'in',
      groups.map(({ id }) => id),
    )
    .orderBy('user_id')
    .execute();
  const userIds = new Map<string, string[]>(groups.map(({ id }) => [id, []]));
  for (const each of members) userIds.get(each.group_id)?.push(each.user_id);
  return groups.map((row) => ({
    id: row.id,
    engine: row.engine as UserEngine,
    userIds: userIds.get(row.id) ?? [],
    lastAdded: JSON.parse(row.last_added) as string[],
    lastRemoved: JSON.parse(row.last_removed) as string[],
    createdAtMs: row.created_at,
  }));
}

export async function readUserGroup(database: Reader, id: string): Promise<UserGroup | undefined> {
  return (await readUserGroups(database, { ids: [id] }))[0];
}

/** Writes it down with its members, whether it is new or not. */
export async function saveUserGroup(transaction: DatabaseTransaction, group: UserGroup): Promise<void> {
  const row = {
    engine: group.engine,
    last_added: JSON.stringify(group.lastAdded),
    last_removed: JSON.stringify(group.lastRemoved),
    created_at: group.createdAtMs,
  };
  await transaction
    .insertInto('user_group')
    .values({ id: group.id, ...row })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
  await transaction.deleteFrom('user_group_member').where('group_id', '=', group.id).execute();
  if (group.userIds.length === 0) return;
  await transaction
    .insertInto('user_group_member')
    .values(group.userIds.map((userId) => ({ group_id: group.id, user_id: userId })))
    .execute();
}

export async function removeUserGroup(transaction: DatabaseTransaction, id: string): Promise<void> {
  await transaction.deleteFrom('user_group').where('id', '=', id).execute();
}

/** Every replication group that has user groups, in the order of their ids. */
export async function readUserGroupUses(database: Reader): Promise<UserGroupUse[]> {
  const rows = await database
    .selectFrom('replication_group')
    .select(['id', 'status', 'intent', 'users_digest'])
    .orderBy('id')
    .execute();
  return rows.flatMap((row) => {
    const intent = JSON.parse(row.intent) as {
      readonly engine: EngineName;
      readonly engineVersion: string;
      readonly userGroupIds?: readonly string[];
    };
    const userGroupIds = intent.userGroupIds ?? [];
    if (userGroupIds.length === 0) return [];
    const { engine, engineVersion } = intent;
    return [
      {
        replicationGroupId: row.id,
        status: row.status,
        engine,
        engineVersion,
        userGroupIds,
        usersDigest: row.users_digest,
      },
    ];
  });
}
