import { expect, test } from 'vitest';
import { formatLsn, highOf, lowOf, parseLsn, positionFromHex, positionToHex } from './position.ts';

test('positions keep all 64 bits', () => {
  const position = parseLsn('FFFFFFFF/FFFFFFFE');
  expect(position).toBe(0xffff_ffff_ffff_fffen);
  expect(formatLsn(position)).toBe('FFFFFFFF/FFFFFFFE');
  expect(positionFromHex(positionToHex(position))).toBe(position);
  expect([highOf(position), lowOf(position)]).toEqual(['4294967295', '4294967294']);
});

test('hex positions of different lengths compare as the numbers do', () => {
  expect(positionToHex(0xfffn) < positionToHex(0x1000n)).toBe(true);
});

test.each(['', '16', '/', 'x/y', '16/'])('refuses %j', (text) => {
  expect(() => parseLsn(text)).toThrow(RangeError);
});
