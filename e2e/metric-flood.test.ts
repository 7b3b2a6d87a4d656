/** The promise: a flood of data is throttled, ends in no error of the service, and leaves its memory bounded. */
import { readFileSync } from 'node:fs';
import { CloudWatchClient, ListMetricsCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeGroup, errorName } from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { signedSender } from '../testing/signed-request.ts';

const requests = 2_000;
const metricsOfRequest = 100;
/** Of a second flood: the first fills what may be filled. What Node keeps in reserve swings by tens of MiB. */
const growthLimitMiB = 100;

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

const residentMiB = () =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${larder.pid}/status`, 'utf8'))![1]) / 1_024;

test('who floods is told to wait, and others go on', async () => {
  const send = signedSender(larder.access, 50, 'monitoring');
  const put = async (round: number) => {
    const MetricData = Array.from({ length: metricsOfRequest }, (_, index) => ({
      MetricName: `metric-${round}-${index}`,
      Value: index,
    }));
    const { status, body } = await send({
      method: 'POST',
      path: '/',
      contentType: 'application/x-amz-json-1.0',
      target: 'GraniteServiceVersion20100801.PutMetricData',
      body: Buffer.from(JSON.stringify({ Namespace: 'Flood', MetricData })),
      signed: true,
    });
    return status === 200 ? 'taken' : `${status} ${(JSON.parse(body) as { __type: string }).__type}`;
  };
  const flood = (from: number) =>
    Promise.all(Array.from({ length: requests }, (_, round) => put(from + round)));
  const before = residentMiB();
  const outcomes = await flood(0);
  const filled = residentMiB();
  outcomes.push(...(await flood(requests)));
  const counts = new Map<string, number>();
  for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  console.log(Object.fromEntries(counts), `${[before, filled, residentMiB()].map(Math.round)} MiB`);
  expect([...counts.keys()].every((each) => /taken|Throttling|LimitExceeded/.test(each))).toBe(true);
  expect(counts.get('400 Throttling')).toBeGreaterThan(0);
  expect(counts.get('taken')).toBeGreaterThan(0);
  expect(residentMiB() - filled).toBeLessThan(growthLimitMiB);
  expect(await errorName(describeGroup(larder, 'nobody'))).toBe('ReplicationGroupNotFoundFault');

  // A client that waits as it is told gets through, and what was taken is there.
  const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
  const patient = new CloudWatchClient({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 10,
  });
  const MetricData = [{ MetricName: 'patient', Value: 1 }];
  await patient.send(new PutMetricDataCommand({ Namespace: 'Flood', MetricData })).catch((error: Error) => {
    // Unless the flood made as many metrics as there may be.
    expect(error.name).toBe('LimitExceededFault');
  });
  const { Metrics } = await patient.send(new ListMetricsCommand({ Namespace: 'Flood' }));
  expect(Metrics!.length).toBeGreaterThanOrEqual(metricsOfRequest);
  patient.destroy();
});
