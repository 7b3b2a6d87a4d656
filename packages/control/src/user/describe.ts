/** DescribeUsers, and a user as the API shows it. */
import type { Caller } from '@larder/contract/elasticache/handlers';
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { formatArn } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import { cutPage, readPage } from '../request/page.ts';
import { groupsOf, readStanding, type Standing, statusOf } from '../user-group/standing.ts';
import { userEngine, userNotFound } from './requests.ts';
import { readUsers } from './store.ts';
import type { CacheUser } from './user.ts';

type ShownUser = Output<'CreateUser'>;

/**
 * All users in the order of their ids; one by UserId; by Engine; by Filters, each of which a user must fit in one of
 * its values.
 * @throws ServiceError UserNotFound, InvalidParameterCombination for a filter that does not exist.
 */
export async function describeUsers(
  { database }: ControlContext,
  caller: Caller,
  input: Input<'DescribeUsers'>,
): Promise<Output<'DescribeUsers'>> {
  const { limit, after } = readPage(input);
  const engine = input.Engine === undefined ? undefined : userEngine(input.Engine);
  const filters = (input.Filters ?? []).map(readFilter);
  const id = input.UserId?.toLowerCase();
  const standing = await readStanding(database);
  const users = (await readUsers(database, id === undefined ? {} : { ids: [id] })).filter(
    (user) => statusOf(standing, user) !== undefined,
  );
  if (id !== undefined && users.length === 0) throw userNotFound(id);
  const fitting = users
    .filter((user) => engine === undefined || user.engine === engine)
    .map((user) => ({ user, shown: showUser(user, standing, caller) }))
    .filter(({ shown }) => filters.every((fits) => fits(shown)))
    .filter(({ user }) => after === undefined || user.id > after);
  const { items, ...marker } = cutPage(fitting.slice(0, limit + 1), limit, ({ user }) => user.id);
  return { Users: items.map(({ shown }) => shown), ...marker };
}

/** Filter name, in lower case and without hyphens -> what of a user it looks at. Case counts for UserName alone. */
const filterFields: ReadonlyMap<string, (user: ShownUser) => readonly (string | undefined)[]> = new Map([
  ['userid', ({ UserId }) => [UserId]],
  ['username', ({ UserName }) => [UserName]],
  ['engine', ({ Engine }) => [Engine]],
  ['status', ({ Status }) => [Status]],
  ['usergroupid', ({ UserGroupIds }) => UserGroupIds ?? []],
]);

function readFilter(filter: {
  readonly Name?: string | undefined;
  readonly Values?: readonly string[] | undefined;
}): (user: ShownUser) => boolean {
  const name = (filter.Name ?? '').toLowerCase().replaceAll('-', '');
  const field = filterFields.get(name);
  if (field === undefined) {
    throw serviceError(
      'InvalidParameterCombinationException',
      'A filter must be named user-id, user-name, engine, status or user-group-id.',
    );
  }
  const values = new Set(
    (filter.Values ?? []).map((value) => (name === 'username' ? value : value.toLowerCase())),
  );
  return (user) => field(user).some((value) => value !== undefined && values.has(value));
}

export function showUser(
  user: CacheUser,
  standing: Standing,
  { accountId, region }: Pick<Caller, 'accountId' | 'region'>,
): ShownUser {
  return {
    UserId: user.id,
    UserName: user.userName,
    Status: statusOf(standing, user) ?? 'deleting',
    Engine: user.engine,
    MinimumEngineVersion: user.minimumEngineVersion,
    AccessString: user.accessString,
    UserGroupIds: groupsOf(standing, user.id).map(({ id }) => id),
    Authentication: {
      Type: user.authentication,
      ...(user.authentication === 'password' && { PasswordCount: user.passwordHashes.length }),
    },
    ARN: formatArn({ accountId, region, resourceType: 'user', name: user.id }),
  };
}
