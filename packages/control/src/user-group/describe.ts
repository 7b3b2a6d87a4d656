/** DescribeUserGroups, and a user group as the API shows it. */
import type { Caller } from '@larder/contract/elasticache/handlers';
import type { Input, Output } from '@larder/contract/elasticache/model';
import { formatArn } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import { cutPage, readPage } from '../request/page.ts';
import { newest } from '../user/access-string.ts';
import { readUsers } from '../user/store.ts';
import { type CacheUser, oldestVersion } from '../user/user.ts';
import { userGroupNotFound } from './group-users.ts';
import { readStanding, type Standing, usesOf } from './standing.ts';
import { userGroupStatus } from './status.ts';
import type { UserGroup } from './user-group.ts';

type ShownUserGroup = Output<'CreateUserGroup'>;

/** In the order of their ids. @throws ServiceError UserGroupNotFound */
export async function describeUserGroups(
  { database }: ControlContext,
  caller: Caller,
  input: Input<'DescribeUserGroups'>,
): Promise<Output<'DescribeUserGroups'>> {
  const { limit, after } = readPage(input);
  const id = input.UserGroupId?.toLowerCase();
  const standing = await readStanding(database);
  const groups = standing.groups.filter(
    (group) => (id === undefined || group.id === id) && (after === undefined || group.id > after),
  );
  if (id !== undefined && !standing.groups.some((group) => group.id === id)) throw userGroupNotFound(id);
  const { items, ...marker } = cutPage(groups.slice(0, limit + 1), limit, (group) => group.id);
  const users = await readUsers(database, { ids: [...new Set(items.flatMap(({ userIds }) => userIds))] });
  return { UserGroups: items.map((group) => showUserGroup(group, users, standing, caller)), ...marker };
}

/** What CreateUserGroup and its like answer with. */
export async function showChangedUserGroup(
  { database }: ControlContext,
  { group, standing }: { readonly group: UserGroup; readonly standing: Standing },
  caller: Caller,
): Promise<ShownUserGroup> {
  return showUserGroup(group, await readUsers(database, { ids: group.userIds }), standing, caller);
}

function showUserGroup(
  group: UserGroup,
  users: readonly CacheUser[],
  standing: Standing,
  { accountId, region }: Pick<Caller, 'accountId' | 'region'>,
): ShownUserGroup {
  const status = userGroupStatus(group, standing.pending);
  const needed = users
    .filter(({ id }) => group.userIds.includes(id))
    .map(({ minimumEngineVersion }) => minimumEngineVersion);
  const changes = group.lastAdded.length + group.lastRemoved.length > 0;
  return {
    UserGroupId: group.id,
    Status: status,
    Engine: group.engine,
    UserIds: [...group.userIds],
    MinimumEngineVersion: newest([oldestVersion[group.engine], ...needed]),
    ...(status === 'modifying' &&
      changes && {
        PendingChanges: {
          UserIdsToAdd: [...group.lastAdded],
          UserIdsToRemove: [...group.lastRemoved],
        },
      }),
    ReplicationGroups: usesOf(standing, [group.id]).map(({ replicationGroupId }) => replicationGroupId),
    ServerlessCaches: [],
    ARN: formatArn({ accountId, region, resourceType: 'usergroup', name: group.id }),
  };
}
