import { isServiceError } from '@larder/contract/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maintenanceWindow, windowIsOpen } from './maintenance-window.ts';
import { refuseNotYet } from './not-yet.ts';
import { cutPage, readPage } from './page.ts';
import { readTags } from './tags.ts';

/** The error's name, or undefined when there was none. @throws what is no ServiceError. */
function refusal(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!isServiceError(error)) throw error;
    return error.error;
  }
}

describe('a maintenance window', () => {
  test.each([
    ['sun:05:00-sun:06:00', 'sun:05:00-sun:06:00'],
    ['SUN:23:30-Mon:00:30', 'sun:23:30-mon:00:30'],
    ['mon:00:00-sun:23:59', 'mon:00:00-sun:23:59'],
  ])('%s', (text, stored) => expect(maintenanceWindow(text)).toBe(stored));

  test.each([
    ...['', 'sun:05:00', 'sun:05:00-sun:05:59', 'sun:05:00-sun:05:00', 'sun:24:00-mon:01:00'],
    ...['sun:05:60-sun:07:00', 'day:05:00-day:06:00', ' sun:05:00-sun:06:00', 'sun:05:00-sun:06:00\n'],
  ])('refuses %j', (text) => {
    expect(refusal(() => maintenanceWindow(text))).toBe('InvalidParameterValueException');
  });
});

test.each([
  ['sun:05:00-sun:06:00', '2026-11-22T05:00:00Z', true],
  ['sun:05:00-sun:06:00', '2026-11-22T05:59:59Z', true],
  ['sun:05:00-sun:06:00', '2026-11-22T06:00:00Z', false],
  ['sun:05:00-sun:06:00', '2026-11-23T05:30:00Z', false],
  ['sun:23:30-mon:00:30', '2026-11-23T00:15:00Z', true],
  ['sun:23:30-mon:00:30', '2026-11-22T23:29:00Z', false],
])('the window %s is open at %s: %s', (window, at, open) => {
  expect(windowIsOpen(window, Date.parse(at))).toBe(open);
});

describe('pages', () => {
  /** Follows the markers from the first page to the last, as a client does. */
  function pages(keys: readonly string[], size: number): string[][] {
    const found: string[][] = [];
    for (let marker: string | undefined; ; ) {
      const { limit, after } = readPage({ Marker: marker, MaxRecords: size });
      const rest = keys.filter((key) => after === undefined || key > after);
      const { items, Marker } = cutPage(rest.slice(0, limit + 1), limit, (key) => key);
      found.push([...items]);
      if (Marker === undefined) return found;
      marker = Marker;
    }
  }

  test('give every item once, none empty but a lone one', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.integer({ min: 20, max: 100 }), (names, size) => {
        const keys = [...names].sort();
        const found = pages(keys, size);
        expect(found.flat()).toEqual(keys);
        expect(found.length).toBe(Math.max(1, Math.ceil(keys.length / size)));
      }),
    );
  });

  test('exactly a page has no marker', () => {
    expect(
      pages(
        Array.from({ length: 20 }, (_, index) => `k${100 + index}`),
        20,
      ),
    ).toHaveLength(1);
  });

  test('a marker that is not ours is refused, never an exception or another page', () => {
    for (const marker of ['x', '=', '\0', 'YWZ0ZXI', '%', 'a'.repeat(100_000)]) {
      expect(refusal(() => readPage({ Marker: marker }))).toBe('InvalidParameterValueException');
    }
    fc.assert(fc.property(fc.string(), (marker) => void refusal(() => readPage({ Marker: marker }))));
    expect(readPage({ Marker: '' })).toEqual({ limit: 100, after: undefined });
  });

  test.each([19, 101, 0, -1, Number.MAX_SAFE_INTEGER])('refuses a size of %i', (size) => {
    expect(refusal(() => readPage({ MaxRecords: size }))).toBe('InvalidParameterValueException');
  });
});

describe('tags', () => {
  const tags = (count: number) => Array.from({ length: count }, (_, index) => ({ Key: `k${index}` }));

  test('a value may be missing, a key not', () => {
    expect(readTags([{ Key: 'a' }, { Key: 'b', Value: 'c' }])).toEqual([
      { key: 'a', value: '' },
      { key: 'b', value: 'c' },
    ]);
    expect(readTags(undefined)).toEqual([]);
    expect(readTags(tags(50))).toHaveLength(50);
  });

  test.each([
    ['no key', [{}], 'InvalidParameterValueException'],
    ['a long key', [{ Key: 'k'.repeat(129) }], 'InvalidParameterValueException'],
    ['a long value', [{ Key: 'k', Value: 'v'.repeat(257) }], 'InvalidParameterValueException'],
    ['a reserved key', [{ Key: 'AWS:x' }], 'InvalidParameterValueException'],
    ['a key twice', [{ Key: 'k' }, { Key: 'k' }], 'InvalidParameterValueException'],
    ['51', tags(51), 'TagQuotaPerResourceExceeded'],
  ])('refuses %s', (_, input, error) => {
    expect(refusal(() => readTags(input))).toBe(error);
  });
});

test('what has no effect is refused when it asks for something', () => {
  for (const nothing of [undefined, false, 0, []])
    expect(refusal(() => refuseNotYet({ A: nothing }))).toBe(undefined);
  for (const something of [true, 1, 'x', ['x'], {}]) {
    expect(refusal(() => refuseNotYet({ A: something }))).toBe('InvalidParameterCombinationException');
  }
});
