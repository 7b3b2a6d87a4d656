import type { CloudWatchInput } from '@larder/contract/cloudwatch/model';
import { expect, test } from 'vitest';
import { getMetricStatistics } from './get-metric-statistics.ts';
import { listMetrics, metricsOfPage } from './list-metrics.ts';
import { ago, caller, codeOf, dataContext } from './metric-data.test-support.ts';
import { putMetricData } from './put-metric-data.ts';

type Datum = NonNullable<CloudWatchInput<'PutMetricData'>['MetricData']>[number];

const put = (context: ReturnType<typeof dataContext>, ...MetricData: Datum[]) =>
  putMetricData(context, { Namespace: 'Shop', MetricData });
const a = (more: object = {}): Datum => ({ MetricName: 'a', ...more });
const dimensions = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ Name: `d${index}`, Value: 'v' }));

test('values, counted values and statistic sets are kept, and read as statistics', async () => {
  const context = dataContext();
  await put(
    context,
    a({ Timestamp: ago(5), Value: 2, Unit: 'Count' }),
    a({ Timestamp: ago(5), Values: [1, 5], Counts: [3, 1], Unit: 'Count' }),
    a({
      Timestamp: ago(4),
      StatisticValues: { SampleCount: 4, Sum: 10, Minimum: 1, Maximum: 4 },
      Unit: 'Count',
    }),
    a({ Timestamp: ago(4), Value: 9, Unit: 'Percent' }),
    a({ Value: 1, MetricName: 'other' }),
  );
  const read = await getMetricStatistics(context, {
    Namespace: 'Shop',
    MetricName: 'a',
    StartTime: ago(10),
    EndTime: ago(0),
    Period: 60,
    Statistics: ['SampleCount', 'Sum', 'Minimum', 'Maximum', 'Average'],
    ExtendedStatistics: ['p50', 'PR(:2)'],
  });
  expect(read).toEqual({
    Label: 'a',
    Datapoints: [
      {
        ...{ Timestamp: ago(5), Unit: 'Count', SampleCount: 5, Sum: 10, Minimum: 1, Maximum: 5, Average: 2 },
        ExtendedStatistics: { p50: 1, 'PR(:2)': 80 },
      },
      { Timestamp: ago(4), Unit: 'Count', SampleCount: 4, Sum: 10, Minimum: 1, Maximum: 4, Average: 2.5 },
      {
        ...{ Timestamp: ago(4), Unit: 'Percent', SampleCount: 1, Sum: 9, Minimum: 9, Maximum: 9, Average: 9 },
        ExtendedStatistics: { p50: 9, 'PR(:2)': 0 },
      },
    ],
  });
});

const ok = 'done';
const invalid = 'InvalidParameterValue';
const combination = 'InvalidParameterCombination';
const missing = 'MissingParameter';

test.each<[string, Datum, string]>([
  ['a value', a({ Value: 0 }), ok],
  ['the largest value', a({ Value: 2 ** 360 }), ok],
  ['the smallest value', a({ Value: -(2 ** 360) }), ok],
  ['beyond the largest value', a({ Value: 2 ** 361 }), invalid],
  ['no number', a({ Value: Number.NaN }), invalid],
  ['infinity', a({ Values: [Number.POSITIVE_INFINITY] }), invalid],
  ['two weeks ago', a({ Value: 1, Timestamp: ago(14 * 24 * 60) }), ok],
  ['longer ago', a({ Value: 1, Timestamp: ago(14 * 24 * 60 + 1) }), invalid],
  ['in two hours', a({ Value: 1, Timestamp: ago(-120) }), ok],
  ['later', a({ Value: 1, Timestamp: ago(-121) }), invalid],
  ['30 dimensions', a({ Value: 1, Dimensions: dimensions(30) }), ok],
  ['31 dimensions', a({ Value: 1, Dimensions: dimensions(31) }), invalid],
  ['a dimension twice', a({ Value: 1, Dimensions: [...dimensions(1), ...dimensions(1)] }), invalid],
  ['a dimension without a value', a({ Value: 1, Dimensions: [{ Name: 'd', Value: '' }] }), invalid],
  ['a dimension with a colon', a({ Value: 1, Dimensions: [{ Name: ':d', Value: 'v' }] }), invalid],
  ['a dimension that is no ASCII', a({ Value: 1, Dimensions: [{ Name: 'ä', Value: 'v' }] }), invalid],
  ['150 values', a({ Values: Array(150).fill(1) }), ok],
  ['151 values', a({ Values: Array(151).fill(1) }), invalid],
  ['no values', a({ Values: [] }), invalid],
  ['fewer counts', a({ Values: [1, 2], Counts: [1] }), invalid],
  ['a negative count', a({ Values: [1], Counts: [-1] }), invalid],
  ['nothing counted', a({ Values: [1], Counts: [0] }), invalid],
  ['counts alone', a({ Counts: [1] }), missing],
  ['a value and values', a({ Value: 1, Values: [1] }), combination],
  ['no value', a(), missing],
  ['half a statistic set', a({ StatisticValues: { SampleCount: 1, Sum: 1, Minimum: 1 } }), missing],
  ['a set of nothing', a({ StatisticValues: { SampleCount: 0, Sum: 1, Minimum: 1, Maximum: 1 } }), invalid],
  ['a set turned round', a({ StatisticValues: { SampleCount: 1, Sum: 1, Minimum: 2, Maximum: 1 } }), invalid],
  ['a unit', a({ Value: 1, Unit: 'Bytes/Second' }), ok],
  ['another unit', a({ Value: 1, Unit: 'Furlongs' as 'None' }), invalid],
  ['a resolution of a second', a({ Value: 1, StorageResolution: 1 }), ok],
  ['another resolution', a({ Value: 1, StorageResolution: 5 }), invalid],
  ['a name too long', { MetricName: 'x'.repeat(256), Value: 1 }, invalid],
  ['an empty name', { MetricName: '', Value: 1 }, invalid],
])('data with %s', async (_, datum, code) => {
  expect(await codeOf(put(dataContext(), datum))).toBe(code);
});

test.each<[string, CloudWatchInput<'PutMetricData'>, string]>([
  ['a reserved namespace', { Namespace: 'AWS/ElastiCache', MetricData: [a({ Value: 1 })] }, invalid],
  ['an empty namespace', { Namespace: '', MetricData: [a({ Value: 1 })] }, invalid],
  ['a namespace with a blank', { Namespace: 'My Shop', MetricData: [a({ Value: 1 })] }, invalid],
  ['no metric', { Namespace: 'Shop' }, missing],
  ['1,000 metrics', { Namespace: 'Shop', MetricData: Array(1000).fill(a({ Value: 1 })) }, ok],
  ['1,001 metrics', { Namespace: 'Shop', MetricData: Array(1001).fill(a({ Value: 1 })) }, invalid],
  ['an entity', { Namespace: 'Shop', MetricData: [a({ Value: 1 })], EntityMetricData: [] }, invalid],
])('a request with %s', async (_, input, code) => {
  expect(await codeOf(putMetricData(dataContext(), input))).toBe(code);
});

test('one wrong datum refuses them all', async () => {
  const context = dataContext();
  expect(await codeOf(put(context, a({ Value: 1 }), a({ Value: 2 ** 400 })))).toBe(invalid);
  expect(await context.metrics.list({})).toEqual([]);
});

test('metrics are listed by page, and by what they have', async () => {
  const context = dataContext();
  const named = Array.from({ length: metricsOfPage + 20 }, (_, index) =>
    a({ MetricName: `m${index}`, Value: 1, Dimensions: [{ Name: 'd', Value: String(index % 2) }] }),
  );
  await put(context, ...named);
  await put(context, a({ MetricName: 'old', Value: 1, Timestamp: ago(240) }));
  const first = await listMetrics(context, caller, { Namespace: 'Shop' });
  expect(first.Metrics).toHaveLength(metricsOfPage);
  const second = await listMetrics(context, caller, { Namespace: 'Shop', NextToken: first.NextToken });
  expect(second.NextToken).toBeUndefined();
  const names = [...first.Metrics!, ...second.Metrics!].map(({ MetricName }) => MetricName);
  expect(new Set(names).size).toBe(metricsOfPage + 21);
  const recent = { RecentlyActive: 'PT3H' as const, Namespace: 'Shop', MetricName: 'old' };
  expect((await listMetrics(context, caller, recent)).Metrics).toEqual([]);
  const filtered = await listMetrics(context, caller, { Dimensions: [{ Name: 'd', Value: '1' }] });
  expect(filtered.Metrics).toHaveLength((metricsOfPage + 20) / 2);
  expect(await listMetrics(context, caller, { OwningAccount: '111111111111' })).toEqual({ Metrics: [] });
  const foreign = { Namespace: 'Other', NextToken: first.NextToken };
  expect(await codeOf(listMetrics(context, caller, foreign))).toBe('InvalidNextToken');
  expect(await codeOf(listMetrics(context, caller, { NextToken: 'x' }))).toBe('InvalidNextToken');
});

test.each([
  [{ Period: 7 }, invalid],
  [{ Period: 90 }, invalid],
  [{ Statistics: [] }, missing],
  [{ Statistics: ['p50'] }, invalid],
  [{ ExtendedStatistics: ['p101'] }, invalid],
  [{ StartTime: ago(0) }, combination],
  [{ StartTime: ago(1441) }, combination],
  [{ StartTime: ago(1440) }, ok],
  [{ Unit: 'Furlongs' }, invalid],
])('statistics with %j', async (change, code) => {
  const input = {
    ...{ Namespace: 'Shop', MetricName: 'a', StartTime: ago(10), EndTime: ago(0), Period: 60 },
    Statistics: ['Sum'],
    ...change,
  } as CloudWatchInput<'GetMetricStatistics'>;
  expect(await codeOf(getMetricStatistics(dataContext(), input))).toBe(code);
});
