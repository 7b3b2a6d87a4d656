import { expect, test } from 'vitest';
import { extendXid, isVisibleIn, parseSnapshot } from './snapshot.ts';

test('what a snapshot sees', () => {
  const snapshot = parseSnapshot('100:110:102,105');
  expect([99n, 101n, 102n, 105n, 109n].map((xid) => isVisibleIn(snapshot, xid))).toEqual([
    true,
    true,
    false,
    false,
    true,
  ]);
});

test('a transaction at xmax is not visible: it may wait for a standby', () => {
  expect(isVisibleIn(parseSnapshot('726:726:'), 726n)).toBe(false);
});

test('32 bits are completed from a recent number, across the wrap in both directions', () => {
  expect(extendXid(5, 0x1_ffff_fff0n)).toBe(0x2_0000_0005n);
  expect(extendXid(0xffff_fff0, 0x2_0000_0005n)).toBe(0x1_ffff_fff0n);
  expect(extendXid(700, 690n)).toBe(700n);
});
