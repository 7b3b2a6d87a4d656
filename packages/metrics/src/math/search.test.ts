import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Metric } from '../metric.ts';
import { MathError } from './math-error.ts';
import { finder, parseSearch } from './search.ts';

const metric = (
  name: string,
  dimensions: Readonly<Record<string, string>>,
  namespace = 'AWS/ElastiCache',
): Metric => ({
  namespace,
  name,
  dimensions: Object.entries(dimensions).map(([key, value]) => ({ name: key, value })),
});

const metrics = {
  engine: metric('EngineCPUUtilization', { CacheClusterId: 'shop-0001-001' }),
  cpu: metric('CPUUtilization', { CacheClusterId: 'shop-0001-001', CacheNodeId: '0001' }),
  other: metric('CPUUtilization', { CacheClusterId: 'sessions-001', CacheNodeId: '0001' }),
  hits: metric('CacheHits', { CacheClusterId: 'sessions-001', CacheNodeId: '0001' }),
  page: metric('Latency', { 'Page Name': 'front page' }, 'Shop'),
  total: metric('Orders', {}, 'Shop'),
};
const found = (text: string) => {
  const isFound = finder(parseSearch(text));
  return Object.entries(metrics).flatMap(([key, each]) => (isFound(each) ? [key] : []));
};

test.each<[string, readonly string[]]>([
  ['{AWS/ElastiCache,CacheClusterId} CPUUtilization', ['engine']],
  ['{AWS/ElastiCache, CacheNodeId, CacheClusterId} CPUUtilization', ['cpu', 'other']],
  ['{AWS/ElastiCache,CacheClusterId,CacheNodeId}', ['cpu', 'other', 'hits']],
  ['{AWS/ElastiCache,CacheClusterId,CacheNodeId} MetricName="CPUUtilization"', ['cpu', 'other']],
  ['MetricName="CPUUtilization"', ['cpu', 'other']],
  ['MetricName=CPUUtilization', ['engine', 'cpu', 'other']],
  ['MetricName="cpuutilization"', []],
  ['cpu utilization', ['engine', 'cpu', 'other']],
  ['Utilization', ['engine', 'cpu', 'other']],
  ['ization', []],
  ['shop', ['engine', 'cpu', 'page', 'total']],
  ['shop AND CPUUtilization', ['engine', 'cpu']],
  ['CacheClusterId=shop', ['engine', 'cpu']],
  ['CacheClusterId="shop"', []],
  ['CacheClusterId="shop-0001-001"', ['engine', 'cpu']],
  ['CacheClusterId=("shop-0001-001" OR "sessions-001") CPUUtilization NOT Engine', ['cpu', 'other']],
  ['CPUUtilization NOT CacheClusterId=sessions', ['engine', 'cpu']],
  ['Latency OR Orders', ['page', 'total']],
  ['(Latency OR Orders) front', ['page']],
  ['{Shop,"Page Name"}', ['page']],
  ['{Shop}', ['total']],
  ['Namespace="Shop"', ['page', 'total']],
  ['"front page"', ['page']],
  ['0001 CacheHits', ['hits']],
  ['', ['engine', 'cpu', 'other', 'hits', 'page', 'total']],
])('%s', (text, expected) => {
  expect(found(text)).toEqual(expected);
});

test.each([
  ...['{', '{}', '{Shop', '{Shop,}', 'a OR', 'OR a', 'NOT', 'AND', 'a AND AND', 'a)', '(a', '()', 'a=', '=a'],
  ...[
    'a={b}',
    '"open',
    ':aws.AccountId=1',
    'a=(b=c)',
    '('.repeat(100),
    'NOT '.repeat(100),
    'x'.repeat(1025),
    'a '.repeat(51),
  ],
])('%s is refused', (text) => {
  expect(() => parseSearch(text)).toThrow(MathError);
});

test('whatever the text is, it is read or refused', () => {
  const piece = fc.constantFrom(
    'a',
    '"b c"',
    '(',
    ')',
    '=',
    'OR',
    'AND',
    'NOT',
    '{',
    '}',
    ',',
    ' ',
    'MetricName',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        finder(parseSearch(pieces.join(' ')))(metrics.cpu);
      } catch (error) {
        expect(error).toBeInstanceOf(MathError);
      }
    }),
    { numRuns: 2_000 },
  );
});
