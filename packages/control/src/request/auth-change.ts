/** (pure) AUTH tokens set, rotated and taken away, and the move between tokens and user groups. */

import { serviceError } from '@larder/contract/errors';
import { type AuthTokens, noTokens, type ServiceIntent } from '../node/service-intent.ts';
import { invalidCombination } from './refusals.ts';
import { authTokenHash } from './service-options.ts';

export interface AuthRequest {
  readonly AuthToken?: string | undefined;
  readonly AuthTokenUpdateStrategy?: string | undefined;
}

/**
 * ROTATE (the default) adds a token beside the newest one; SET makes it the only one; DELETE takes all away, and
 * needs a user group in the same request. A first ROTATE leaves clients without a token in until SET.
 * @throws ServiceError
 */
export function changeAuth(
  { auth, transit }: Pick<ServiceIntent, 'auth' | 'transit'>,
  userGroups: { readonly before: readonly string[]; readonly after: readonly string[] },
  { AuthToken: token, AuthTokenUpdateStrategy: strategy = 'ROTATE' }: AuthRequest,
  nowMs: number,
): AuthTokens {
  if (!['SET', 'ROTATE', 'DELETE'].includes(strategy)) {
    throw serviceError(
      'InvalidParameterValueException',
      'AuthTokenUpdateStrategy must be SET, ROTATE or DELETE.',
    );
  }
  const joins = userGroups.before.length === 0 && userGroups.after.length > 0;
  if (strategy === 'DELETE') {
    if (!joins) throw invalidCombination('Auth token update strategy delete is not supported currently.');
    if (token !== undefined) throw invalidCombination('With the strategy DELETE leave AuthToken out.');
    return noTokens;
  }
  if (joins && auth.hashes.length > 0) {
    throw invalidCombination(
      "User group can't be associated with auth token enabled. Pass AuthStrategy delete to proceed.",
    );
  }
  if (token === undefined) return auth;
  if (userGroups.after.length > 0) {
    throw invalidCombination(
      "Auth tokens can't be enabled with a user group already associated. Pass RemoveUserGroups to proceed.",
    );
  }
  if (transit === 'none') throw invalidCombination('AuthToken needs encryption in transit.');
  const hash = authTokenHash(token);
  if (strategy === 'SET') return { hashes: [hash], optional: false, modifiedAtMs: nowMs };
  const others = auth.hashes.filter((each) => each !== hash);
  return { hashes: [...others, hash].slice(-2), optional: auth.optional, modifiedAtMs: nowMs };
}
