/** (pure) Which users can be together in a group. */
import { serviceError } from '@larder/contract/errors';
import { type CacheUser, defaultUserName } from '../user/user.ts';
import type { UserGroup } from './user-group.ts';

const mostMembers = 100;

/**
 * @param misfit the error for users that are not the group's kind; operations differ in which they have.
 * @throws ServiceError DuplicateUserName for two that log in by one name, DefaultUserRequired for a group of Redis
 *   without a user named `default`; and `misfit`.
 */
export function checkMembers(
  { id, engine }: Pick<UserGroup, 'id' | 'engine'>,
  users: readonly CacheUser[],
  misfit: 'InvalidParameterValueException' | 'InvalidParameterCombinationException',
): void {
  if (users.length > mostMembers) {
    throw serviceError(misfit, `A user group may have at most ${mostMembers} users.`);
  }
  const named = new Map<string, string>();
  for (const user of users) {
    const other = named.get(user.userName);
    if (other !== undefined) {
      throw serviceError(
        'DuplicateUserNameFault',
        `The users ${other} and ${user.id} of user group ${id} are both named ${user.userName}.`,
      );
    }
    named.set(user.userName, user.id);
  }
  if (engine === 'redis') {
    if (!named.has(defaultUserName)) {
      throw serviceError(
        'DefaultUserRequired',
        `A user group of Redis OSS must have a user named ${defaultUserName}.`,
      );
    }
    const foreign = users.find((user) => user.engine !== 'redis');
    if (foreign === undefined) return;
    throw serviceError(misfit, `User ${foreign.id} is for Valkey and can't be in a user group of Redis OSS.`);
  }
  const open = users.find(({ authentication }) => authentication === 'no-password');
  if (open === undefined) return;
  throw serviceError(
    misfit,
    `User ${open.id} needs no password; users of a group of Valkey need passwords or IAM authentication.`,
  );
}
