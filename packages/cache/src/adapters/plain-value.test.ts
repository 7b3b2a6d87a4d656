import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromPlain, toPlain, UnkeepableValueError } from './plain-value.ts';

const throughJson = (value: unknown): unknown => fromPlain(JSON.parse(JSON.stringify(toPlain(value))));

test('values of every kind come back as they were', () => {
  const leaf = fc.oneof(
    fc.anything({ withBigInt: true, withNullPrototype: false, maxDepth: 1 }).filter(isKeepable),
    fc.uint8Array(),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(Number.NaN, Number.NEGATIVE_INFINITY, -0, undefined),
  );
  const key = fc.oneof(fc.string(), fc.constantFrom('$larder', '__proto__', 'constructor', 'value'));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value')),
      fc.dictionary(key, tie('value'), { noNullPrototype: true }),
      fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
      fc.array(tie('value')).map((items) => new Set(items)),
    ),
  }));
  fc.assert(
    fc.property(value, (each) => {
      // The test runner's own equality looks at a key named `constructor`.
      expect(isDeepStrictEqual(throughJson(each), each)).toBe(true);
    }),
  );
});

function isKeepable(value: unknown): boolean {
  try {
    toPlain(value);
    return true;
  } catch {
    return false;
  }
}

test('an invalid date stays one', () => {
  expect((throughJson(new Date(Number.NaN)) as Date).getTime()).toBeNaN();
});

test('what would come back as something else is refused', () => {
  class Money {}
  const cycle: unknown[] = [];
  cycle.push({ cycle });
  for (const value of [
    new Money(),
    [() => 1],
    { symbol: Symbol('no') },
    new WeakMap(),
    /x/,
    new Error('no'),
    cycle,
  ]) {
    expect(() => toPlain(value)).toThrow(UnkeepableValueError);
  }
});

test('no key of a value reaches a prototype', () => {
  const back = throughJson(JSON.parse('{ "__proto__": { "polluted": true } }')) as object;
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  expect(Object.hasOwn(back, '__proto__')).toBe(true);
});
