/** The promise: metrics are carried to a CloudWatch as they are, each minute once, also when a push is cut off in between. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CloudWatchClient,
  GetMetricStatisticsCommand,
  PutMetricDataCommand,
} from '@aws-sdk/client-cloudwatch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';

const minuteMs = 60_000;
let source: TestLarder;
let target: TestLarder;
let nowMs: number;

beforeAll(async () => {
  source = await startLarder();
  target = await startLarder();
  nowMs = Date.now() - (Date.now() % minuteMs);
});
afterAll(async () => {
  await source?.remove();
  await target?.remove();
});

function cloudWatch({ access }: TestLarder): CloudWatchClient {
  const { endpoint, region, accessKeyId, secretAccessKey } = access;
  return new CloudWatchClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
}

const push = async (...flags: string[]) => {
  const { endpoint, region, accessKeyId, secretAccessKey } = target.access;
  return larderCommand(
    [
      ...[
        'metrics',
        'push',
        '--once',
        '--data-dir',
        source.dataDirectory,
        '--from',
        'Shop',
        '--namespace',
        'Copied',
      ],
      ...[
        '--endpoint-url',
        endpoint,
        '--region',
        region,
        '--since-minutes',
        '120',
        '--requests-per-second',
        '100',
      ],
      ...flags,
    ],
    { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
  );
};

async function put(names: readonly string[], minutesAgo: number, values: number[]): Promise<void> {
  const client = cloudWatch(source);
  for (let from = 0; from < names.length; from += 1_000) {
    await client.send(
      new PutMetricDataCommand({
        Namespace: 'Shop',
        MetricData: names.slice(from, from + 1_000).map((MetricName) => ({
          MetricName,
          Dimensions: [{ Name: 'Till', Value: '1' }],
          Timestamp: new Date(nowMs - minutesAgo * minuteMs),
          Values: values,
        })),
      }),
    );
  }
}

async function statistics(larder: TestLarder, Namespace: string, MetricName: string) {
  const { Datapoints } = await cloudWatch(larder).send(
    new GetMetricStatisticsCommand({
      Namespace,
      MetricName,
      Dimensions: [{ Name: 'Till', Value: '1' }],
      StartTime: new Date(nowMs - 180 * minuteMs),
      EndTime: new Date(nowMs),
      Period: 60,
      Statistics: ['SampleCount', 'Sum', 'Minimum', 'Maximum'],
    }),
  );
  return Datapoints!
    .map(({ Unit: _, ...point }) => point)
    .sort((a, b) => a.Timestamp!.getTime() - b.Timestamp!.getTime());
}

const names = Array.from({ length: 1_500 }, (_, index) => `m${String(index).padStart(4, '0')}`);
const positions = () => join(source.dataDirectory, 'metrics-push.json');

test('every minute is there as it was, and not twice after another push', async () => {
  await put(names, 30, [1, 2, 6]);
  await put(['m0000'], 29, [5]);
  const { code, stdout, stderr } = await push();
  expect([code, stderr.includes('larder:')]).toEqual([0, false]);
  expect(stdout).toContain('1501 data of minutes');
  expect(stdout).toContain('pushed in 2 requests');
  for (const name of ['m0000', 'm0777', 'm1499']) {
    const copied = await statistics(target, 'Copied', name);
    expect(copied).toEqual(await statistics(source, 'Shop', name));
    expect(copied[0]).toMatchObject({ SampleCount: 3, Sum: 9, Minimum: 1, Maximum: 6 });
  }
  expect((await push()).stdout).toContain('0 data');
  expect((await statistics(target, 'Copied', 'm0000')).map(({ SampleCount }) => SampleCount)).toEqual([3, 1]);
});

test('a push that was cut off goes on behind its last request', async () => {
  // As after a kill between the first request of a window and the second.
  const [[destination, { startMs }]] = Object.entries(
    JSON.parse(readFileSync(positions(), 'utf8')) as Record<string, { startMs: number }>,
  ) as [[string, { startMs: number }]];
  const from = nowMs - 40 * minuteMs;
  writeFileSync(
    positions(),
    JSON.stringify({ [destination]: { startMs: from, window: { endMs: nowMs - 20 * minuteMs, sent: 1 } } }),
  );
  const { code, stdout } = await push();
  expect(code).toBe(0);
  expect(stdout).toContain('pushed in 1 requests');
  const counts = async (name: string) =>
    (await statistics(target, 'Copied', name)).map(({ SampleCount }) => SampleCount);
  // Of the first request, and of the second, which was sent again.
  expect(await counts('m0000')).toEqual([3, 1]);
  expect(await counts('m1499')).toEqual([6]);
  expect(JSON.parse(readFileSync(positions(), 'utf8'))[destination].startMs).toBeGreaterThanOrEqual(startMs);
});

test('the wrong is told', async () => {
  expect((await push('--namespace', 'AWS/ElastiCache')).code).toBe(2);
  expect((await push('--requests-per-second', '0')).code).toBe(2);
});
