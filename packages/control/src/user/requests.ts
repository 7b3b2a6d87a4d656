/** Create, modify and delete users. Nodes learn of it from their replication groups' reconcilers. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { userId } from '@larder/contract/ids';
import { replicationUserName, serviceUserName } from '@larder/engine/acl';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { readTags } from '../request/tags.ts';
import { deleteTags, writeTags } from '../tag/store.ts';
import { checkFit } from '../user-group/group-users.ts';
import { checkMembers } from '../user-group/members.ts';
import {
  groupsOf,
  readStanding,
  removeGoneUsers,
  type Standing,
  statusOf,
  usesOf,
  wakeUses,
} from '../user-group/standing.ts';
import { saveUserGroup } from '../user-group/store.ts';
import type { UserGroup } from '../user-group/user-group.ts';
import { checkAccessString } from './access-string.ts';
import { readAuthentication } from './authentication.ts';
import { readUser, readUsers, saveUser } from './store.ts';
import { type CacheUser, defaultUserId, defaultUserName, type UserEngine } from './user.ts';

const mostUsers = 2_000;

/**
 * Writes down a new user; it is active at once, since no node has it.
 * @throws ServiceError UserAlreadyExists, UserQuotaExceeded, DuplicateUserName for the names of the service's own
 *   users, InvalidParameterValue, InvalidParameterCombination, TagQuotaPerResourceExceeded.
 */
export async function createUser(
  context: ControlContext,
  input: Input<'CreateUser'>,
): Promise<{ user: CacheUser; standing: Standing }> {
  const id = userId(input.UserId);
  const engine = userEngine(input.Engine);
  const userName = checkedUserName(input.UserName);
  const authentication = readAuthentication(input);
  if (authentication === undefined) {
    throw serviceError(
      'InvalidParameterCombinationException',
      'A user needs Passwords, NoPasswordRequired or an AuthenticationMode.',
    );
  }
  checkNames({ id, userName, ...authentication });
  const tags = readTags(input.Tags);
  const access = await checkAccessString(context, input.AccessString, engine, authentication.authentication);
  const user: CacheUser = {
    id,
    userName,
    engine,
    accessString: input.AccessString,
    ...access,
    ...authentication,
    createdAtMs: context.nowMs(),
  };
  return context.database.transaction().execute(async (transaction) => {
    const standing = await readStanding(transaction);
    await removeGoneUsers(transaction, standing);
    const users = await readUsers(transaction);
    if (users.some((each) => each.id === id)) {
      throw serviceError('UserAlreadyExistsFault', `User ${id} already exists.`);
    }
    if (users.length >= mostUsers) {
      throw serviceError('UserQuotaExceededFault', `There may be at most ${mostUsers} users.`);
    }
    await saveUser(transaction, user);
    await writeTags(transaction, { resourceType: 'user', name: id }, tags);
    await tell(context, transaction, id, `Created user ${id}`);
    return { user, standing };
  });
}

/**
 * Changes a user; it reads `modifying` until every node has it so. Connections stay.
 * @throws ServiceError UserNotFound, InvalidUserState, InvalidParameterValue, InvalidParameterCombination.
 */
export async function modifyUser(
  context: ControlContext,
  input: Input<'ModifyUser'>,
): Promise<{ user: CacheUser; standing: Standing }> {
  const id = input.UserId.toLowerCase();
  const asked = readAuthentication(input);
  const { AccessString, AppendAccessString, Engine } = input;
  if (AccessString !== undefined && AppendAccessString !== undefined) {
    throw serviceError(
      'InvalidParameterCombinationException',
      'AccessString and AppendAccessString exclude each other.',
    );
  }
  const nothing = [asked, AccessString, AppendAccessString, Engine, input.NoPasswordRequired].every(
    (each) => each === undefined,
  );
  if (nothing) {
    throw serviceError('InvalidParameterCombinationException', 'No modifications were requested.');
  }
  const before = await existing(context.database, id);
  refuseDefault(id, 'modified');
  if (input.NoPasswordRequired === false && asked === undefined && before.authentication === 'no-password') {
    throw serviceError(
      'InvalidParameterCombinationException',
      'A user that needs a password needs Passwords or an AuthenticationMode.',
    );
  }
  const { authentication, passwordHashes } = asked ?? before;
  checkNames({ id, userName: before.userName, authentication });
  const engine = Engine === undefined ? before.engine : userEngine(Engine);
  const accessString =
    AppendAccessString === undefined
      ? (AccessString ?? before.accessString)
      : `${before.accessString} ${AppendAccessString}`;
  const access = await checkAccessString(context, accessString, engine, authentication);
  const user = { ...before, engine, accessString, ...access, authentication, passwordHashes };

  const changed = await context.database.transaction().execute(async (transaction) => {
    const standing = await readStanding(transaction);
    const now = await existing(transaction, id);
    // Engines were asked in the meantime.
    if (JSON.stringify(now) !== JSON.stringify(before)) throw notNow(id, 'modifying');
    refuseUnlessActive(standing, now);
    await saveUser(transaction, user);
    for (const group of groupsOf(standing, id)) {
      const members = await readUsers(transaction, { ids: group.userIds });
      checkMembers(group, members, 'InvalidParameterCombinationException');
      for (const use of usesOf(standing, [group.id])) {
        checkFit(group, members, { engine: use.engine, version: use.engineVersion });
      }
      await saveUserGroup(transaction, { ...group, lastAdded: [], lastRemoved: [] });
    }
    await tell(context, transaction, id, `Modified user ${id}`);
    return { user, standing: await readStanding(transaction) };
  });
  wakeUses(context, changed.standing, groupIdsOf(groupsOf(changed.standing, id)));
  return changed;
}

/**
 * Takes the user out of its groups; it reads `deleting` until no node has it, and then is gone. Its connections end.
 * @throws ServiceError UserNotFound, InvalidUserState, InvalidParameterValue for ElastiCache's own default user,
 *   DefaultUserAssociatedToUserGroup for one that a group of Redis can't be without.
 */
export async function deleteUser(
  context: ControlContext,
  input: Input<'DeleteUser'>,
): Promise<{ user: CacheUser; standing: Standing }> {
  const id = input.UserId.toLowerCase();
  const deleted = await context.database.transaction().execute(async (transaction) => {
    const standing = await readStanding(transaction);
    await removeGoneUsers(transaction, standing);
    const user = await existing(transaction, id);
    const groups = groupsOf(standing, id);
    const needing = groups.find(({ engine }) => engine === 'redis' && user.userName === defaultUserName);
    if (needing !== undefined) {
      throw serviceError(
        'DefaultUserAssociatedToUserGroupFault',
        `User ${id} is the default user of user group ${needing.id}.`,
        { hint: `Replace it there by another user named ${defaultUserName} first.` },
      );
    }
    refuseDefault(id, 'deleted');
    refuseUnlessActive(standing, user);
    for (const group of groups) {
      await saveUserGroup(transaction, {
        ...group,
        userIds: group.userIds.filter((each) => each !== id),
        lastAdded: [],
        lastRemoved: [id],
      });
    }
    const deleting = { ...user, deletedFrom: groupIdsOf(groups) };
    await saveUser(transaction, deleting);
    await deleteTags(transaction, { resourceType: 'user', name: id });
    await tell(context, transaction, id, `Deleted user ${id}`);
    return { user: deleting, standing: await readStanding(transaction) };
  });
  wakeUses(context, deleted.standing, deleted.user.deletedFrom ?? []);
  return deleted;
}

async function existing(database: Parameters<typeof readUser>[0], id: string): Promise<CacheUser> {
  const user = await readUser(database, id);
  if (user === undefined) throw userNotFound(id);
  if (user.deletedFrom === undefined) return user;
  const status = statusOf(await readStanding(database), user);
  throw status === undefined ? userNotFound(id) : notNow(id, status);
}

function refuseUnlessActive(standing: Standing, user: CacheUser): void {
  const status = statusOf(standing, user);
  if (status !== 'active') throw notNow(user.id, status ?? 'deleting');
}

function refuseDefault(id: string, what: string): void {
  if (id !== defaultUserId) return;
  throw serviceError('InvalidParameterValueException', `The user ${defaultUserId} can't be ${what}.`, {
    hint: `Make another user with the UserName ${defaultUserName} instead.`,
  });
}

export function userNotFound(id: string) {
  return serviceError('UserNotFoundFault', `User ${id} not found.`);
}

function notNow(id: string, status: string) {
  return serviceError('InvalidUserStateFault', `User ${id} is ${status}; it must be active.`);
}

/** @throws ServiceError InvalidParameterValue */
export function userEngine(text: string): UserEngine {
  const engine = text.toLowerCase();
  if (engine === 'valkey' || engine === 'redis') return engine;
  throw serviceError('InvalidParameterValueException', 'Engine must be valkey or redis.');
}

function checkedUserName(name: string): string {
  // Words of a configuration file: no white space, quotation marks or selectors.
  if (!/^[!-~]{1,120}$/.test(name) || /["'()]/.test(name)) {
    throw serviceError(
      'InvalidParameterValueException',
      'UserName must have 1 to 120 characters without spaces, quotation marks and parentheses.',
    );
  }
  if (name === serviceUserName || name === replicationUserName) {
    throw serviceError('DuplicateUserNameFault', `The service has a user named ${name} on every node.`);
  }
  return name;
}

/** An IAM token names the user by its id, and the engine knows it by its name. */
function checkNames(user: Pick<CacheUser, 'id' | 'userName' | 'authentication'>): void {
  if (user.authentication !== 'iam' || user.userName.toLowerCase() === user.id) return;
  throw serviceError(
    'InvalidParameterCombinationException',
    'A user with IAM authentication must have the same UserId and UserName.',
  );
}

function groupIdsOf(groups: readonly UserGroup[]): string[] {
  return groups.map(({ id }) => id);
}

function tell(
  context: ControlContext,
  transaction: DatabaseTransaction,
  id: string,
  message: string,
): Promise<void> {
  return recordEvent(transaction, { atMs: context.nowMs(), sourceType: 'user', sourceId: id, message });
}
