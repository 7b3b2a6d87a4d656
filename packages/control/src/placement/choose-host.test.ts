import { expect, test } from 'vitest';
import type { JoinedHost } from '../host/joined-host.ts';
import { chooseHost } from './choose-host.ts';

const host = (name: string, zone: string): JoinedHost => ({
  name,
  zone,
  url: `https://10.0.0.1:7072/${name}`,
  addresses: '10.0.1.0/24',
  joinedAtMs: 0,
  leaving: false,
});
const hosts = [host('a', 'z1'), host('b', 'z1'), host('c', 'z2')];
const choose = (zone: string, nodes: Record<string, number> = {}, apartFrom: string[] = []) =>
  chooseHost({ hosts, nodes: new Map(Object.entries(nodes)), zone, apartFrom })?.name;

test('only in the zone', () => {
  expect(choose('z2', { c: 50 })).toBe('c');
  expect(choose('z3')).toBeUndefined();
});

test('the one with the fewest nodes, the first by name of equal ones', () => {
  expect(choose('z1')).toBe('a');
  expect(choose('z1', { a: 2, b: 1 })).toBe('b');
});

test('one without a copy of the same data, however full; the one with the fewest copies when all have some', () => {
  expect(choose('z1', { b: 9 }, ['a'])).toBe('b');
  expect(choose('z1', {}, ['a', 'a', 'b'])).toBe('b');
});
