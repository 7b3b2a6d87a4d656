import { expect, test } from 'vitest';
import { isOwnAddress, refusalOfUrl } from './reachable-address.ts';

test.each([
  '127.0.0.1',
  '127.64.0.9',
  '0.0.0.0',
  '169.254.169.254',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  'fe80::1',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
])('%s is of this machine or its link', (address) => {
  expect(isOwnAddress(address)).toBe(true);
});

test.each([
  '10.0.0.1',
  '192.168.1.1',
  '93.184.216.34',
  '2001:db8::1',
  '::ffff:10.0.0.1',
])('%s is not', (address) => {
  expect(isOwnAddress(address)).toBe(false);
});

test.each([
  ['https://hooks.example/a?b=c', undefined],
  ['http://10.0.0.7:8080/', undefined],
  ['ftp://hooks.example/', 'it is no URL of http or https'],
  ['https://', 'it is no URL'],
  [`https://hooks.example/${'a'.repeat(2_048)}`, 'it is no URL'],
  ['https://user:word@hooks.example/', 'a URL with a user and password is not taken'],
  ['https://hooks.example/#a', 'a URL with a fragment is not taken'],
  ['http://localhost:1/', 'own'],
  ['http://a.LOCALHOST./', 'own'],
  ['http://127.1/', 'own'],
  ['http://2130706433/', 'own'],
  ['http://[::1]/', 'own'],
  ['http://[::ffff:7f00:1]/', 'own'],
  ['http://169.254.169.254/latest/meta-data/', 'own'],
])('%s: %s', (url, refusal) => {
  const found = refusalOfUrl(url, false);
  if (refusal === 'own') expect(found).toContain('this machine');
  else expect(found).toBe(refusal);
});

test('its own addresses are taken where they are allowed', () => {
  expect(refusalOfUrl('http://127.0.0.1:9/', true)).toBeUndefined();
});
