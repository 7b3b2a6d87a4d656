import fc from 'fast-check';
import { expect, test } from 'vitest';
import { childrenOf, circleThrough, isMet, mostChildren, parseRule, RuleError } from './composite-rule.ts';
import type { AlarmState } from './evaluate-alarm.ts';
import { suppressionOf } from './suppression.ts';

const states: Readonly<Record<string, AlarmState>> = {
  a: 'ALARM',
  ok: 'OK',
  none: 'INSUFFICIENT_DATA',
  'with blanks (and more)': 'ALARM',
  'arn:aws:cloudwatch:us-east-1:000000000000:alarm:a': 'ALARM',
};
const met = (text: string) => isMet(parseRule(text), (name) => states[name]);

test.each<[string, boolean]>([
  ['ALARM(a)', true],
  ['ALARM("a")', true],
  ['ALARM( "a" )', true],
  ['OK(a)', false],
  ['OK(ok)', true],
  ['INSUFFICIENT_DATA(none)', true],
  ['ALARM("with blanks (and more)")', true],
  ['ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)', true],
  ['ALARM(gone) OR OK(gone) OR INSUFFICIENT_DATA(gone)', false],
  ['NOT ALARM(gone)', true],
  ['TRUE', true],
  ['FALSE', false],
  ['NOT FALSE AND TRUE', true],
  ['TRUE OR FALSE AND FALSE', true],
  ['(TRUE OR FALSE) AND FALSE', false],
  ['NOT (ALARM(a) AND OK(ok))', false],
  ['NOT NOT ALARM(a)', true],
  ['ALARM(a)AND OK(ok)', true],
  ['\nALARM(a)\n  AND\n(OK(ok))\n', true],
])('%s', (text, expected) => {
  expect(met(text)).toBe(expected);
});

test.each([
  ...['', ' ', 'ALARM', 'ALARM()', 'ALARM(a', 'ALARM(a) ALARM(b)', 'ALARM(a) AND', 'AND ALARM(a)', 'NOT'],
  ...[
    'alarm(a)',
    'ALARM(a) and OK(b)',
    '()',
    '(TRUE',
    'TRUE)',
    'MAYBE',
    'ALARM("a',
    'ALARM(a b)',
    'TRUE && TRUE',
  ],
  ...['AT_LEAST(1, ALARM, (a))', `${'NOT '.repeat(60)}TRUE`, `${'('.repeat(60)}TRUE${')'.repeat(60)}`],
  ...[Array(501).fill('TRUE').join(' OR '), 'x'.repeat(10_241)],
  Array.from({ length: mostChildren + 1 }, (_, index) => `OK(a${index})`).join(' OR '),
])('%s is refused', (text) => {
  expect(() => parseRule(text)).toThrow(RuleError);
});

test('whatever the text is, it is read or refused', () => {
  const piece = fc.constantFrom('ALARM(a)', 'OK("b c")', '(', ')', 'AND', 'OR', 'NOT', 'TRUE', 'x', '"');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      try {
        expect(typeof met(pieces.join(' '))).toBe('boolean');
      } catch (error) {
        expect(error).toBeInstanceOf(RuleError);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('children are told once, and circles are found', () => {
  expect(childrenOf(parseRule('ALARM(a) AND (OK(b) OR NOT ALARM("a"))'))).toEqual(['a', 'b']);
  const graph: Readonly<Record<string, readonly string[]>> = {
    a: ['b', 'c'],
    b: ['d'],
    c: ['d'],
    d: ['a'],
    e: ['a'],
  };
  expect(circleThrough('a', (name) => graph[name] ?? [])?.at(-1)).toBe('a');
  expect(circleThrough('e', (name) => graph[name] ?? [])).toBeUndefined();
  expect(circleThrough('x', () => ['x'])).toEqual(['x', 'x']);
});

const second = 1000;
test.each<[string, Parameters<typeof suppressionOf>[0]['suppressor'], number, string | undefined]>([
  ['no suppressor', undefined, 0, undefined],
  ['one in ALARM', { state: 'ALARM', changedAtMs: -100 * second }, 500, 'Alarm'],
  ['one that may still go there', { state: 'OK', changedAtMs: -1000 * second }, 59, 'WaitPeriod'],
  ['one that did not', { state: 'OK', changedAtMs: -1000 * second }, 60, undefined],
  ['one that just left', { state: 'OK', changedAtMs: 50 * second }, 100, 'ExtensionPeriod'],
  ['one that left', { state: 'OK', changedAtMs: 50 * second }, 170, undefined],
  ['one that knows nothing', { state: 'INSUFFICIENT_DATA', changedAtMs: 50 * second }, 100, undefined],
])('%s', (_, suppressor, nowSeconds, expected) => {
  const input = { suppressor, changedAtMs: 0, waitMs: 60 * second, extensionMs: 120 * second };
  expect(suppressionOf({ ...input, nowMs: nowSeconds * second })?.by).toBe(expected);
});
