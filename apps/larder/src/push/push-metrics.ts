/**
 * Carries metrics from the service to CloudWatch, minute by minute as the service has them: whole minutes, each with its
 * statistic set. Where a request ended is written down after it, so that a push that is killed repeats one request at most.
 */
import {
  type CloudWatchClient,
  GetMetricDataCommand,
  type Metric,
  type MetricDatum,
  PutMetricDataCommand,
  paginateListMetrics,
} from '@aws-sdk/client-cloudwatch';
import { groupMetrics, nodeMetrics } from '@larder/metrics/elasticache/catalogue';
import { elastiCacheNamespace, type Unit } from '@larder/metrics/metric';
import { batchesOf } from './batches.ts';
import type { PositionFile } from './position.ts';

export interface PushOptions {
  /** The service's own CloudWatch. */
  readonly source: CloudWatchClient;
  readonly target: CloudWatchClient;
  readonly fromNamespace: string;
  readonly namespace: string;
  readonly position: PositionFile;
  readonly nowMs: () => number;
  /** Waits between two requests to the target. */
  readonly pause: () => Promise<void>;
}

export interface Pushed {
  readonly data: number;
  readonly requests: number;
  /** Up to where. */
  readonly untilMs: number;
}

const minuteMs = 60_000;
/** GetMetricData does not tell units. */
const unitOf: ReadonlyMap<string, Unit> = new Map(
  [...nodeMetrics('valkey'), ...nodeMetrics('memcached'), ...groupMetrics].map(({ name, unit }) => [
    name,
    unit,
  ]),
);
/** Minutes come in late by that at most. */
const settleMs = 90_000;
/** CloudWatch takes nothing older than two weeks. */
const oldestMs = 14 * 24 * 3_600_000 - 3_600_000;
const longestWindowMs = 60 * minuteMs;
const statistics = ['SampleCount', 'Sum', 'Minimum', 'Maximum'] as const;
/** Of a GetMetricData request. */
const metricsOfQuery = 500 / statistics.length;

/** Pushes everything that is whole by now. @param firstMs where a first push begins. */
export async function pushMetrics(options: PushOptions, firstMs: number): Promise<Pushed> {
  const { nowMs, position } = options;
  let at = (await position.read()) ?? { startMs: firstMs };
  const floor = (ms: number) => ms - (ms % minuteMs);
  at = { ...at, startMs: Math.max(floor(at.startMs), floor(nowMs() - oldestMs)) };
  const endMs = floor(nowMs() - settleMs);
  let data = 0;
  let requests = 0;
  while (at.startMs < endMs) {
    // One that was cut off is gone on with as it was: what is in its requests must be the same.
    const until = at.window?.endMs ?? Math.min(endMs, at.startMs + longestWindowMs);
    const sent = at.window?.sent ?? 0;
    const batches = batchesOf(await readWindow(options, at.startMs, until));
    for (const [index, batch] of batches.entries()) {
      if (index < sent) continue;
      if (requests > 0) await options.pause();
      await options.target.send(
        new PutMetricDataCommand({ Namespace: options.namespace, MetricData: batch }),
      );
      requests += 1;
      data += batch.length;
      await position.write({ startMs: at.startMs, window: { endMs: until, sent: index + 1 } });
    }
    at = { startMs: until };
    await position.write(at);
  }
  return { data, requests, untilMs: at.startMs };
}

/** In the order of the metrics' names and dimensions. */
async function readWindow(
  { source, fromNamespace }: PushOptions,
  startMs: number,
  endMs: number,
): Promise<MetricDatum[]> {
  const metrics: Metric[] = [];
  for await (const page of paginateListMetrics({ client: source }, { Namespace: fromNamespace })) {
    metrics.push(...(page.Metrics ?? []).filter((metric) => !isOfClusterAlone(metric)));
  }
  const keyed = metrics.map((metric) => ({
    metric,
    key: JSON.stringify([metric.MetricName, metric.Dimensions]),
  }));
  const sorted = keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ metric }) => metric);
  const data: MetricDatum[] = [];
  for (let from = 0; from < sorted.length; from += metricsOfQuery) {
    data.push(...(await readMetrics(source, sorted.slice(from, from + metricsOfQuery), startMs, endMs)));
  }
  return data;
}

/** The same data as by cluster and node: pushed once, CloudWatch's own SEARCH and SUM add them up. */
function isOfClusterAlone({ Dimensions: dimensions = [] }: Metric): boolean {
  return dimensions.length === 1 && dimensions[0]!.Name === 'CacheClusterId';
}

async function readMetrics(
  source: CloudWatchClient,
  metrics: readonly Metric[],
  startMs: number,
  endMs: number,
): Promise<MetricDatum[]> {
  const values = new Map<string, Map<number, number>>();
  let token: string | undefined;
  do {
    const answer = await source.send(
      new GetMetricDataCommand({
        StartTime: new Date(startMs),
        EndTime: new Date(endMs),
        ScanBy: 'TimestampAscending',
        NextToken: token,
        MetricDataQueries: metrics.flatMap((metric, index) =>
          statistics.map((stat) => ({
            Id: `${stat.toLowerCase()}_${index}`,
            MetricStat: { Metric: metric, Period: minuteMs / 1_000, Stat: stat },
          })),
        ),
      }),
    );
    for (const { Id: id, Timestamps: times = [], Values: found = [] } of answer.MetricDataResults ?? []) {
      const known = values.get(id!) ?? new Map<number, number>();
      values.set(id!, known);
      for (const [index, time] of times.entries()) known.set(time.getTime(), found[index]!);
    }
    token = answer.NextToken;
  } while (token !== undefined);
  const statisticOf = (stat: (typeof statistics)[number], index: number, time: number) =>
    values.get(`${stat.toLowerCase()}_${index}`)!.get(time)!;
  return metrics.flatMap((metric, index) =>
    [...(values.get(`samplecount_${index}`)?.keys() ?? [])].map((time) => ({
      MetricName: metric.MetricName,
      Dimensions: metric.Dimensions,
      Timestamp: new Date(time),
      Unit: metric.Namespace === elastiCacheNamespace ? unitOf.get(metric.MetricName!) : undefined,
      StatisticValues: {
        SampleCount: statisticOf('SampleCount', index, time),
        Sum: statisticOf('Sum', index, time),
        Minimum: statisticOf('Minimum', index, time),
        Maximum: statisticOf('Maximum', index, time),
      },
    })),
  );
}
