/** The promise: CloudWatch's own clients put and read metrics and set alarms with nothing but an endpoint. */
import { fileURLToPath } from 'node:url';
import {
  CloudWatchClient,
  DeleteAlarmsCommand,
  DescribeAlarmsCommand,
  GetMetricDataCommand,
  ListMetricsCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  ResourceNotFound,
  SetAlarmStateCommand,
  waitUntilAlarmExists,
} from '@aws-sdk/client-cloudwatch';
import { AwsQueryProtocol, AwsSmithyRpcV2CborProtocol } from '@aws-sdk/core/protocols';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AwsProgram, debianAwsCli, onPath } from '../../testing/aws-clients.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';

const script = fileURLToPath(new URL('cloudwatch-walk.py', import.meta.url));
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

test('boto3', async ({ skip }) => {
  const python = await onPath('python3', ['-c', 'import boto3; print(boto3.__version__)']);
  skip(python === undefined, 'there is no python3 with boto3 on PATH');
  const { code, stdout, stderr } = await python!.run(larder.access, [script]);
  expect([code, stderr]).toEqual([0, '']);
  const dimensions = [{ Name: 'shop', Value: 'boto' }];
  expect(JSON.parse(stdout)).toMatchObject({
    statistics: [[200, 199, 99, 'Count']],
    metrics: [['orders', dimensions]],
    math: [['Twice', [400]]],
    alarm: [
      'arn:aws:cloudwatch:us-east-1:000000000000:alarm:boto',
      'von boto3: ä',
      0.5,
      dimensions,
      ['arn:aws:sns:us-east-1:000000000000:ops'],
      true,
      true,
    ],
    tags: [{ Key: 'team', Value: 'shop' }],
    history: ['Alarm "boto" created', expect.stringMatching(/^Alarm updated from INSUFFICIENT_DATA to/)],
    dashboard: '{"widgets": []}',
    errors: [
      ['InvalidParameterValue', 400],
      ['ResourceNotFound', 404],
      ['ResourceNotFound', 404],
      ['ResourceConflict', 409],
      ['UnsupportedOperation', 400],
    ],
    byClass: expect.stringContaining('There is no alarm nobody'),
    left: [],
  });
});

describe.each([
  ['the aws command line on PATH', () => onPath('aws', ['--version'])],
  ["Debian's aws command line", () => debianAwsCli().catch(() => undefined)],
])('%s', (_, find) => {
  let cli: AwsProgram | undefined;
  beforeAll(async () => {
    cli = await find();
  });

  test('puts data, reads them, and sets alarms', async ({ skip }) => {
    skip(cli === undefined, 'it is not here');
    const aws = async (...args: string[]) => {
      const end = ['--endpoint-url', larder.access.endpoint, '--output', 'json'];
      const { code, stdout, stderr } = await cli!.run(larder.access, ['cloudwatch', ...args, ...end]);
      expect([args[0], code, stderr]).toEqual([args[0], 0, '']);
      return stdout === '' ? undefined : JSON.parse(stdout);
    };
    const metric = ['--namespace', 'Cli', '--metric-name', 'a', '--dimensions'];
    await aws('put-metric-data', ...metric, 'd=v', '--value', '4.5', '--unit', 'Seconds');
    const listed = await aws('list-metrics', '--namespace', 'Cli');
    expect(listed.Metrics).toEqual([
      { Namespace: 'Cli', MetricName: 'a', Dimensions: [{ Name: 'd', Value: 'v' }] },
    ]);
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    const soon = new Date(Date.now() + 60_000).toISOString();
    const time = ['--start-time', hourAgo, '--end-time', soon, '--period', '7200'];
    const read = await aws(
      'get-metric-statistics',
      ...metric,
      'Name=d,Value=v',
      ...time,
      '--statistics',
      'Average',
    );
    expect(read.Datapoints).toMatchObject([{ Average: 4.5, Unit: 'Seconds' }]);
    await aws(
      ...['put-metric-alarm', '--alarm-name', 'cli', ...metric, 'Name=d,Value=v', '--period', '60'],
      ...['--statistic', 'Maximum', '--evaluation-periods', '1', '--threshold', '4'],
      ...['--comparison-operator', 'GreaterThanThreshold'],
    );
    await aws('wait', 'alarm-exists', '--alarm-names', 'cli');
    const { MetricAlarms } = await aws('describe-alarms', '--alarm-name-prefix', 'cl');
    expect(MetricAlarms).toMatchObject([{ AlarmName: 'cli', Threshold: 4, Period: 60 }]);
    await aws('set-alarm-state', '--alarm-name', 'cli', '--state-value', 'OK', '--state-reason', 'by hand');
    const history = await aws(
      'describe-alarm-history',
      '--alarm-name',
      'cli',
      '--history-item-type',
      'StateUpdate',
    );
    expect(history.AlarmHistoryItems.length).toBeGreaterThanOrEqual(1);
    await aws('delete-alarms', '--alarm-names', 'cli');
  });
});

describe.each([
  ['JSON', {}],
  ['CBOR', { protocol: AwsSmithyRpcV2CborProtocol }],
  ['query', { protocol: AwsQueryProtocol }],
])('the JavaScript SDK with %s', (kind, protocol) => {
  test('puts data, reads them, and sets alarms', async () => {
    const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
    const credentials = { accessKeyId, secretAccessKey };
    const client = new CloudWatchClient({ ...protocol, endpoint, region, credentials, maxAttempts: 1 });
    const Namespace = `Sdk/${kind}`;
    const StartTime = new Date(Date.now() - 60_000);
    await client.send(
      new PutMetricDataCommand({
        Namespace,
        MetricData: [{ MetricName: 'a', Value: 1.25, Timestamp: StartTime, StorageResolution: 1 }],
      }),
    );
    const { Metrics } = await client.send(new ListMetricsCommand({ Namespace }));
    expect(Metrics).toEqual([{ Namespace, MetricName: 'a', Dimensions: [] }]);
    const { MetricDataResults } = await client.send(
      new GetMetricDataCommand({
        StartTime,
        EndTime: new Date(),
        MetricDataQueries: [
          { Id: 'a', MetricStat: { Metric: { Namespace, MetricName: 'a' }, Period: 1, Stat: 'p90' } },
        ],
      }),
    );
    const second = new Date(StartTime.getTime() - (StartTime.getTime() % 1000));
    expect(MetricDataResults).toMatchObject([{ Id: 'a', Values: [1.25], Timestamps: [second] }]);
    const AlarmName = `sdk-${kind}`;
    await client.send(
      new PutMetricAlarmCommand({
        ...{ AlarmName, Namespace, MetricName: 'a', Statistic: 'Sum', Period: 10 },
        ...{ EvaluationPeriods: 1, Threshold: 1e9, ComparisonOperator: 'GreaterThanThreshold' },
      }),
    );
    const found = await waitUntilAlarmExists({ client, maxWaitTime: 10 }, { AlarmNames: [AlarmName] });
    expect(found.state).toBe('SUCCESS');
    const { MetricAlarms } = await client.send(new DescribeAlarmsCommand({ AlarmNames: [AlarmName] }));
    expect(MetricAlarms).toMatchObject([{ AlarmName, Period: 10, Threshold: 1e9 }]);
    const unknown = { AlarmName: 'nobody', StateValue: 'OK' as const, StateReason: 'r' };
    const refused = await client.send(new SetAlarmStateCommand(unknown)).catch((error) => error);
    expect(refused).toBeInstanceOf(ResourceNotFound);
    await client.send(new DeleteAlarmsCommand({ AlarmNames: [AlarmName] }));
    client.destroy();
  });
});
