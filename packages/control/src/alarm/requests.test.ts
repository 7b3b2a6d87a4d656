import type { CloudWatchInput } from '@larder/contract/cloudwatch/model';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { codeOf } from '../metric-data/metric-data.test-support.ts';
import { alarmArnOf, loadAlarm, type TestAlarms, testAlarms, topic } from './alarm.test-support.ts';

let alarms: TestAlarms;
beforeEach(() => {
  alarms = testAlarms();
});
afterEach(() => alarms.close());

const invalid = 'InvalidParameterValue';
const combination = 'InvalidParameterCombination';
const missing = 'MissingParameter';
const validation = 'ValidationError';

type Put = CloudWatchInput<'PutMetricAlarm'>;
const math = (Expression: string, more: object = {}): Partial<Put> => ({
  Namespace: undefined,
  MetricName: undefined,
  Statistic: undefined,
  Period: undefined,
  Metrics: [
    {
      Id: 'm',
      MetricStat: { Metric: { Namespace: 'Shop', MetricName: 'load' }, Period: 60, Stat: 'Sum' },
      ReturnData: false,
    },
    { Id: 'e', Expression, ...more },
  ],
});

test.each<[string, Partial<Put>, string]>([
  ['as it is', {}, 'done'],
  ['of 10 seconds', { Period: 10 }, 'done'],
  ['of 20 seconds', { Period: 20 }, 'done'],
  ['of 5 seconds', { Period: 5 }, 'done'],
  ['of 15 seconds', { Period: 15 }, invalid],
  ['of 90 seconds', { Period: 90 }, invalid],
  ['without a period', { Period: undefined }, missing],
  ['without a statistic', { Statistic: undefined }, missing],
  ['with two statistics', { ExtendedStatistic: 'p99' }, combination],
  ['with a wrong statistic', { Statistic: 'p99' as 'Sum' }, invalid],
  ['with a wrong percentile', { Statistic: undefined, ExtendedStatistic: 'p101' }, invalid],
  ['with a trimmed mean', { Statistic: undefined, ExtendedStatistic: 'tm90' }, 'done'],
  ['without a metric', { MetricName: undefined }, missing],
  ['without a threshold', { Threshold: undefined }, missing],
  ['with a band', { ComparisonOperator: 'LessThanLowerThreshold', ThresholdMetricId: 'x' }, invalid],
  ['compared with a band', { ComparisonOperator: 'LessThanLowerThreshold' }, invalid],
  ['with no periods', { EvaluationPeriods: 0 }, invalid],
  ['with half a period', { EvaluationPeriods: 1.5 }, invalid],
  ['with more datapoints than periods', { DatapointsToAlarm: 2 }, combination],
  ['over a day', { EvaluationPeriods: 1440, Period: 120 }, combination],
  ['of too many periods', { EvaluationPeriods: 1441 }, invalid],
  ['over seven days', { EvaluationPeriods: 168, Period: 3600 }, 'done'],
  ['over longer', { EvaluationPeriods: 169, Period: 3600 }, combination],
  ['with another treatment', { TreatMissingData: 'hope' }, invalid],
  ['low samples of no percentile', { EvaluateLowSampleCountPercentile: 'ignore' }, combination],
  ['with six actions', { AlarmActions: Array.from({ length: 6 }, (_, n) => topic(`t${n}`)) }, invalid],
  ['that recovers a machine', { AlarmActions: ['arn:aws:automate:us-east-1:ec2:recover'] }, invalid],
  ['that scales', { OKActions: ['arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x'] }, invalid],
  ['that opens an item', { AlarmActions: ['arn:aws:ssm:us-east-1:000000000000:opsitem:1'] }, invalid],
  ['with a topic elsewhere', { AlarmActions: ['arn:aws:sns:eu-west-1:000000000000:t'] }, invalid],
  ['with a window', { EvaluationWindow: { SlidingWindow: {} } }, invalid],
  ['without a name', { AlarmName: '' }, invalid],
  ['with a name too long', { AlarmName: 'x'.repeat(256) }, invalid],
  ['with an empty list of metrics', { Metrics: [] }, 'done'],
  ['with a unit', { Unit: 'Percent' }, 'done'],
  ['with a wrong unit', { Unit: 'Furlongs' as 'Count' }, invalid],
  ['with an expression', math('m * 2'), 'done'],
  ['with an expression and a metric', { ...math('m'), MetricName: 'x' }, combination],
  ['with a broken expression', math('m +'), validation],
  ['with a search', math("SUM(SEARCH('x', 'Sum', 60))"), validation],
  ['with two periods', math('m', { Period: 300 }), combination],
  ['with nothing watched', math('m', { ReturnData: false }), combination],
])('a metric alarm %s', async (_, change, code) => {
  expect(await codeOf(alarms.call('PutMetricAlarm', { ...loadAlarm('a'), ...change } as Put))).toBe(code);
});

test.each<[string, Partial<CloudWatchInput<'PutCompositeAlarm'>>, string]>([
  ['as it is', {}, 'done'],
  ['on nothing', { AlarmRule: 'TRUE' }, 'done'],
  ['that can not be read', { AlarmRule: 'ALARM(load) AND' }, validation],
  ['on an alarm that is not there', { AlarmRule: 'ALARM(nobody)' }, validation],
  ['on itself', { AlarmRule: 'ALARM(c)' }, validation],
  ['of the name of another', { AlarmName: 'load' }, validation],
  ['with half a suppressor', { ActionsSuppressor: 'load' }, missing],
  ['with periods alone', { ActionsSuppressorWaitPeriod: 1 }, combination],
  [
    'suppressed by nobody',
    { ActionsSuppressor: 'nobody', ActionsSuppressorWaitPeriod: 1, ActionsSuppressorExtensionPeriod: 1 },
    validation,
  ],
  ['with another action', { AlarmActions: ['arn:aws:ssm:us-east-1:000000000000:opsitem:1'] }, invalid],
])('a composite alarm %s', async (_, change, code) => {
  await alarms.call('PutMetricAlarm', loadAlarm('load'));
  const input = { AlarmName: 'c', AlarmRule: 'ALARM(load)', ...change };
  expect(await codeOf(alarms.call('PutCompositeAlarm', input))).toBe(code);
});

test('a circle through several is refused; what another alarm needs is not deleted', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load'));
  const compose = (AlarmName: string, AlarmRule: string) =>
    codeOf(alarms.call('PutCompositeAlarm', { AlarmName, AlarmRule }));
  expect(await compose('a', 'ALARM(load)')).toBe('done');
  expect(await compose('b', 'ALARM(a)')).toBe('done');
  expect(await compose('a', 'ALARM(load) OR OK(b)')).toBe(validation);
  const remove = (...AlarmNames: string[]) => codeOf(alarms.call('DeleteAlarms', { AlarmNames }));
  expect(await remove('load')).toBe('ResourceConflict');
  expect(await remove('a')).toBe('ResourceConflict');
  expect(await remove('nobody', 'b')).toBe('ResourceNotFound');
  expect(await remove('b', 'a', 'load')).toBe('done');
  expect((await alarms.call('DescribeAlarms', {})).MetricAlarms).toEqual([]);
});

test('what was put is described, and nothing else', async () => {
  const input = loadAlarm('load', {
    AlarmDescription: 'ä',
    TreatMissingData: 'breaching',
    DatapointsToAlarm: 1,
  });
  await alarms.call('PutMetricAlarm', { ...input, Tags: [{ Key: 'team', Value: 'shop' }] });
  const { MetricAlarms } = await alarms.call('DescribeAlarms', {});
  const at = new Date(alarms.clock.ms);
  expect(MetricAlarms).toEqual([
    {
      ...input,
      Dimensions: [],
      AlarmArn: alarmArnOf('load'),
      AlarmConfigurationUpdatedTimestamp: at,
      StateValue: 'INSUFFICIENT_DATA',
      StateReason: 'Unchecked: Initial alarm creation',
      StateUpdatedTimestamp: at,
      StateTransitionedTimestamp: at,
      ActionsEnabled: true,
      OKActions: [],
      InsufficientDataActions: [],
    },
  ]);
});

test('alarms are described by name, prefix, state, action, type and family, page by page', async () => {
  for (const name of ['a1', 'a2', 'b1']) await alarms.call('PutMetricAlarm', loadAlarm(name));
  await alarms.call('PutMetricAlarm', loadAlarm('b2', { AlarmActions: [topic('other')] }));
  await alarms.call('PutCompositeAlarm', { AlarmName: 'c', AlarmRule: 'ALARM(a1) OR ALARM(b1)' });
  await alarms.call('SetAlarmState', { AlarmName: 'a2', StateValue: 'OK', StateReason: 'r' });
  const names = async (input: CloudWatchInput<'DescribeAlarms'>) => {
    const { MetricAlarms = [], CompositeAlarms = [] } = await alarms.call('DescribeAlarms', input);
    return [...MetricAlarms, ...CompositeAlarms].map(({ AlarmName }) => AlarmName);
  };
  expect(await names({})).toEqual(['a1', 'a2', 'b1', 'b2']);
  expect(await names({ AlarmTypes: ['CompositeAlarm'] })).toEqual(['c']);
  expect(await names({ AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] })).toHaveLength(5);
  expect(await names({ AlarmNames: ['b1', 'nobody', 'c'] })).toEqual(['b1']);
  expect(await names({ AlarmNamePrefix: 'a' })).toEqual(['a1', 'a2']);
  expect(await names({ StateValue: 'OK' })).toEqual(['a2']);
  expect(await names({ ActionPrefix: topic('oth') })).toEqual(['b2']);
  expect(await names({ ChildrenOfAlarmName: 'c' })).toEqual(['a1', 'b1']);
  expect(await names({ ParentsOfAlarmName: alarmArnOf('a1') })).toEqual(['c']);
  const first = await alarms.call('DescribeAlarms', { MaxRecords: 3 });
  expect(first.MetricAlarms).toHaveLength(3);
  expect(await names({ MaxRecords: 3, NextToken: first.NextToken })).toEqual(['b2']);
  expect(await codeOf(names({ MaxRecords: 101 }))).toBe(invalid);
  expect(await codeOf(names({ NextToken: 'x' }))).toBe('InvalidNextToken');
  expect(await codeOf(names({ AlarmNames: ['a'], AlarmNamePrefix: 'a' }))).toBe(combination);
});

test('alarms of a metric are those with exactly its dimensions', async () => {
  const Dimensions = [{ Name: 'd', Value: 'v' }];
  await alarms.call('PutMetricAlarm', loadAlarm('plain'));
  await alarms.call('PutMetricAlarm', loadAlarm('split', { Dimensions, Statistic: 'Sum' }));
  const names = async (more: object) =>
    (
      await alarms.call('DescribeAlarmsForMetric', { Namespace: 'Shop', MetricName: 'load', ...more })
    ).MetricAlarms?.map(({ AlarmName }) => AlarmName);
  expect(await names({})).toEqual(['plain']);
  expect(await names({ Dimensions })).toEqual(['split']);
  expect(await names({ Dimensions, Statistic: 'Maximum' })).toEqual([]);
});

test('history is read by alarm, kind and time, page by page', async () => {
  for (let count = 0; count < 5; count += 1) {
    await alarms.call('PutMetricAlarm', loadAlarm('a', { Threshold: count }));
    alarms.clock.ms += 1_000;
  }
  await alarms.call('SetAlarmState', { AlarmName: 'a', StateValue: 'OK', StateReason: 'r' });
  await alarms.call('PutCompositeAlarm', { AlarmName: 'c', AlarmRule: 'TRUE' });
  const read = (input: CloudWatchInput<'DescribeAlarmHistory'>) => alarms.call('DescribeAlarmHistory', input);
  expect((await read({})).AlarmHistoryItems?.[0]?.HistorySummary).toBe(
    'Alarm updated from INSUFFICIENT_DATA to OK',
  );
  expect((await read({ AlarmTypes: ['CompositeAlarm'] })).AlarmHistoryItems).toHaveLength(1);
  expect((await read({ HistoryItemType: 'ConfigurationUpdate' })).AlarmHistoryItems).toHaveLength(5);
  expect((await read({ EndDate: new Date(alarms.clock.ms - 4_000) })).AlarmHistoryItems).toHaveLength(2);
  const first = await read({ AlarmName: 'a', MaxRecords: 4 });
  const second = await read({ AlarmName: 'a', MaxRecords: 4, NextToken: first.NextToken });
  expect([first.AlarmHistoryItems?.length, second.AlarmHistoryItems?.length]).toEqual([4, 2]);
  expect(second.AlarmHistoryItems?.at(-1)?.HistorySummary).toBe('Alarm "a" created');
  expect(second.NextToken).toBeUndefined();
});

test.each([
  [{ AlarmName: 'nobody', StateValue: 'OK', StateReason: 'r' }, 'ResourceNotFound'],
  [{ AlarmName: 'a', StateValue: 'FINE', StateReason: 'r' }, invalid],
  [{ AlarmName: 'a', StateValue: 'OK', StateReason: 'x'.repeat(1024) }, invalid],
  [{ AlarmName: 'a', StateValue: 'OK', StateReason: 'r', StateReasonData: '{' }, 'InvalidFormat'],
  [{ AlarmName: 'a', StateValue: 'OK', StateReason: 'r', StateReasonData: '{}' }, 'done'],
])('SetAlarmState with %j', async (input, code) => {
  await alarms.call('PutMetricAlarm', loadAlarm('a'));
  expect(await codeOf(alarms.call('SetAlarmState', input as never))).toBe(code);
});

test('alarms and dashboards have tags, which go with them', async () => {
  await alarms.call('PutMetricAlarm', { ...loadAlarm('a'), Tags: [{ Key: 'one', Value: '1' }] });
  await alarms.call('PutDashboard', { DashboardName: 'd', DashboardBody: '{}' });
  const dashboard = 'arn:aws:cloudwatch::000000000000:dashboard/d';
  for (const ResourceARN of [alarmArnOf('a'), dashboard]) {
    await alarms.call('TagResource', { ResourceARN, Tags: [{ Key: 'two', Value: '2' }] });
  }
  await alarms.call('UntagResource', { ResourceARN: alarmArnOf('a'), TagKeys: ['one', 'never'] });
  const list = async (ResourceARN: string) =>
    (await alarms.call('ListTagsForResource', { ResourceARN })).Tags;
  expect(await list(alarmArnOf('a'))).toEqual([{ Key: 'two', Value: '2' }]);
  expect(await list(dashboard)).toEqual([{ Key: 'two', Value: '2' }]);
  await alarms.call('DeleteAlarms', { AlarmNames: ['a'] });
  await alarms.call('DeleteDashboards', { DashboardNames: ['d'] });
  expect(await alarms.database.selectFrom('tag').selectAll().execute()).toEqual([]);
  expect(await codeOf(list(alarmArnOf('a')))).toBe('ResourceNotFoundException');
  expect(await codeOf(list('arn:aws:s3:::x'))).toBe('ResourceNotFoundException');
});

test('dashboards are kept as they are', async () => {
  const body = JSON.stringify({ widgets: [{ type: 'text', properties: { markdown: 'ä' } }] });
  const put = (DashboardName: string, DashboardBody: string) =>
    codeOf(alarms.call('PutDashboard', { DashboardName, DashboardBody }));
  expect([await put('shop', body), await put('shop-2', '{}'), await put('other', '{}')]).toEqual(
    Array(3).fill('done'),
  );
  expect(await alarms.call('GetDashboard', { DashboardName: 'shop' })).toEqual({
    DashboardArn: 'arn:aws:cloudwatch::000000000000:dashboard/shop',
    DashboardName: 'shop',
    DashboardBody: body,
  });
  const { DashboardEntries } = await alarms.call('ListDashboards', { DashboardNamePrefix: 'shop' });
  expect(DashboardEntries).toMatchObject([
    { DashboardName: 'shop', Size: Buffer.byteLength(body) },
    { DashboardName: 'shop-2', Size: 2 },
  ]);
  const refusals = [
    await put('a b', '{}'),
    await put('a', '{'),
    await put('a', '[]'),
    await put('a', '{"widgets":{}}'),
    await put('a', JSON.stringify('x'.repeat(600_000))),
  ];
  expect(refusals).toEqual(Array(5).fill('InvalidParameterInput'));
  const remove = (...DashboardNames: string[]) => codeOf(alarms.call('DeleteDashboards', { DashboardNames }));
  expect(await remove('shop', 'nobody')).toBe('ResourceNotFound');
  expect(await remove('shop', 'shop-2')).toBe('done');
  expect(await codeOf(alarms.call('GetDashboard', { DashboardName: 'shop' }))).toBe('ResourceNotFound');
});
