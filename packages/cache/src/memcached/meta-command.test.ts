import { expect, test } from 'vitest';
import { MetaArgumentError } from './errors.ts';
import {
  arithmeticCommand,
  deleteCommand,
  encodeCommand,
  encodeKey,
  getCommand,
  noopCommand,
  setCommand,
} from './meta-command.ts';

const wire = (parts: readonly (string | Uint8Array)[]): string =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string))).toString('utf8');

test('commands are what doc/protocol.txt says', () => {
  expect(wire(encodeCommand(getCommand('k', { cas: true, ttl: true, vivifyS: 30 }), ' q O7'))).toBe(
    'mg k v c t N30 q O7\r\n',
  );
  expect(wire(encodeCommand(setCommand('k', 'hä', { ttlS: 9, cas: '12', clientFlags: 3 })))).toBe(
    'ms k 3 T9 F3 C12\r\nhä\r\n',
  );
  expect(wire(encodeCommand(setCommand('k', '', { mode: 'add', explicitCas: '5' })))).toBe(
    'ms k 0 ME E5\r\n\r\n',
  );
  expect(wire(encodeCommand(deleteCommand('k', { stale: true, ttlS: 30 })))).toBe('md k I T30\r\n');
  expect(wire(encodeCommand(arithmeticCommand('k', { delta: 2n ** 64n - 1n, mode: 'decrement' })))).toBe(
    'ma k v D18446744073709551615 MD\r\n',
  );
  expect(wire(encodeCommand(noopCommand))).toBe('mn\r\n');
});

test('what would end a word or a line travels as base64', () => {
  expect(encodeKey('plain:ключ')).toEqual({ text: 'plain:ключ', base64: false });
  for (const key of ['two words', 'line\r\nflush_all', 'nul\0', 'del\x7f', '\u00a0']) {
    const { text, base64 } = encodeKey(key);
    expect(base64).toBe(true);
    expect(text).toMatch(/^[A-Za-z0-9+/=]+$/);
    expect(Buffer.from(text, 'base64').toString('utf8')).toBe(key);
  }
  expect(wire(encodeCommand(getCommand(Buffer.from([0, 255]))))).toBe('mg AP8= b v\r\n');
});

test('keys, numbers and modes that memcached cannot take are refused before they are sent', () => {
  expect(encodeKey('k'.repeat(250)).text).toHaveLength(250);
  expect(encodeKey(Buffer.alloc(186)).text).toHaveLength(248);
  const refused: (() => unknown)[] = [
    () => encodeKey(''),
    () => encodeKey('k'.repeat(251)),
    () => encodeKey('ä'.repeat(126)),
    () => encodeKey(Buffer.alloc(188)),
    () => encodeKey('half \ud800'),
    () => getCommand('k', { vivifyS: 1.5 }),
    () => getCommand('k', { touchS: -1 }),
    () => setCommand('k', '', { cas: '1\r\nflush_all' }),
    () => setCommand('k', '', { cas: '18446744073709551616' }),
    () => setCommand('k', '', { clientFlags: 2 ** 32 }),
    () => setCommand('k', '', { invalidate: true }),
    () => setCommand('k', '', { mode: 'other' as 'set' }),
    () => deleteCommand('k', { ttlS: 5 }),
    () => arithmeticCommand('k', { delta: -1 }),
  ];
  for (const attempt of refused) expect(attempt).toThrow(MetaArgumentError);
});
