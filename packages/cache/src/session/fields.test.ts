import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SessionValueError } from '../errors.ts';
import { changesBetween, decodeFields, encodeFields, fieldsOf } from './fields.ts';

function flatOf(fields: ReadonlyMap<string, string>, version = '1'): string[] {
  return ['#', version, ...[...fields].flat()];
}

test('what JSON can hold comes back as it was, whatever its keys are called', () => {
  const keys = fc.oneof(fc.string(), fc.constantFrom('#', '##', '__proto__', 'constructor', 'toString', ''));
  fc.assert(
    fc.property(fc.dictionary(keys, fc.jsonValue()), (data) => {
      const expected: unknown = JSON.parse(JSON.stringify(data));
      const found = decodeFields(flatOf(encodeFields(data, 1e9)));
      expect(JSON.stringify(found?.data)).toBe(JSON.stringify(expected));
      expect(Object.getPrototypeOf(found?.data)).toBe(Object.prototype);
    }),
  );
});

test('changes turn what was known into what is wanted, and name nothing else', () => {
  const fields = fc
    .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', '3'))
    .map((object) => new Map(Object.entries(object)));
  fc.assert(
    fc.property(fields, fields, fields, (known, wanted, stored) => {
      const { removed, written } = changesBetween(known, wanted);
      const after = new Map<string, string>(stored);
      for (const field of removed) after.delete(field);
      for (let at = 0; at < written.length; at += 2) after.set(written[at]!, written[at + 1]!);
      for (const field of ['a', 'b', 'c', 'd']) {
        const touched = known.get(field) !== wanted.get(field);
        expect(after.get(field)).toBe(touched ? wanted.get(field) : stored.get(field));
      }
    }),
  );
});

test('a destroyed session, and a key without a version, are none', () => {
  expect(decodeFields([])).toBeUndefined();
  expect(decodeFields(['#', 'x'])).toBeUndefined();
  expect(decodeFields(['user', '7'])).toBeUndefined();
  expect(fieldsOf(['#', '3', 'user', '7'])).toEqual(new Map([['user', '7']]));
});

test('what cannot be kept is refused without telling what it was', () => {
  const cycle: Record<string, unknown> = { password: 'hunter2' };
  cycle.self = cycle;
  const refusals = [
    () => encodeFields({ cycle }, 1e6),
    () => encodeFields({ big: 7n }, 1e6),
    () => encodeFields({ text: 'hunter2'.repeat(100) }, 500),
    () => encodeFields(Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`k${at}`, 1])), 1e6),
    () => decodeFields(['#', '1', 'user', '{hunter2']),
  ];
  for (const refusal of refusals) {
    expect(refusal).toThrow(SessionValueError);
    expect(refusal).not.toThrow(/hunter2/);
  }
});
