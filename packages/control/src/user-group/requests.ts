/** Create, modify and delete user groups. Nodes learn of it from their replication groups' reconcilers. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { userId } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { readTags } from '../request/tags.ts';
import { deleteTags, writeTags } from '../tag/store.ts';
import { userEngine, userNotFound } from '../user/requests.ts';
import { readUsers } from '../user/store.ts';
import type { CacheUser } from '../user/user.ts';
import { checkFit, userGroupNotFound } from './group-users.ts';
import { checkMembers } from './members.ts';
import { readStanding, type Standing, usesOf, wakeUses } from './standing.ts';
import { userGroupStatus } from './status.ts';
import { readUserGroup, readUserGroups, removeUserGroup, saveUserGroup } from './store.ts';
import type { UserGroup } from './user-group.ts';

const mostUserGroups = 200;

/**
 * @throws ServiceError UserGroupAlreadyExists, UserGroupQuotaExceeded, UserNotFound, DuplicateUserName,
 *   DefaultUserRequired, InvalidParameterValue, TagQuotaPerResourceExceeded.
 */
export async function createUserGroup(
  context: ControlContext,
  input: Input<'CreateUserGroup'>,
): Promise<{ group: UserGroup; standing: Standing }> {
  const id = userId(input.UserGroupId, 'UserGroupId');
  const group: UserGroup = {
    id,
    engine: userEngine(input.Engine),
    userIds: distinct('UserIds', input.UserIds, 'InvalidParameterValueException').sort(),
    lastAdded: [],
    lastRemoved: [],
    createdAtMs: context.nowMs(),
  };
  const tags = readTags(input.Tags);
  return context.database.transaction().execute(async (transaction) => {
    const groups = await readUserGroups(transaction);
    if (groups.some((each) => each.id === id)) {
      throw serviceError('UserGroupAlreadyExistsFault', `User group ${id} already exists.`);
    }
    if (groups.length >= mostUserGroups) {
      throw serviceError(
        'UserGroupQuotaExceededFault',
        `There may be at most ${mostUserGroups} user groups.`,
      );
    }
    checkMembers(group, await usersNamed(transaction, group.userIds), 'InvalidParameterValueException');
    await saveUserGroup(transaction, group);
    await writeTags(transaction, { resourceType: 'usergroup', name: id }, tags);
    await tell(context, transaction, id, `Created user group ${id}`);
    return { group, standing: await readStanding(transaction) };
  });
}

/**
 * Adds and removes users, both at once; the group reads `modifying` until every node has it so. Connections of users
 * who left end, the others' stay.
 * @throws ServiceError UserGroupNotFound, InvalidUserGroupState, UserNotFound, DuplicateUserName,
 *   DefaultUserRequired, InvalidParameterValue, InvalidParameterCombination.
 */
export async function modifyUserGroup(
  context: ControlContext,
  input: Input<'ModifyUserGroup'>,
): Promise<{ group: UserGroup; standing: Standing }> {
  const id = input.UserGroupId.toLowerCase();
  const toAdd = distinct('UserIdsToAdd', input.UserIdsToAdd, 'InvalidParameterCombinationException');
  const toRemove = distinct('UserIdsToRemove', input.UserIdsToRemove, 'InvalidParameterCombinationException');
  const engine = input.Engine === undefined ? undefined : userEngine(input.Engine);
  if (toAdd.length + toRemove.length === 0 && engine === undefined) {
    throw serviceError('InvalidParameterCombinationException', 'No modifications were requested.');
  }
  const changed = await context.database.transaction().execute(async (transaction) => {
    const before = await activeGroup(transaction, id);
    await usersNamed(transaction, toAdd);
    const present = toAdd.find((each) => before.userIds.includes(each));
    if (present !== undefined) throw misfit(`User ${present} is already in user group ${id}.`);
    const absent = toRemove.find((each) => !before.userIds.includes(each));
    if (absent !== undefined) throw misfit(`User ${absent} is not in user group ${id}.`);
    const group: UserGroup = {
      ...before,
      engine: engine ?? before.engine,
      userIds: [...before.userIds.filter((each) => !toRemove.includes(each)), ...toAdd].sort(),
      lastAdded: toAdd,
      lastRemoved: toRemove,
    };
    const users = await usersNamed(transaction, group.userIds);
    checkMembers(group, users, 'InvalidParameterCombinationException');
    for (const use of usesOf(await readStanding(transaction), [id])) {
      checkFit(group, users, { engine: use.engine, version: use.engineVersion });
    }
    await saveUserGroup(transaction, group);
    await tell(context, transaction, id, `Modified user group ${id}`);
    return { group, standing: await readStanding(transaction) };
  });
  wakeUses(context, changed.standing, [id]);
  return changed;
}

/**
 * The group is gone at once: nobody may be using it.
 * @throws ServiceError UserGroupNotFound, InvalidUserGroupState while a replication group has it.
 */
export async function deleteUserGroup(
  context: ControlContext,
  input: Input<'DeleteUserGroup'>,
): Promise<{ group: UserGroup; standing: Standing }> {
  const id = input.UserGroupId.toLowerCase();
  return context.database.transaction().execute(async (transaction) => {
    const group = await readUserGroup(transaction, id);
    if (group === undefined) throw userGroupNotFound(id);
    const standing = await readStanding(transaction);
    const [use] = usesOf(standing, [id]);
    if (use !== undefined) {
      throw serviceError(
        'InvalidUserGroupStateFault',
        `User group ${id} is associated with replication group ${use.replicationGroupId}.`,
        { hint: 'Remove it there first.' },
      );
    }
    await removeUserGroup(transaction, id);
    await deleteTags(transaction, { resourceType: 'usergroup', name: id });
    await tell(context, transaction, id, `Deleted user group ${id}`);
    return { group, standing };
  });
}

async function activeGroup(transaction: DatabaseTransaction, id: string): Promise<UserGroup> {
  const group = await readUserGroup(transaction, id);
  if (group === undefined) throw userGroupNotFound(id);
  const { pending } = await readStanding(transaction);
  const status = userGroupStatus(group, pending);
  if (status === 'active') return group;
  throw serviceError('InvalidUserGroupStateFault', `User group ${id} is ${status}; it must be active.`);
}

/** @throws ServiceError UserNotFound for one that does not exist or is being deleted. */
async function usersNamed(transaction: DatabaseTransaction, ids: readonly string[]): Promise<CacheUser[]> {
  const users = (await readUsers(transaction, { ids })).filter(
    ({ deletedFrom }) => deletedFrom === undefined,
  );
  const missing = ids.find((id) => !users.some((user) => user.id === id));
  if (missing !== undefined) throw userNotFound(missing);
  return users;
}

function distinct(
  parameter: string,
  ids: readonly string[] | undefined,
  error: 'InvalidParameterValueException' | 'InvalidParameterCombinationException',
): string[] {
  const stored = (ids ?? []).map((id) => userId(id));
  if (new Set(stored).size === stored.length) return stored;
  throw serviceError(error, `${parameter} names a user twice.`);
}

function misfit(message: string) {
  return serviceError('InvalidParameterCombinationException', message);
}

function tell(
  context: ControlContext,
  transaction: DatabaseTransaction,
  id: string,
  message: string,
): Promise<void> {
  return recordEvent(transaction, { atMs: context.nowMs(), sourceType: 'user-group', sourceId: id, message });
}
