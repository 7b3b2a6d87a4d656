/** From a fault to the message about it: a node's memory passes an alarm's threshold, and a webhook hears of it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchClient, DescribeAlarmsCommand, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { Redis } from 'ioredis';
import { createGroup, groupAvailable } from '../../testing/elasticache-requests.ts';
import { startLarder } from '../../testing/larder.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { type JudgedBar, judge } from '../bar.ts';
import { seededRandom } from '../seeded-random.ts';

const limitMs = 3_000;
const rounds = 10;
const thresholdPercent = 10;
const mebibyte = Buffer.alloc(2 ** 20, 1);
const fillMebibytes = 60;

export async function measureNotification(seed: number): Promise<JudgedBar> {
  const random = seededRandom(seed);
  const larder = await startLarder({ flags: ['--webhooks-to-loopback'] });
  let heard: (state: string) => void = () => {};
  const receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.end();
    const { Message } = JSON.parse(Buffer.concat(chunks).toString()) as { Message: string };
    heard((JSON.parse(Message) as { NewStateValue?: string }).NewStateValue ?? '');
  });
  try {
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const { port } = receiver.address() as AddressInfo;
    const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
    const options = { endpoint, region, credentials: { accessKeyId, secretAccessKey } };
    const sns = new SNSClient(options);
    const cloudWatch = new CloudWatchClient(options);
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'bench' }));
    await sns.send(
      new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: `http://127.0.0.1:${port}/` }),
    );
    await createGroup(larder, 'full', { NumCacheClusters: 1 });
    const group = await groupAvailable(larder, 'full');
    const { Address, Port } = group.NodeGroups![0]!.PrimaryEndpoint!;
    const client = new Redis({ host: Address!, port: Port! });
    await cloudWatch.send(
      new PutMetricAlarmCommand({
        AlarmName: 'memory',
        Namespace: 'AWS/ElastiCache',
        MetricName: 'DatabaseMemoryUsagePercentage',
        Dimensions: [
          { Name: 'CacheClusterId', Value: 'full-001' },
          { Name: 'CacheNodeId', Value: '0001' },
        ],
        Statistic: 'Maximum',
        Period: 1,
        EvaluationPeriods: 1,
        Threshold: thresholdPercent,
        ComparisonOperator: 'GreaterThanThreshold',
        AlarmActions: [TopicArn!],
      }),
    );
    const calm = () =>
      waitFor(
        () => cloudWatch.send(new DescribeAlarmsCommand({ AlarmNames: ['memory'] })),
        ({ MetricAlarms }) => MetricAlarms?.[0]?.StateValue === 'OK',
        { what: 'the alarm to be OK' },
      );
    const values: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await calm();
      // At any moment of a second.
      await sleep(1_000 + random() * 1_000);
      const told = new Promise<number>((resolve) => {
        heard = (state) => {
          if (state === 'ALARM') resolve(performance.now());
        };
      });
      for (let index = 0; index < fillMebibytes; index += 1) await client.set(`fill:${index}`, mebibyte);
      const passedMs = performance.now();
      values.push((await told) - passedMs);
      await client.flushall();
    }
    client.disconnect();
    sns.destroy();
    cloudWatch.destroy();
    return judge({
      name: `from memory above its threshold to the message, alarm by the second, the slowest of ${rounds}`,
      better: 'lower',
      limit: limitMs,
      unit: 'ms',
      values: [Math.max(...values)],
    });
  } finally {
    receiver.closeAllConnections();
    receiver.close();
    await larder.remove();
  }
}
