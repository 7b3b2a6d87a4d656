import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { getMetricData } from './get-metric-data.ts';
import { ago, caller, codeOf, dataContext } from './metric-data.test-support.ts';
import { putMetricData } from './put-metric-data.ts';

type Query = CloudWatchInput<'GetMetricData'>['MetricDataQueries'][number];

let context: ReturnType<typeof dataContext>;

const stat = (MetricName: string, more: object = {}) => ({
  MetricStat: {
    Metric: { Namespace: 'Shop', MetricName, Dimensions: [{ Name: 'shop', Value: 'one' }] },
    Period: 60,
    Stat: 'Average',
    ...more,
  },
});
const e1 = (Expression: string): Query => ({ Id: 'e1', Expression });
/** What a label is filled in with. */
const told = (what: string) => `$\{${what}}`;
const hits: Query = { Id: 'hits', ...stat('hits') };
const misses: Query = { Id: 'misses', ...stat('misses') };
const quiet = (query: Query): Query => ({ ...query, ReturnData: false });

beforeEach(async () => {
  context = dataContext();
  const of = (MetricName: string, values: readonly number[], unit = 'Count') =>
    values.map((Value, index) => ({
      MetricName,
      Value,
      Unit: unit as 'Count',
      Timestamp: ago(5 - index),
      Dimensions: [{ Name: 'shop', Value: 'one' }],
    }));
  await putMetricData(context, {
    Namespace: 'Shop',
    MetricData: [...of('hits', [90, 80, 70, 60, 50]), ...of('misses', [10, 20, 30, 40])],
  });
});

const get = (MetricDataQueries: Query[], more: Partial<CloudWatchInput<'GetMetricData'>> = {}) =>
  getMetricData(context, caller, {
    MetricDataQueries,
    StartTime: ago(5),
    EndTime: ago(0),
    ScanBy: 'TimestampAscending',
    ...more,
  });

const shown = async (queries: Query[]) =>
  Object.fromEntries(
    ((await get(queries)).MetricDataResults ?? []).map(({ Label, Values }) => [Label, Values]),
  );

test('the newest first, unless it is asked otherwise', async () => {
  expect((await get([hits], { ScanBy: undefined })).MetricDataResults).toEqual([
    {
      Id: 'hits',
      Label: 'hits',
      Timestamps: [1, 2, 3, 4, 5].map(ago),
      Values: [50, 60, 70, 80, 90],
      StatusCode: 'Complete',
    },
  ]);
  expect((await get([hits])).MetricDataResults?.[0]?.Values).toEqual([90, 80, 70, 60, 50]);
});

test.each<[string, Query[], object]>([
  ['a share', [quiet(hits), quiet(misses), e1('100 * hits / (hits + misses)')], { e1: [90, 80, 70, 60] }],
  [
    'an expression of another',
    [quiet(hits), quiet(e1('hits * 2')), { Id: 'e2', Expression: 'e1 + 1' }],
    { e2: [181, 161, 141, 121, 101] },
  ],
  [
    'all metrics',
    [hits, quiet(misses), e1('SUM(METRICS())')],
    { hits: [90, 80, 70, 60, 50], e1: [100, 100, 100, 100, 50] },
  ],
  [
    'each of an array',
    [quiet(hits), quiet(misses), e1('METRICS() / 10')],
    { hits: [9, 8, 7, 6, 5], misses: [1, 2, 3, 4] },
  ],
  ['what is filled', [quiet(misses), e1('FILL(misses, 0)')], { e1: [10, 20, 30, 40, 0] }],
  [
    'a search',
    [e1("SEARCH('{Shop,shop} MetricName=\"hits\"', 'Average', 60)")],
    { hits: [90, 80, 70, 60, 50] },
  ],
  [
    'what a search found',
    [e1("SUM(SEARCH('{Shop,shop} one', 'Average'))")],
    { e1: [100, 100, 100, 100, 50] },
  ],
  [
    'a longer period from where it is asked',
    [{ Id: 'm', ...stat('hits', { Period: 300, Stat: 'Sum' }) }],
    { hits: [350] },
  ],
  ['a percentile', [{ Id: 'm', ...stat('hits', { Period: 300, Stat: 'p50' }) }], { hits: [70] }],
  ['another unit', [{ Id: 'm', ...stat('hits', { Unit: 'Percent' }) }], { hits: [] }],
  ['a label', [{ ...hits, Label: 'Hits' }], { Hits: [90, 80, 70, 60, 50] }],
  [
    'a label that tells',
    [
      {
        ...hits,
        Label: `${told("PROP('Dim.shop')")} ${told('MAX')} at ${told('MAX_TIME')} ${told('AVG')} ${told('NOPE')}`,
      },
    ],
    { [`one 90 at 2026-11-24 09:55:00 70 ${told('NOPE')}`]: [90, 80, 70, 60, 50] },
  ],
  [
    'labels of several',
    [quiet(hits), quiet(misses), { ...e1('METRICS()'), Label: 'Shop' }],
    { 'Shop hits': [90, 80, 70, 60, 50], 'Shop misses': [10, 20, 30, 40] },
  ],
  [
    'labels with their own',
    [quiet(hits), quiet(misses), { ...e1('METRICS()'), Label: `<${told('LABEL')}>` }],
    { '<hits>': [90, 80, 70, 60, 50], '<misses>': [10, 20, 30, 40] },
  ],
])('%s', async (_, queries, expected) => {
  expect(await shown(queries)).toEqual(expected);
});

const validation = 'ValidationError';
const invalid = 'InvalidParameterValue';
test.each<[string, Query[], string]>([
  ['nothing', [], 'MissingParameter'],
  ['an Id in capitals', [{ ...hits, Id: 'Hits' }], invalid],
  ['an Id twice', [hits, hits], invalid],
  ['neither metric nor expression', [{ Id: 'a' }], 'InvalidParameterCombination'],
  ['both', [{ ...hits, Expression: '1' }], 'InvalidParameterCombination'],
  ['nothing returned', [quiet(hits)], 'InvalidParameterCombination'],
  ['a wrong period', [{ Id: 'a', ...stat('hits', { Period: 61 }) }], invalid],
  ['a wrong statistic', [{ Id: 'a', ...stat('hits', { Stat: 'Median' }) }], invalid],
  ['an id that nothing has', [e1('nobody')], validation],
  ['a circle', [e1('e2'), { Id: 'e2', Expression: 'e1' }], validation],
  ['itself', [e1('e1')], validation],
  ['a function that is not supported', [hits, e1('ANOMALY_DETECTION_BAND(hits)')], validation],
  ['a Metrics Insights query', [e1('SELECT AVG(hits) FROM Shop')], validation],
  ['a single number', [hits, e1('SUM(hits)')], validation],
  ['two periods', [hits, { Id: 'm', ...stat('misses', { Period: 300 }) }, e1('hits + m')], validation],
  ['a broken search', [e1("SEARCH('{Shop', 'Sum', 60)")], validation],
  ['a search with a wrong statistic', [e1("SEARCH('{Shop}', 'Median', 60)")], validation],
  ['too many searches', [e1(Array(11).fill("SUM(SEARCH('x', 'Sum'))").join('+'))], validation],
  ['another account', [{ ...hits, AccountId: '111111111111' }], invalid],
])('refuses %s', async (_, queries, code) => {
  expect(await codeOf(get(queries))).toBe(code);
});

test('refuses times that cross, too many points of a page and unknown orders', async () => {
  expect(await codeOf(get([hits], { StartTime: ago(0) }))).toBe('InvalidParameterCombination');
  expect(await codeOf(get([hits], { MaxDatapoints: 100_801 }))).toBe(invalid);
  expect(await codeOf(get([hits], { ScanBy: 'Random' as 'TimestampAscending' }))).toBe(invalid);
  expect(await codeOf(get([hits], { LabelOptions: { Timezone: 'Berlin' } }))).toBe(invalid);
  expect(await codeOf(get([hits], { NextToken: 'x' }))).toBe('InvalidNextToken');
});

test('pages of any size make the same whole, and a token is good for its request alone', async () => {
  const queries = [hits, { Id: 'none', ...stat('none') }, misses, e1('METRICS() * 2')];
  const whole = await joined(await pages(queries, undefined));
  expect(whole.map(([, values]) => values.length)).toEqual([5, 0, 4, 5, 0, 4]);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), async (size) => {
      expect(joined(await pages(queries, size))).toEqual(whole);
    }),
    { numRuns: 20 },
  );
  const { NextToken } = await get([hits], { MaxDatapoints: 2 });
  expect(await codeOf(get([misses], { MaxDatapoints: 2, NextToken }))).toBe('InvalidNextToken');
});

async function pages(queries: Query[], size: number | undefined) {
  const all: CloudWatchOutput<'GetMetricData'>[] = [];
  let NextToken: string | undefined;
  do {
    const page = await get(queries, { NextToken, ...(size !== undefined && { MaxDatapoints: size }) });
    const count = page.MetricDataResults!.reduce((sum, { Values }) => sum + Values!.length, 0);
    expect(count).toBeLessThanOrEqual(size ?? 100_800);
    all.push(page);
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return all;
}

function joined(all: readonly CloudWatchOutput<'GetMetricData'>[]): [string, number[]][] {
  const byLabel = new Map<string, number[]>();
  for (const { Id, Label, Values } of all.flatMap((page) => page.MetricDataResults!)) {
    byLabel.set(`${Id} ${Label}`, [...(byLabel.get(`${Id} ${Label}`) ?? []), ...Values!]);
  }
  return [...byLabel];
}

test('of several units the newest is shown, and it is said', async () => {
  await putMetricData(context, {
    Namespace: 'Shop',
    MetricData: [
      { MetricName: 'u', Value: 1, Unit: 'Count', Timestamp: ago(4) },
      { MetricName: 'u', Value: 2, Unit: 'Percent', Timestamp: ago(3) },
    ],
  });
  const query: Query = {
    Id: 'u',
    MetricStat: { Metric: { Namespace: 'Shop', MetricName: 'u' }, Period: 60, Stat: 'Sum' },
  };
  const [result] = (await get([query])).MetricDataResults!;
  expect([result?.Values, result?.Messages?.[0]?.Code]).toEqual([[2], 'SeveralUnits']);
});

test('one request can not ask for endless work', async () => {
  const day = Array.from({ length: 1440 }, (_, index) => ({
    MetricName: 'long',
    Value: 1,
    Timestamp: ago(index),
  }));
  for (let from = 0; from < day.length; from += 720) {
    await putMetricData(context, { Namespace: 'Shop', MetricData: day.slice(from, from + 720) });
  }
  const long: Query = {
    Id: 'm0',
    MetricStat: { Metric: { Namespace: 'Shop', MetricName: 'long' }, Period: 60, Stat: 'Sum' },
    ReturnData: false,
  };
  const sum = Array(200).fill('m0').join('+');
  const queries = (count: number) =>
    Array.from({ length: count }, (_, index): Query => ({ Id: `e${index}`, Expression: sum }));
  const ask = (count: number) => codeOf(get([long, ...queries(count)], { StartTime: ago(1440) }));
  expect([await ask(30), await ask(40)]).toEqual(['done', validation]);
});

test('short periods reach three hours back', async () => {
  const put = (minutes: number) => ({
    MetricName: 's',
    Value: 1,
    StorageResolution: 1,
    Timestamp: ago(minutes),
  });
  await putMetricData(context, { Namespace: 'Shop', MetricData: [put(200), put(170)] });
  const query = (Period: number): Query => ({
    Id: 's',
    MetricStat: { Metric: { Namespace: 'Shop', MetricName: 's' }, Period, Stat: 'Sum' },
  });
  const times = async (period: number) =>
    (await get([query(period)], { StartTime: ago(240) })).MetricDataResults?.[0]?.Timestamps;
  expect(await times(1)).toEqual([ago(170)]);
  expect(await times(60)).toEqual([ago(200), ago(170)]);
});
