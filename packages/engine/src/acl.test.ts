import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AccessStringFault,
  type AclUser,
  accessRules,
  aclDirective,
  closedDefaultUser,
  digestUsers,
  isSelector,
  openDefaultUser,
  restrict,
  restrictedRules,
  selectorRules,
  serviceUser,
  tokenDefaultUser,
} from './acl.ts';

describe('an access string is cut', () => {
  test.each([
    ['', []],
    ['on ~* +@all', ['on', '~*', '+@all']],
    ['  on   ~a*  ', ['on', '~a*']],
    ['on (~a* +get) ( %R~b +@read )', ['on', '(~a* +get)', '(%R~b +@read)']],
    // A pattern with a parenthesis at its end ends the selector, as in the engine.
    ['(~a) +get', ['(~a)', '+get']],
    ['~a(b) +get', ['~a(b)', '+get']],
    ['()', ['()']],
    ['~\\* &n\u00e9ws', ['~\\*', '&n\u00e9ws']],
  ])('%j', (text, rules) => expect(accessRules(text)).toEqual(rules));

  test.each([
    ['a password', 'on >secret'],
    ['the end of a password', 'on <secret'],
    ['a hash', `on #${'0'.repeat(64)}`],
    ['the end of a hash', `on !${'0'.repeat(64)}`],
    ['nopass', 'on NoPass'],
    ['resetpass', 'on resetpass'],
    ['reset', 'on Reset'],
    ['a password in a selector', '(>secret +get)'],
    ['a quotation mark', 'on (+get "~*)'],
    ['an apostrophe', "on ~'a b'"],
    ['a line break', 'on\nuser x on'],
    ['a tab', 'on\t+get'],
    ['NUL', 'on\0'],
    ['a selector without its end', 'on (+get ~*'],
    ['a selector that a configuration file would end too early', '(+get ~c(d))'],
  ])('not with %s', (_, text) => expect(() => accessRules(text)).toThrow(AccessStringFault));
});

describe('the directive', () => {
  test.each<[string, AclUser]>([
    ['a space in a rule', { name: 'u', rules: ['~a b'] }],
    ['a line break', { name: 'u', rules: ['on\nuser v on nopass ~* +@all'] }],
    ['a line break in the name', { name: 'u\nuser v', rules: [] }],
    ['a quotation mark', { name: 'u', rules: ['~"'] }],
    ['two selectors in one', { name: 'u', rules: ['(+get) (+set)'] }],
    ['more behind a selector', { name: 'u', rules: ['(+get) +set'] }],
    ['an empty rule', { name: 'u', rules: [''] }],
  ])('refuses %s', (_, user) => expect(() => aclDirective(user)).toThrow('configuration file'));

  test('takes whatever an access string gives', () => {
    const word = fc.string({ unit: fc.constantFrom(...'()~*+-@%|ab\u00e9\u00a0\\') });
    fc.assert(
      fc.property(fc.array(word), (words) => {
        let rules: string[];
        try {
          rules = accessRules(words.join(' '));
        } catch (error) {
          expect(error).toBeInstanceOf(AccessStringFault);
          return;
        }
        const restricted = restrict(rules, 'valkey', '9.1.2');
        expect(aclDirective({ name: 'u', rules: restricted })).toBe(`user u reset ${restricted.join(' ')}`);
        expect(accessRules(rules.join(' '))).toEqual(rules);
      }),
    );
  });
});

test('the restrictions come last, in every selector too', () => {
  const last = restrictedRules('valkey', '9.1.2');
  const rules = restrict(['on', '(+@all ~*)', '+@all', '()'], 'valkey', '9.1.2');
  expect(rules.slice(-last.length)).toEqual(last);
  expect(rules.filter(isSelector).map(selectorRules)).toEqual([['+@all', '~*', ...last], last]);
});

test('only commands that the version has are named', () => {
  expect(restrictedRules('valkey', '9.0.1')).toContain('-cluster|migrateslots');
  expect(restrictedRules('valkey', '8.1.4')).not.toContain('-cluster|migrateslots');
  expect(restrictedRules('redis', '7.2.4')).not.toContain('-cluster|migrateslots');
  const commands = (version: string) => serviceUser('0'.repeat(64), 'valkey', version).rules;
  expect(commands('8.1.0')).toContain('+commandlog');
  expect(commands('8.0.9')).not.toContain('+commandlog');
});

test('the digest knows the users, not their order', () => {
  const users = [openDefaultUser('valkey', '9.1.2'), serviceUser('0'.repeat(64), 'valkey', '9.1.2')];
  const digest = digestUsers(users);
  expect(digestUsers([...users].reverse())).toBe(digest);
  expect(digestUsers([closedDefaultUser(), users[1]!])).not.toBe(digest);
  const tokens = ['1'.repeat(64), '2'.repeat(64)];
  expect(digestUsers([tokenDefaultUser(tokens, 'valkey', '9.1.2')])).not.toBe(
    digestUsers([tokenDefaultUser(tokens.slice(1), 'valkey', '9.1.2')]),
  );
});
