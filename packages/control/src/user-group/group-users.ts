/** From user groups to the users of an engine: what a replication group's nodes are to have. */
import { serviceError } from '@larder/contract/errors';
import { type AclUser, closedDefaultUser, digestUsers, restrict } from '@larder/engine/acl';
import { compareVersions, type EngineName, engineTraits } from '@larder/engine/engine';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { readUsers } from '../user/store.ts';
import { type CacheUser, defaultUserName } from '../user/user.ts';
import { userGroupStatus } from './status.ts';
import { readUserGroups, readUserGroupUses } from './store.ts';
import type { UserGroup, UserGroupUse } from './user-group.ts';

type Reader = Database | DatabaseTransaction;

export interface GroupUsers {
  /**
   * ACL users of the engine, restrictions applied; IAM users carry no password (the caller adds a hash). Always
   * includes one named default (off when the group has none).
   */
  readonly users: readonly AclUser[];
  readonly iam: readonly { readonly userId: string; readonly userName: string }[];
}

export interface EngineOfGroup {
  readonly engine: EngineName;
  /** Whole. */
  readonly version: string;
}

/** Groups that do not exist add nobody. */
export async function groupUsersOf(
  database: Reader,
  userGroupIds: readonly string[],
  of: EngineOfGroup,
): Promise<GroupUsers> {
  const groups = await readUserGroups(database, { ids: userGroupIds });
  const users = await readUsers(database, { ids: [...new Set(groups.flatMap(({ userIds }) => userIds))] });
  return engineUsers(users, of);
}

function engineUsers(users: readonly CacheUser[], { engine, version }: EngineOfGroup): GroupUsers {
  const own = users.map((user): AclUser => {
    const login =
      user.authentication === 'no-password' ? ['nopass'] : user.passwordHashes.map((hash) => `#${hash}`);
    return { name: user.userName, rules: restrict([...login, ...user.rules], engine, version) };
  });
  return {
    users: own.some(({ name }) => name === defaultUserName) ? own : [closedDefaultUser(), ...own],
    iam: users
      .filter(({ authentication }) => authentication === 'iam')
      .map(({ id, userName }) => ({ userId: id, userName })),
  };
}

/**
 * For requests that attach user groups to a replication group.
 * @throws ServiceError UserGroupNotFound; InvalidUserGroupState while a change of the group is still on its way;
 *   InvalidParameterCombination for more than one group, or when the engine or its version does not fit.
 */
export async function checkUserGroups(
  database: Reader,
  userGroupIds: readonly string[],
  of: EngineOfGroup,
): Promise<void> {
  if (userGroupIds.length > 1) {
    throw serviceError(
      'InvalidParameterCombinationException',
      `A replication group has at most one user group; ${userGroupIds.length} were given.`,
    );
  }
  const groups = await readUserGroups(database, { ids: userGroupIds });
  const pending = await pendingUserGroups(database);
  for (const id of userGroupIds) {
    const group = groups.find((each) => each.id === id);
    if (group === undefined) throw userGroupNotFound(id);
    if (userGroupStatus(group, pending) !== 'active') {
      throw serviceError(
        'InvalidUserGroupStateFault',
        `User group ${id} is modifying; it can be used when it is active.`,
      );
    }
    checkFit(group, await readUsers(database, { ids: group.userIds }), of);
  }
}

/**
 * Whether nodes of that engine can have the group.
 * @throws ServiceError InvalidParameterCombination saying who does not fit, and why.
 */
export function checkFit(
  group: Pick<UserGroup, 'id' | 'engine'>,
  users: readonly CacheUser[],
  of: EngineOfGroup,
): void {
  const misfit = misfitOf(group, users, of);
  if (misfit !== undefined) throw serviceError('InvalidParameterCombinationException', misfit);
}

/** Valkey before it went ways of its own takes everything of Redis up to here. */
const lastCommonVersion = '7.2';

function misfitOf(
  group: Pick<UserGroup, 'id' | 'engine'>,
  users: readonly CacheUser[],
  of: EngineOfGroup,
): string | undefined {
  const title = engineTraits[of.engine].title;
  if (of.engine === 'memcached') return 'Memcached has no users, so no user group can be attached.';
  if (group.engine === 'valkey' && of.engine !== 'valkey') {
    return `User group ${group.id} is for Valkey and can't be attached to a cache of ${title}.`;
  }
  for (const { id, engine, minimumEngineVersion } of users) {
    const most = engine === of.engine ? of.version : lastCommonVersion;
    if (compareVersions(minimumEngineVersion, most) > 0) {
      return `User ${id} needs ${engineTraits[engine].title} ${minimumEngineVersion}; the cache runs ${title} ${of.version}.`;
    }
  }
  return undefined;
}

/** The user groups that some replication group should have in force as they are now and has not. */
export async function pendingUserGroups(
  database: Reader,
  uses?: readonly UserGroupUse[],
): Promise<ReadonlySet<string>> {
  const pending = new Set<string>();
  /** Replication groups often have the same user groups. */
  const digests = new Map<string, string>();
  for (const use of uses ?? (await readUserGroupUses(database))) {
    // While it is created or deleted nobody waits for its users.
    if (!['available', 'modifying', 'snapshotting'].includes(use.status)) continue;
    const of = { engine: use.engine, version: use.engineVersion };
    const key = JSON.stringify([use.userGroupIds, of]);
    const wanted =
      digests.get(key) ?? digestUsers((await groupUsersOf(database, use.userGroupIds, of)).users);
    digests.set(key, wanted);
    if (wanted === use.usersDigest) continue;
    for (const id of use.userGroupIds) pending.add(id);
  }
  return pending;
}

export function userGroupNotFound(id: string) {
  return serviceError('UserGroupNotFoundFault', `User group ${id} not found.`);
}
