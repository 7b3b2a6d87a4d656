import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SessionValueError } from '../errors.ts';
import { mergeData, parseData, stringifyData } from './stored-session.ts';

const key = fc.oneof(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', '', '"'), fc.string());
const value = fc.constantFrom<unknown>(1, 2, 'x', null, [], [1], [2, 1], {}, { n: 1 }, { n: [] }, '€', 0.1);
const json = fc.dictionary(key, value, { maxKeys: 6 }).map((data) => JSON.stringify(data));

test('a merge changes what the request changed, and nothing else', () => {
  fc.assert(
    fc.property(json, json, json, (known, wanted, stored) => {
      const all = [known, wanted, stored].map((text) => new Map(Object.entries(parseData(text))));
      const [base, mine, theirs] = all as [Map<string, unknown>, Map<string, unknown>, Map<string, unknown>];
      const merged = new Map(Object.entries(parseData(mergeData(known, wanted, stored))));
      const text = (of: Map<string, unknown>, name: string): string | undefined =>
        JSON.stringify(of.get(name));
      for (const name of new Set(all.flatMap((each) => [...each.keys()]))) {
        const changed = text(base, name) !== text(mine, name);
        expect([name, text(merged, name)]).toEqual([name, text(changed ? mine : theirs, name)]);
      }
    }),
  );
});

test('requests that change different keys can save in any order', () => {
  fc.assert(
    fc.property(json, value, value, (stored, one, two) => {
      const withKey = (text: string, name: string, of: unknown): string =>
        JSON.stringify({ ...parseData(text), [name]: of });
      const [a, b] = [withKey(stored, '~a', one), withKey(stored, '~b', two)];
      const left = parseData(mergeData(stored, b, mergeData(stored, a, stored)));
      const right = parseData(mergeData(stored, a, mergeData(stored, b, stored)));
      expect(left).toEqual(right);
      expect(left).toMatchObject({ '~a': one, '~b': two });
    }),
  );
});

test('what cannot be kept is refused without telling what it was', () => {
  const cycle: Record<string, unknown> = { password: 'hunter2' };
  cycle.self = cycle;
  const refusals = [
    () => stringifyData({ cycle }, 1e6),
    () => stringifyData({ big: 7n, password: 'hunter2' }, 1e6),
    () => stringifyData({ text: 'hunter2'.repeat(100) }, 500),
    () => stringifyData({ text: '€'.repeat(200) }, 500),
    () => stringifyData([] as never, 500),
    () => parseData('{hunter2'),
    () => parseData('["hunter2"]'),
    () => parseData('null'),
  ];
  for (const refusal of refusals) {
    expect(refusal).toThrow(SessionValueError);
    expect(refusal).not.toThrow(/hunter2/);
  }
  expect(stringifyData({ text: '€'.repeat(160) }, 500)).toContain('€');
});
