/**
 * (pure) What users and user groups read as. Nothing of it is stored: it follows from what was asked for and from what
 * the nodes of replication groups were last seen with.
 */
import type { CacheUser } from '../user/user.ts';
import type { UserGroup } from './user-group.ts';

export type UserGroupStatus = 'active' | 'modifying';
export type UserStatus = 'active' | 'modifying' | 'deleting';

/** @param pending the user groups that some replication group does not have in force as they are now. */
export function userGroupStatus(
  { id }: Pick<UserGroup, 'id'>,
  pending: ReadonlySet<string>,
): UserGroupStatus {
  return pending.has(id) ? 'modifying' : 'active';
}

/**
 * @param memberOf the groups that the user is in.
 * @returns undefined for a user that is gone: its deletion was asked for and no node has it any more.
 */
export function userStatus(
  user: Pick<CacheUser, 'deletedFrom'>,
  memberOf: readonly string[],
  pending: ReadonlySet<string>,
): UserStatus | undefined {
  if (user.deletedFrom !== undefined) {
    return user.deletedFrom.some((id) => pending.has(id)) ? 'deleting' : undefined;
  }
  return memberOf.some((id) => pending.has(id)) ? 'modifying' : 'active';
}
