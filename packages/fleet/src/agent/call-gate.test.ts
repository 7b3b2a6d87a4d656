import { expect, test } from 'vitest';
import { callGate } from './call-gate.ts';

test('an order that a look at its node has overtaken is refused', () => {
  const gate = callGate();
  gate.looked(1, 5, ['a']);
  expect(gate.admits(1, 4, 'a')).toBe(false);
  expect(gate.admits(1, 6, 'a')).toBe(true);
  // A look at one node says nothing of another, and an older look that comes late takes nothing back.
  expect(gate.admits(1, 4, 'b')).toBe(true);
  gate.looked(1, 3, ['a']);
  expect(gate.admits(1, 4, 'a')).toBe(false);
});

test('a controller that leads later counts anew; one before is refused', () => {
  const gate = callGate();
  gate.looked(1, 500, ['a']);
  expect(gate.admits(2, 1, 'a')).toBe(true);
  expect(gate.admits(1, 501, 'a')).toBe(false);
  gate.looked(1, 900, ['a']);
  expect(gate.admits(2, 2, 'a')).toBe(true);
});
