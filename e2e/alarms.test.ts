/**
 * The promise: an alarm with periods of a second tells a topic within seconds; a kill of the service loses no transition,
 * makes none twice, and what arrives twice has one id.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CloudWatchClient,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
} from '@aws-sdk/client-cloudwatch';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGroup, deleteGroup, groupAvailable, groupGone } from '../testing/elasticache-requests.ts';
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { chosenSeed, randomFrom } from '../testing/seed.ts';
import { waitFor } from '../testing/wait-for.ts';
import { type WebhookReceiver, webhookReceiver } from '../testing/webhook-receiver.ts';

const clients = redisClients();
let larder: TestLarder;
let receiver: WebhookReceiver;
let topicArn: string;

beforeAll(async () => {
  larder = await startLarder({ flags: ['--webhooks-to-loopback'] });
  receiver = await webhookReceiver();
  const sns = new SNSClient(clientOptions());
  topicArn = (await sns.send(new CreateTopicCommand({ Name: 'ops' }))).TopicArn!;
  await sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'http', Endpoint: receiver.url }));
});

afterAll(async () => {
  clients.close();
  receiver?.close();
  await larder?.remove();
});

function clientOptions() {
  const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
  return { endpoint, region, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 };
}

/** A restarted service has another port. */
const cloudWatch = () => new CloudWatchClient(clientOptions());

const put = (MetricName: string, Value: number) =>
  cloudWatch().send(
    new PutMetricDataCommand({
      Namespace: 'Shop',
      MetricData: [{ MetricName, Value, StorageResolution: 1 }],
    }),
  );

const putAlarm = (AlarmName: string) =>
  cloudWatch().send(
    new PutMetricAlarmCommand({
      ...{ AlarmName, Namespace: 'Shop', MetricName: AlarmName, Statistic: 'Maximum', Period: 1 },
      ...{ EvaluationPeriods: 1, Threshold: 80, ComparisonOperator: 'GreaterThanThreshold' },
      ...{ TreatMissingData: 'ignore', AlarmActions: [topicArn], OKActions: [topicArn] },
    }),
  );

async function stateOf(name: string): Promise<string | undefined> {
  const { MetricAlarms } = await cloudWatch().send(new DescribeAlarmsCommand({ AlarmNames: [name] }));
  return MetricAlarms?.[0]?.StateValue;
}

async function transitionsOf(name: string): Promise<string[]> {
  const { AlarmHistoryItems = [] } = await cloudWatch().send(
    new DescribeAlarmHistoryCommand({
      ...{ AlarmName: name, HistoryItemType: 'StateUpdate', ScanBy: 'TimestampAscending' },
    }),
  );
  return AlarmHistoryItems.map(({ HistorySummary = '' }) =>
    HistorySummary.replace('Alarm updated from ', ''),
  );
}

/** Of each message about the alarm: its id, and the state that it tells. */
function toldOf(name: string): { id: string; state: string }[] {
  return receiver.received.flatMap(({ headers, body }) => {
    const message = JSON.parse((JSON.parse(body) as { Message: string }).Message) as Record<string, string>;
    if (message.AlarmName !== name) return [];
    return [{ id: String(headers['webhook-id']), state: message.NewStateValue! }];
  });
}

test('what passes its threshold is told', async () => {
  await putAlarm('load');
  await put('load', 40);
  await waitFor(
    () => stateOf('load'),
    (state) => state === 'OK',
    { what: 'the alarm to be OK' },
  );
  await put('load', 95);
  const told = await waitFor(
    () => toldOf('load'),
    (seen) => seen.some(({ state }) => state === 'ALARM'),
    { what: 'the alarm to be told' },
  );
  expect(told.map(({ state }) => state)).toEqual(['OK', 'ALARM']);
  expect(await transitionsOf('load')).toEqual(['INSUFFICIENT_DATA to OK', 'OK to ALARM']);
});

test('killed at any moment, the service makes each transition once and tells it under one id', async () => {
  const random = randomFrom(chosenSeed('alarms'));
  await putAlarm('killed');
  await put('killed', 10);
  await waitFor(
    () => stateOf('killed'),
    (state) => state === 'OK',
    { what: 'the alarm to be OK' },
  );
  const expected = ['INSUFFICIENT_DATA to OK'];
  for (const [value, wanted] of [
    [95, 'ALARM'],
    [10, 'OK'],
    [96, 'ALARM'],
  ] as const) {
    await put('killed', value);
    // Anywhere between the value and the message.
    await sleep(random() * 1_800);
    await larder.restart();
    await waitFor(
      async () => {
        // As what measures does: periods that were over long before the service came back are not looked at.
        await put('killed', value);
        return stateOf('killed');
      },
      (state) => state === wanted,
      { what: `the alarm to be ${wanted}` },
    );
    expected.push(wanted === 'ALARM' ? 'OK to ALARM' : 'ALARM to OK');
  }
  await waitFor(
    () => new Set(toldOf('killed').map(({ id }) => id)).size,
    (count) => count >= expected.length,
    { what: 'every transition to be told' },
  );
  expect(await transitionsOf('killed')).toEqual(expected);
  const byId = new Map(toldOf('killed').map(({ id, state }) => [id, state]));
  expect([...byId.values()].sort()).toEqual(expected.map((each) => each.split(' ').at(-1)).sort());
});

test('memory of a real group passes a threshold; the service is killed in between', async () => {
  await createGroup(larder, 'full', { NumCacheClusters: 1 });
  const { NodeGroups } = await groupAvailable(larder, 'full');
  const primary = clients.to(NodeGroups![0]!.PrimaryEndpoint!);
  await cloudWatch().send(
    new PutMetricAlarmCommand({
      ...{ AlarmName: 'memory', Namespace: 'AWS/ElastiCache', MetricName: 'DatabaseMemoryUsagePercentage' },
      Dimensions: [
        { Name: 'CacheClusterId', Value: 'full-001' },
        { Name: 'CacheNodeId', Value: '0001' },
      ],
      ...{ Statistic: 'Maximum', Period: 1, EvaluationPeriods: 1, Threshold: 5, TreatMissingData: 'ignore' },
      ...{ ComparisonOperator: 'GreaterThanThreshold', AlarmActions: [topicArn] },
    }),
  );
  await waitFor(
    () => stateOf('memory'),
    (state) => state === 'OK',
    { what: 'the alarm to be OK' },
  );
  for (let index = 0; index < 40; index += 1) await primary.set(`filler:${index}`, 'x'.repeat(1024 * 1024));
  await larder.restart();
  await waitFor(
    () => stateOf('memory'),
    (state) => state === 'ALARM',
    { what: 'the alarm to go off' },
  );
  await larder.restart();
  await waitFor(
    () => toldOf('memory').length,
    (count) => count > 0,
    { what: 'it to be told' },
  );
  expect([await stateOf('memory'), await transitionsOf('memory')]).toEqual([
    'ALARM',
    ['INSUFFICIENT_DATA to OK', 'OK to ALARM'],
  ]);
  expect(new Set(toldOf('memory').map(({ id }) => id)).size).toBe(1);
  await deleteGroup(larder, 'full');
  await groupGone(larder, 'full');
});

test('the recommended alarms of a cache are made by one command, and go with it', async () => {
  const alarms = async (...args: string[]) => {
    const place = ['--data-dir', larder.dataDirectory, '--json'];
    const { code, stdout, stderr } = await larderCommand(['alarms', ...args, ...place]);
    return { code, stderr, answer: stdout === '' ? undefined : JSON.parse(stdout) };
  };
  expect(await alarms('recommend', 'shop')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no replication group and no cache cluster shop'),
  });
  await createGroup(larder, 'shop', { NumCacheClusters: 2 });
  const { answer } = await alarms('recommend', 'Shop', '--topic', topicArn);
  expect(answer).toHaveLength(12);
  expect(answer).toContain('shop-001-DatabaseMemoryUsagePercentage');
  const here = async () =>
    (await alarms('ls')).answer.filter(({ name }: { name: string }) => name.startsWith('shop-'));
  expect(await here()).toHaveLength(12);
  await groupAvailable(larder, 'shop');
  await deleteGroup(larder, 'shop');
  await groupGone(larder, 'shop');
  await waitFor(here, (left) => left.length === 0, { what: 'its alarms to be gone' });
});

test('with one flag every cache has them', async () => {
  const second = await startLarder({ flags: ['--recommended-alarms', 'none'] });
  try {
    await createGroup(second, 'any', { NumCacheClusters: 1 });
    const names = async () => {
      const { stdout } = await larderCommand(['alarms', 'ls', '--data-dir', second.dataDirectory, '--json']);
      return (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
    };
    const found = await waitFor(names, (seen) => seen.length > 0, { what: 'the alarms' });
    expect(found).toContain('any-001-EngineCPUUtilization');
  } finally {
    await second.remove();
  }
  const wrong = await larderCommand(['server', '--recommended-alarms', 'ops']);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("must be a topic's ARN")]);
});
