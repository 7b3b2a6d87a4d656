/** Who is where: groups, their users, the replication groups that use them, and what is still on its way. */
import type { ControlContext } from '../control-context.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { readUsers, removeUsers } from '../user/store.ts';
import type { CacheUser } from '../user/user.ts';
import { pendingUserGroups } from './group-users.ts';
import { type UserStatus, userStatus } from './status.ts';
import { readUserGroups, readUserGroupUses } from './store.ts';
import type { UserGroup, UserGroupUse } from './user-group.ts';

export interface Standing {
  readonly groups: readonly UserGroup[];
  /** User id -> the groups that the user is in. */
  readonly memberships: ReadonlyMap<string, readonly UserGroup[]>;
  readonly uses: readonly UserGroupUse[];
  /** Ids of user groups whose last change did not reach every node yet. */
  readonly pending: ReadonlySet<string>;
}

export async function readStanding(database: Database | DatabaseTransaction): Promise<Standing> {
  const uses = await readUserGroupUses(database);
  const groups = await readUserGroups(database);
  const memberships = new Map<string, UserGroup[]>();
  for (const group of groups) {
    for (const id of group.userIds) memberships.set(id, [...(memberships.get(id) ?? []), group]);
  }
  return { uses, groups, memberships, pending: await pendingUserGroups(database, uses) };
}

export function groupsOf({ memberships }: Standing, userId: string): readonly UserGroup[] {
  return memberships.get(userId) ?? [];
}

export function usesOf({ uses }: Standing, userGroupIds: readonly string[]): UserGroupUse[] {
  return uses.filter((use) => use.userGroupIds.some((id) => userGroupIds.includes(id)));
}

/** @returns undefined for a user that is gone. */
export function statusOf(standing: Standing, user: CacheUser): UserStatus | undefined {
  const memberOf = groupsOf(standing, user.id).map(({ id }) => id);
  return userStatus(user, memberOf, standing.pending);
}

/** What deletion left behind goes with the next change: until then nobody sees it. */
export async function removeGoneUsers(transaction: DatabaseTransaction, standing: Standing): Promise<void> {
  const users = await readUsers(transaction);
  const gone = users.filter((user) => statusOf(standing, user) === undefined);
  await removeUsers(
    transaction,
    gone.map(({ id }) => id),
  );
}

/** After the commit of a change of these groups. */
export function wakeUses(context: ControlContext, standing: Standing, userGroupIds: readonly string[]): void {
  for (const { replicationGroupId } of usesOf(standing, userGroupIds)) {
    context.wake('replication-group', replicationGroupId);
  }
}
