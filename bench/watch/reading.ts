/** How soon GetMetricData answers for a day of many metrics, over the wire of a service that has them. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CloudWatchClient, GetMetricDataCommand, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import { startLarder } from '../../testing/larder.ts';
import { type JudgedBar, judge } from '../bar.ts';

const limitMs = 200;
const metrics = 20;
const times = 30;
const warmUp = 5;
const dayMs = 86_400_000;

/** @param file of `writeDay`. */
export async function measureReading(file: string, nodes: number, endMs: number): Promise<JudgedBar> {
  const larder = await startLarder({
    prepare: (dataDirectory) => copyFile(file, join(dataDirectory, 'metrics.db')),
  });
  try {
    const { endpoint, region, accessKeyId, secretAccessKey } = larder.access;
    const client = new CloudWatchClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
    const dimensions = (index: number) => [
      { Name: 'CacheClusterId', Value: `busy-${index % nodes}` },
      { Name: 'CacheNodeId', Value: '0001' },
    ];
    const { Metrics = [] } = await client.send(new ListMetricsCommand({ Dimensions: dimensions(0) }));
    const names = Metrics.map(({ MetricName }) => MetricName!);
    const values: number[] = [];
    for (let run = 0; run < times; run += 1) {
      const command = new GetMetricDataCommand({
        StartTime: new Date(endMs - dayMs),
        EndTime: new Date(endMs),
        MetricDataQueries: Array.from({ length: metrics }, (_, index) => ({
          Id: `m${index}`,
          MetricStat: {
            Metric: {
              Namespace: 'AWS/ElastiCache',
              MetricName: names[(run * 7 + index * 3) % names.length]!,
              Dimensions: dimensions(run + index),
            },
            Period: 60,
            Stat: 'Average',
          },
        })),
      });
      const begunMs = performance.now();
      const { MetricDataResults = [] } = await client.send(command);
      const tookMs = performance.now() - begunMs;
      const points = MetricDataResults.reduce((sum, each) => sum + (each.Values?.length ?? 0), 0);
      if (points < (metrics / 2) * 1_000) throw new Error(`Only ${points} points were answered.`);
      if (run >= warmUp) values.push(tookMs);
    }
    client.destroy();
    return judge({
      name: `GetMetricData of ${metrics} metrics over 24 h by the minute, from request to its answer read by the SDK`,
      better: 'lower',
      limit: limitMs,
      unit: 'ms',
      values,
    });
  } finally {
    await larder.remove();
  }
}
