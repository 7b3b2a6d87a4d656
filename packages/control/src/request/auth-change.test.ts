import { createHash } from 'node:crypto';
import { isServiceError } from '@larder/contract/errors';
import { expect, test } from 'vitest';
import { type AuthTokens, noTokens } from '../node/service-intent.ts';
import { type AuthRequest, changeAuth } from './auth-change.ts';

const tokens = ['the-first-token-of-all', 'the-second-token-of-all', 'the-third-token-of-all'] as const;
const [first, second, third] = tokens.map((each) => createHash('sha256').update(each).digest('hex'));
const none = { before: [], after: [] };
const joins = { before: [], after: ['people'] };

function change(
  auth: AuthTokens,
  request: AuthRequest,
  {
    groups = none,
    transit = 'required' as const,
  }: { groups?: typeof joins | typeof none; transit?: 'required' | 'none' } = {},
): AuthTokens | string {
  try {
    return changeAuth({ auth, transit }, groups, request, 7);
  } catch (error) {
    if (!isServiceError(error)) throw error;
    return error.error;
  }
}

const set = { hashes: [first!], optional: false };

test('ROTATE keeps the newest beside the new one, and is the default', () => {
  const rotated = { hashes: [first, second], optional: false, modifiedAtMs: 7 };
  expect(change(set, { AuthToken: tokens[1] })).toEqual(rotated);
  expect(change(rotated as AuthTokens, { AuthToken: tokens[2], AuthTokenUpdateStrategy: 'ROTATE' })).toEqual({
    ...rotated,
    hashes: [second, third],
  });
});

test('a first ROTATE leaves clients without a token in until SET', () => {
  const optional = change(noTokens, { AuthToken: tokens[0] });
  expect(optional).toEqual({ hashes: [first], optional: true, modifiedAtMs: 7 });
  expect(change(optional as AuthTokens, { AuthToken: tokens[0], AuthTokenUpdateStrategy: 'SET' })).toEqual({
    hashes: [first],
    optional: false,
    modifiedAtMs: 7,
  });
});

test('tokens and user groups exclude each other, and DELETE is the way from one to the other', () => {
  const combination = 'InvalidParameterCombinationException';
  expect(change(set, {}, { groups: joins })).toBe(combination);
  expect(change(set, { AuthTokenUpdateStrategy: 'DELETE' }, { groups: joins })).toEqual(noTokens);
  expect(change(set, { AuthTokenUpdateStrategy: 'DELETE' })).toBe(combination);
  expect(change(noTokens, { AuthToken: tokens[0] }, { groups: joins })).toBe(combination);
});

test('wrong tokens and strategies, and a token without TLS', () => {
  for (const wrong of ['short', 'a'.repeat(129), 'with a space in it', 'with/a/slash/in/it', '']) {
    expect(change(set, { AuthToken: wrong })).toBe('InvalidParameterValueException');
  }
  expect(change(set, { AuthTokenUpdateStrategy: 'RENEW' })).toBe('InvalidParameterValueException');
  expect(change(noTokens, { AuthToken: tokens[0] }, { transit: 'none' })).toBe(
    'InvalidParameterCombinationException',
  );
});
