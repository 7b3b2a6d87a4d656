/** (pure) How a user logs in, as a request says it: in one of three ways that ElastiCache has had over time. */
import { createHash } from 'node:crypto';
import { serviceError } from '@larder/contract/errors';
import type { UserAuthentication } from './user.ts';

export interface AuthenticationRequest {
  readonly Passwords?: readonly string[] | undefined;
  readonly NoPasswordRequired?: boolean | undefined;
  readonly AuthenticationMode?:
    | { readonly Type?: string | undefined; readonly Passwords?: readonly string[] | undefined }
    | undefined;
}

export interface ChosenAuthentication {
  readonly authentication: UserAuthentication;
  readonly passwordHashes: readonly string[];
}

const mostPasswords = 2;

/**
 * @returns undefined when the request does not speak of it.
 * @throws ServiceError InvalidParameterCombination for ways that exclude each other, InvalidParameterValue for
 *   passwords that ElastiCache does not take. No message holds a password.
 */
export function readAuthentication(request: AuthenticationRequest): ChosenAuthentication | undefined {
  const passwords = request.Passwords ?? [];
  const mode = request.AuthenticationMode;
  const ways = [passwords.length > 0, request.NoPasswordRequired === true, mode !== undefined];
  if (ways.filter(Boolean).length > 1) {
    throw serviceError(
      'InvalidParameterCombinationException',
      'Passwords, NoPasswordRequired and AuthenticationMode exclude each other.',
    );
  }
  if (passwords.length > 0) return byPassword(passwords);
  if (request.NoPasswordRequired === true) return { authentication: 'no-password', passwordHashes: [] };
  if (mode === undefined) return undefined;
  const given = mode.Passwords ?? [];
  if (mode.Type === 'password') {
    if (given.length > 0) return byPassword(given);
    throw serviceError(
      'InvalidParameterCombinationException',
      'AuthenticationMode of the type password needs Passwords.',
    );
  }
  if (mode.Type !== 'iam' && mode.Type !== 'no-password-required') {
    throw serviceError(
      'InvalidParameterValueException',
      'AuthenticationMode.Type must be password, no-password-required or iam.',
    );
  }
  if (given.length > 0) {
    throw serviceError(
      'InvalidParameterCombinationException',
      `AuthenticationMode of the type ${mode.Type} has no Passwords.`,
    );
  }
  return { authentication: mode.Type === 'iam' ? 'iam' : 'no-password', passwordHashes: [] };
}

function byPassword(passwords: readonly string[]): ChosenAuthentication {
  if (passwords.length > mostPasswords) {
    throw serviceError(
      'InvalidParameterValueException',
      `A user has at most ${mostPasswords} passwords; ${passwords.length} were given.`,
    );
  }
  for (const password of passwords) {
    if (/^[ -~]{16,128}$/.test(password) && !/[,"/@]/.test(password)) continue;
    throw serviceError(
      'InvalidParameterValueException',
      'A password must have 16 to 128 printable characters and none of , " / @.',
    );
  }
  const passwordHashes = passwords.map((password) => createHash('sha256').update(password).digest('hex'));
  if (new Set(passwordHashes).size !== passwordHashes.length) {
    throw serviceError('InvalidParameterValueException', 'The two passwords must differ.');
  }
  return { authentication: 'password', passwordHashes };
}
