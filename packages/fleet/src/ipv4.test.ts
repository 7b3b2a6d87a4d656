import { expect, test } from 'vitest';
import { addressesOf, parseAddressRange } from './ipv4.ts';

test.each([
  ['10.77.1.0/30', ['10.77.1.1', '10.77.1.2']],
  ['10.77.1.6/30', ['10.77.1.5', '10.77.1.6']],
  ['10.77.1.254-10.77.2.1', ['10.77.1.254', '10.77.1.255', '10.77.2.0', '10.77.2.1']],
  ['255.255.255.255-255.255.255.255', ['255.255.255.255']],
])('%s', (text, addresses) => {
  expect([...addressesOf(parseAddressRange(text)!)]).toEqual(addresses);
});

test.each([
  '',
  '10.0.0.1',
  '10.0.0.0/31',
  '10.0.0.0/8',
  '10.0.0.0/x',
  '10.0.0.9-10.0.0.1',
  '1.2.3-4.5',
  'a/24',
])('%j is no range', (text) => expect(parseAddressRange(text)).toBeUndefined());
