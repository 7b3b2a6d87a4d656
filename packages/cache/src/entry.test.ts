import { expect, test } from 'vitest';
import { decodeEntry, encodeEntry, headerLength } from './entry.ts';

const epoch = '0190aabbccdd';
const entry = {
  epoch,
  position: '00000000016b3740',
  filledAtMs: 1_700_000_000_000,
  freshUntilMs: 1_700_000_060_000,
  payload: '{"id":1,"name":"Ω"}',
};

test('an entry survives the round trip, present or known absent', () => {
  expect(decodeEntry(encodeEntry(entry), epoch)).toEqual(entry);
  expect(decodeEntry(encodeEntry({ ...entry, payload: null }), epoch)).toEqual({ ...entry, payload: null });
});

test('the header has the documented offsets', () => {
  const text = encodeEntry(entry);
  expect(text.slice(0, 4)).toBe('LC1j');
  expect(text.slice(4, 16)).toBe(epoch);
  expect(text.slice(16, 32)).toBe(entry.position);
  expect(Number.parseInt(text.slice(32, 44), 16)).toBe(entry.filledAtMs);
  expect(Number.parseInt(text.slice(44, 56), 16)).toBe(entry.freshUntilMs);
  expect(text[56]).toBe('\n');
  expect(JSON.parse(text.slice(headerLength))).toEqual(JSON.parse(entry.payload));
});

test.each([
  ['nothing', ''],
  ['garbage', '\u0000\uffff'.repeat(100)],
  ['JSON of another library', '{"value":1}'],
  ['a newer format', encodeEntry(entry).replace('LC1', 'LC2')],
  ['an unknown kind', encodeEntry(entry).replace('LC1j', 'LC1z')],
  ['a header cut short', encodeEntry(entry).slice(0, 40)],
  ['times that are no numbers', `${encodeEntry(entry).slice(0, 32)}${'z'.repeat(24)}\n{}`],
  ['another epoch', encodeEntry({ ...entry, epoch: '0190aabbccde' })],
])('%s is not an entry', (_, text) => {
  expect(decodeEntry(text, epoch)).toBeUndefined();
});
