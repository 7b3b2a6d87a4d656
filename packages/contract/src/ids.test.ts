import { expect, test } from 'vitest';
import {
  cacheClusterId,
  cacheNodeIdOf,
  formatArn,
  memberClusterId,
  nodeGroupId,
  nodeGroupIdOf,
  parseArn,
  replicationGroupId,
  userId,
} from './ids.ts';

test.each(['a', 'A1', 'My-Cache-01', 'a'.repeat(40)])('%s is a name, stored in lower case', (name) => {
  expect(replicationGroupId(name)).toBe(name.toLowerCase());
});

test.each([
  '',
  '1a',
  '-a',
  'a-',
  'a--b',
  'a_b',
  'a.b',
  'ä',
  '\u212aelvin',
  'a\n',
  'a'.repeat(41),
])('%j is no replication group id', (name) => {
  expect(() => replicationGroupId(name)).toThrow(expect.objectContaining({ code: 'InvalidParameterValue' }));
});

test('a long run of hyphens is refused in no time', () => {
  expect(() => cacheClusterId(`${'a-'.repeat(24)}!`)).toThrow();
  expect(cacheClusterId('a'.repeat(50))).toHaveLength(50);
  expect(() => cacheClusterId('a'.repeat(51))).toThrow();
});

test('user ids may hold hyphens anywhere but first', () => {
  expect(userId('App--')).toBe('app--');
  expect(() => userId('-app')).toThrow();
});

test('members, node groups and nodes', () => {
  expect(memberClusterId('rg', 1)).toBe('rg-001');
  expect(memberClusterId('rg', 2, nodeGroupIdOf(1))).toBe('rg-0001-002');
  expect(cacheNodeIdOf(1)).toBe('0001');
  expect(nodeGroupId('7')).toBe('0007');
  expect(() => nodeGroupId('00001')).toThrow();
  expect(() => nodeGroupIdOf(0)).toThrow(RangeError);
  expect(() => memberClusterId('rg', 1000)).toThrow(RangeError);
});

test('ARNs, with a region unless global', () => {
  const group = {
    region: 'eu-test-1',
    accountId: '123456789012',
    resourceType: 'replicationgroup',
    name: 'rg',
  } as const;
  const text = 'arn:aws:elasticache:eu-test-1:123456789012:replicationgroup:rg';
  expect(formatArn(group)).toBe(text);
  expect(parseArn(text)).toEqual(group);
  expect(formatArn({ ...group, resourceType: 'globalreplicationgroup' })).toBe(
    'arn:aws:elasticache::123456789012:globalreplicationgroup:rg',
  );
});

test.each([
  '',
  'rg',
  'arn:aws:s3:eu-test-1:123456789012:cluster:c',
  'arn:aws:elasticache:eu-test-1:123456789012:constructor:c',
  'arn:aws:elasticache:eu-test-1:12345:cluster:c',
  'arn:aws:elasticache:eu-test-1:123456789012:cluster:',
  'arn:aws:elasticache:eu-test-1:123456789012:cluster:a:b',
  'arn:aws:elasticache::123456789012:cluster:c',
  'a:'.repeat(100_000),
])('%.40s is no ARN', (text) => {
  expect(() => parseArn(text)).toThrow(expect.objectContaining({ code: 'InvalidARN' }));
});
