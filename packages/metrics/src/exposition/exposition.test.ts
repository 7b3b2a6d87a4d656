import { expect, test } from 'vitest';
import { nodeMetrics } from '../elasticache/catalogue.ts';
import { familyName, nodeFamilies, nodeValues } from './node-families.ts';
import { openMetricsText } from './open-metrics.ts';

test('text is as OpenMetrics has it', () => {
  expect(
    openMetricsText([
      {
        name: 'a',
        kind: 'counter',
        help: 'How "much"\nof \\ it',
        samples: [{ labels: { x: 'a"b\\c\nd', none: '' }, value: 3 }],
      },
      {
        name: 'b_bytes',
        kind: 'gauge',
        unit: 'bytes',
        help: 'B',
        samples: [{ labels: {}, value: Number.NaN }],
      },
      {
        name: 'c_seconds',
        kind: 'summary',
        unit: 'seconds',
        help: 'C',
        samples: [{ labels: { y: '1' }, value: { sum: 1.5, count: 2 } }],
      },
      { name: 'empty', kind: 'gauge', help: 'E', samples: [] },
    ]),
  ).toBe(
    [
      '# TYPE a counter',
      '# HELP a How \\"much\\"\\nof \\\\ it',
      'a_total{x="a\\"b\\\\c\\nd"} 3',
      '# TYPE b_bytes gauge',
      '# UNIT b_bytes bytes',
      '# HELP b_bytes B',
      'b_bytes NaN',
      '# TYPE c_seconds summary',
      '# UNIT c_seconds seconds',
      '# HELP c_seconds C',
      'c_seconds_sum{y="1"} 1.5',
      'c_seconds_count{y="1"} 2',
      '# EOF',
      '',
    ].join('\n'),
  );
});

test.each([
  ['CacheHits', 'Count', 'larder_cache_hits'],
  ['CPUUtilization', 'Percent', 'larder_cpu_utilization_percent'],
  ['BytesUsedForCache', 'Bytes', 'larder_used_for_cache_bytes'],
  ['NetworkBytesIn', 'Bytes', 'larder_network_in_bytes'],
  ['DatabaseMemoryUsagePercentage', 'Percent', 'larder_database_memory_usage_percent'],
  ['DB0AverageTTL', 'Milliseconds', 'larder_db0_average_ttl_milliseconds'],
  ['SuccessfulReadRequestLatency', 'Microseconds', 'larder_successful_read_request_latency_microseconds'],
] as const)('%s in %s is %s', (name, unit, expected) => {
  expect(familyName(name, unit)).toBe(expected);
});

test('every metric of the list has a family of its own, alike for all engines', () => {
  const names = new Set([...nodeMetrics('valkey'), ...nodeMetrics('memcached')].map(({ name }) => name));
  expect(nodeFamilies.map(({ metricName }) => metricName).sort()).toEqual([...names].sort());
  for (const { name } of nodeFamilies) expect(name).toMatch(/^larder_[a-z0-9_]+$/);
});

test('names and kinds stay: dashboards are made of them', () => {
  expect(nodeFamilies.map(({ name, kind }) => `${kind} ${name}`)).toMatchSnapshot();
});

test('a counter is all that was counted, a gauge what stands', () => {
  const values = nodeValues({
    count: {
      atMs: 1,
      run: 'r',
      watch: 'w',
      counts: { used_memory: 7 },
      totals: { keyspace_hits: 12, keyspace_misses: 4 },
    },
    facts: { engine: 'valkey', vcpus: 1, memoryBytes: 1, baselineBytesPerSecond: 1 },
    gauges: new Map([
      ['BytesUsedForCache', 7],
      ['CacheHits', 1],
    ]),
  });
  expect(values.get('larder_cache_hits')).toBe(12);
  expect(values.get('larder_used_for_cache_bytes')).toBe(7);
  expect(values.has('larder_evictions')).toBe(false);
});
