import { serviceError } from '@larder/contract/errors';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { alarmArnOf, loadAlarm, type TestAlarms, testAlarms, topic } from './alarm.test-support.ts';
import { mostHistoryOfAlarm, readHistory, recordHistory } from './store.ts';

let alarms: TestAlarms;
beforeEach(() => {
  alarms = testAlarms();
});
afterEach(() => alarms.close());

const subjects = () => alarms.published.map(({ subject }) => subject);

test('above its threshold an alarm goes off within two seconds, and back when it is below', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { OKActions: [topic('ops')] }));
  await alarms.after(0);
  expect(await alarms.state('load')).toBe('INSUFFICIENT_DATA');
  await alarms.record(50);
  await alarms.after(1);
  await alarms.record(90);
  await alarms.after(1);
  expect(await alarms.state('load')).toBe('ALARM');
  await alarms.record(91);
  await alarms.after(1);
  await alarms.record(40);
  await alarms.after(1);
  expect(await alarms.history('load')).toEqual([
    'Alarm "load" created',
    'Alarm updated from INSUFFICIENT_DATA to OK',
    `Successfully executed action ${topic('ops')}`,
    'Alarm updated from OK to ALARM',
    `Successfully executed action ${topic('ops')}`,
    'Alarm updated from ALARM to OK',
    `Successfully executed action ${topic('ops')}`,
  ]);
  expect(subjects()).toEqual([
    'OK: "load" in us-east-1',
    'ALARM: "load" in us-east-1',
    'OK: "load" in us-east-1',
  ]);
  expect(new Set(alarms.published.map(({ id }) => id)).size).toBe(3);
  expect(JSON.parse(alarms.published[1]!.message)).toMatchObject({
    AlarmName: 'load',
    AlarmArn: alarmArnOf('load'),
    OldStateValue: 'OK',
    NewStateValue: 'ALARM',
    NewStateReason: expect.stringContaining('1 out of the last 1 datapoint [90 '),
    Trigger: { MetricName: 'load', Period: 1, Threshold: 80, TreatMissingData: 'missing' },
  });
});

test('a minute is judged when it is over, and M of N counts', async () => {
  const many = { Period: 60, EvaluationPeriods: 3, DatapointsToAlarm: 2 };
  await alarms.call('PutMetricAlarm', loadAlarm('load', many));
  for (const value of [90, 10, 95]) {
    await alarms.record(value);
    await alarms.after(60);
  }
  // The minute that began now has no say, and the last one is given two seconds.
  expect(await alarms.state('load')).toBe('OK');
  await alarms.after(2);
  expect(await alarms.state('load')).toBe('ALARM');
});

test('a value that comes late counts at once, and not with the next period', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { Period: 300 }));
  await alarms.record(10);
  await alarms.after(300);
  await alarms.after(2);
  expect(await alarms.state('load')).toBe('OK');
  await alarms.after(300);
  await alarms.record(90, 10);
  await alarms.after(1);
  expect(await alarms.state('load')).toBe('ALARM');
});

test('killed after the transition and before its notification, the service hands it over under its id, once', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load'));
  await alarms.record(90);
  alarms.refuse = async () => {
    throw new Error('killed here');
  };
  await alarms.after(1);
  expect(await alarms.state('load')).toBe('ALARM');
  const { id } = await alarms.database
    .selectFrom('alarm_notification')
    .select('id')
    .executeTakeFirstOrThrow();
  alarms.restart();
  alarms.refuse = undefined;
  await alarms.record(95);
  await alarms.after(2);
  await alarms.after(2);
  expect(alarms.published.map((each) => each.id)).toEqual([id]);
  expect((await alarms.history('load')).filter((line) => line?.includes('to ALARM'))).toHaveLength(1);
});

test('what was handed over and not yet written down comes again under the same id', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { AlarmActions: [topic('first'), topic('second')] }));
  await alarms.record(90);
  const given: string[][] = [];
  alarms.refuse = async (topicArn, { id }) => {
    given.push([topicArn, id]);
    if (topicArn === topic('second')) throw new Error('taken, but the answer was lost');
  };
  await alarms.after(1);
  alarms.refuse = undefined;
  await alarms.after(5);
  // The first had been written down: it is not told again.
  expect(alarms.published.map((each) => [each.topic, each.id])).toEqual([given[1]]);
});

test('a topic that is not there is said in the history; one that does not answer is tried for a day', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load'));
  await alarms.record(90);
  alarms.refuse = async () => {
    throw serviceError('ResourceNotFound', 'There is no such topic.');
  };
  await alarms.after(1);
  expect((await alarms.history('load')).at(-1)).toBe(
    `Failed to execute action ${topic('ops')}: There is no such topic.`,
  );
  let attempts = 0;
  alarms.refuse = async () => {
    attempts += 1;
    throw new Error('refused');
  };
  await alarms.record(10);
  await alarms.after(1);
  await alarms.record(90);
  await alarms.after(1);
  for (let hour = 0; hour < 26; hour += 1) await alarms.after(3_600);
  expect(attempts).toBe(25);
  expect((await alarms.history('load')).at(-1)).toContain('Failed to execute action');
  expect(await alarms.database.selectFrom('alarm_notification').selectAll().execute()).toEqual([]);
});

test('set by hand it stays until the next evaluation; without data for as long as that says nothing', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { TreatMissingData: 'ignore' }));
  await alarms.record(10);
  await alarms.after(1);
  const set = { AlarmName: 'load', StateValue: 'ALARM' as const, StateReason: 'a drill' };
  await alarms.call('SetAlarmState', set);
  expect(await alarms.state('load')).toBe('ALARM');
  await alarms.after(10);
  expect([await alarms.state('load'), subjects()]).toEqual(['ALARM', ['ALARM: "load" in us-east-1']]);
  await alarms.record(10);
  await alarms.after(1);
  expect(await alarms.state('load')).toBe('OK');
});

test('disabled actions are not carried out, and nothing is owed for that time', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { OKActions: [topic('ops')] }));
  await alarms.call('DisableAlarmActions', { AlarmNames: ['load'] });
  await alarms.record(90);
  await alarms.after(1);
  expect(await alarms.state('load')).toBe('ALARM');
  await alarms.call('EnableAlarmActions', { AlarmNames: ['load'] });
  await alarms.record(10);
  await alarms.after(1);
  expect(subjects()).toEqual(['OK: "load" in us-east-1']);
});

test('an alarm that is put again keeps its state, and is judged by what it is now', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load'));
  await alarms.record(90);
  await alarms.after(1);
  await alarms.call('PutMetricAlarm', loadAlarm('load', { Threshold: 95 }));
  expect(await alarms.state('load')).toBe('ALARM');
  await alarms.after(0);
  expect(await alarms.state('load')).toBe('OK');
});

test('an expression is watched', async () => {
  await alarms.call('PutMetricAlarm', {
    AlarmName: 'math',
    EvaluationPeriods: 1,
    Threshold: 100,
    ComparisonOperator: 'GreaterThanThreshold',
    Metrics: [
      {
        Id: 'load',
        MetricStat: { Metric: { Namespace: 'Shop', MetricName: 'load' }, Period: 1, Stat: 'Maximum' },
        ReturnData: false,
      },
      { Id: 'twice', Expression: 'load * 2' },
    ],
  });
  await alarms.record(60);
  await alarms.after(1);
  expect(await alarms.state('math')).toBe('ALARM');
});

test('a percentile of few samples changes nothing when the alarm says so', async () => {
  const percentile = { Statistic: undefined, ExtendedStatistic: 'p99' };
  await alarms.call('PutMetricAlarm', loadAlarm('takes', percentile));
  await alarms.call(
    'PutMetricAlarm',
    loadAlarm('ignores', { ...percentile, EvaluateLowSampleCountPercentile: 'ignore' }),
  );
  await alarms.record(90);
  await alarms.after(1);
  expect([await alarms.state('takes'), await alarms.state('ignores')]).toEqual([
    'ALARM',
    'INSUFFICIENT_DATA',
  ]);
});

test('composite alarms follow those they name, through several levels in one pass', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { AlarmActions: [] }));
  await alarms.call('PutMetricAlarm', loadAlarm('other', { MetricName: 'none', AlarmActions: [] }));
  await alarms.call('PutCompositeAlarm', {
    AlarmName: 'any',
    AlarmRule: `ALARM(load) OR ALARM("${alarmArnOf('other')}")`,
  });
  await alarms.call('PutCompositeAlarm', {
    AlarmName: 'above',
    AlarmRule: 'ALARM(any) AND NOT OK(other)',
    AlarmActions: [topic('ops')],
  });
  await alarms.after(0);
  expect(await alarms.state('above')).toBe('OK');
  await alarms.record(90);
  await alarms.after(1);
  expect([await alarms.state('any'), await alarms.state('above')]).toEqual(['ALARM', 'ALARM']);
  expect(subjects()).toEqual(['ALARM: "above" in us-east-1']);
});

test('a suppressor holds actions back, and what still holds when it ends is told then', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load', { AlarmActions: [] }));
  await alarms.call('PutMetricAlarm', loadAlarm('maintenance', { MetricName: 'none', AlarmActions: [] }));
  await alarms.call('PutCompositeAlarm', {
    AlarmName: 'page',
    AlarmRule: 'ALARM(load)',
    AlarmActions: [topic('ops')],
    OKActions: [topic('ops')],
    ActionsSuppressor: 'maintenance',
    ActionsSuppressorWaitPeriod: 10,
    ActionsSuppressorExtensionPeriod: 30,
  });
  const maintenance = (StateValue: 'ALARM' | 'OK') =>
    alarms.call('SetAlarmState', { AlarmName: 'maintenance', StateValue, StateReason: 'window' });
  await alarms.call(
    'PutMetricAlarm',
    loadAlarm('maintenance', { MetricName: 'none', AlarmActions: [], TreatMissingData: 'ignore' }),
  );
  await alarms.after(60);
  alarms.published.length = 0;
  await maintenance('ALARM');
  await alarms.record(90);
  await alarms.after(1);
  expect([await alarms.state('page'), subjects()]).toEqual(['ALARM', []]);
  const types = { AlarmTypes: ['CompositeAlarm' as const] };
  expect((await alarms.call('DescribeAlarms', types)).CompositeAlarms).toMatchObject([
    { ActionsSuppressedBy: 'Alarm' },
  ]);
  await alarms.record(10);
  await alarms.after(1);
  await alarms.record(90);
  await alarms.after(1);
  await maintenance('OK');
  await alarms.record(90);
  await alarms.after(1);
  expect(subjects()).toEqual([]);
  alarms.restart();
  for (let second = 0; second < 31; second += 1) {
    await alarms.record(90);
    await alarms.after(1);
  }
  expect(subjects()).toEqual(['ALARM: "page" in us-east-1']);
});

test('an alarm that is deleted or changed while it is judged is not moved', async () => {
  await alarms.call('PutMetricAlarm', loadAlarm('load'));
  await alarms.record(90);
  const read = alarms.metrics.read;
  alarms.metrics.read = async (query) => {
    alarms.metrics.read = read;
    const points = await read(query);
    await alarms.call('DeleteAlarms', { AlarmNames: ['load'] });
    return points;
  };
  await alarms.after(1);
  expect([await alarms.history('load'), subjects()]).toEqual([
    ['Alarm "load" created', 'Alarm "load" deleted'],
    [],
  ]);
});

test('history is bounded by alarm and by age', async () => {
  const item = { kind: 'metric', type: 'StateUpdate', summary: 's', data: '{}' } as const;
  const day = 24 * 3_600_000;
  await alarms.database.transaction().execute(async (transaction) => {
    await recordHistory(transaction, { ...item, alarm: 'old', atMs: 0 });
    for (let count = 0; count < mostHistoryOfAlarm + 5; count += 1) {
      await recordHistory(transaction, { ...item, alarm: 'busy', atMs: 31 * day + count });
    }
    await recordHistory(transaction, { ...item, alarm: 'quiet', atMs: 31 * day });
  });
  const of = async (alarm: string) =>
    (await readHistory(alarms.database, { alarm, kinds: ['metric'], isAscending: true, limit: 9_999 }))
      .length;
  expect([await of('old'), await of('busy'), await of('quiet')]).toEqual([0, mostHistoryOfAlarm, 1]);
});
