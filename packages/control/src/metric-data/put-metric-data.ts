/** PutMetricData. */
import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import type { ServiceError } from '@larder/contract/errors';
import { joinNeighbours } from '@larder/metrics/merge-summaries';
import type { Metric, Unit } from '@larder/metrics/metric';
import { metricKey } from '@larder/metrics/metric';
import type { RecordedData } from '@larder/metrics/metric-store';
import type { Datum, Summary, ValueCount } from '@larder/metrics/summary';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import type { MetricDataContext } from './metric-data.ts';
import { missing, readDimensions, readMetricName, readNamespace, readUnit } from './read-metric.ts';

type WireDatum = NonNullable<CloudWatchInput<'PutMetricData'>['MetricData']>[number];

export const mostMetrics = 1_000;
export const mostValuesOfMetric = 150;
const largest = 2 ** 360;
const oldestMs = 14 * 24 * 3_600_000;
const newestMs = 2 * 3_600_000;

/**
 * Resolves when the data are kept: a kill of the service loses none of them.
 * @throws ServiceError InvalidParameterValue, InvalidParameterCombination, MissingParameter, Throttling, LimitExceeded
 */
export async function putMetricData(
  { metrics, limits, nowMs }: MetricDataContext,
  input: CloudWatchInput<'PutMetricData'>,
): Promise<CloudWatchOutput<'PutMetricData'>> {
  const namespace = readNamespace(input.Namespace);
  if (/^aws\//i.test(namespace)) {
    throw invalidValue('Namespaces that begin with AWS/ are reserved for metrics that the service makes.');
  }
  if (input.EntityMetricData !== undefined || input.StrictEntityValidation !== undefined) {
    throw invalidValue('Entities have no effect here; give the metrics in MetricData.');
  }
  const data = input.MetricData ?? [];
  if (data.length === 0) throw missing('MetricData');
  if (data.length > mostMetrics) {
    throw invalidValue(`A request can have up to ${mostMetrics} metrics; it has ${data.length}.`);
  }
  const now = nowMs();
  const recorded = joined(
    data.map((datum, index) => readDatum(namespace, datum, `MetricData.member.${index + 1}.`, now)),
  );
  const dataCount = data.reduce((count, { Values }) => count + (Values?.length ?? 1), 0);
  await limits.within({ metrics: recorded.map(({ metric }) => metric), dataCount }, () =>
    metrics.record(recorded),
  );
  return {};
}

function readDatum(namespace: string, datum: WireDatum, path: string, now: number): RecordedData {
  const metric: Metric = {
    namespace,
    name: readMetricName(datum.MetricName, path),
    dimensions: readDimensions(datum.Dimensions ?? [], path),
  };
  const unit: Unit = readUnit(datum.Unit, `${path}Unit`) ?? 'None';
  const resolution = datum.StorageResolution ?? 60;
  if (resolution !== 1 && resolution !== 60) {
    throw invalidValue(`The parameter ${path}StorageResolution must be 1 or 60; it is ${resolution}.`);
  }
  const atMs = datum.Timestamp?.getTime() ?? now;
  if (atMs < now - oldestMs || atMs > now + newestMs) {
    throw invalidValue(
      `The parameter ${path}Timestamp must be from two weeks back to two hours ahead; it is ${new Date(atMs).toISOString()}.`,
    );
  }
  const at: Datum = { atMs, summary: readSummary(datum, path) };
  return { metric, unit, resolutionSeconds: resolution, data: [at] };
}

function readSummary(datum: WireDatum, path: string): Summary {
  const { Value, Values, Counts, StatisticValues } = datum;
  const given = [Value, Values, StatisticValues].filter((each) => each !== undefined).length;
  if (given > 1) {
    throw invalidCombination(
      `The parameters ${path}Value, ${path}Values and ${path}StatisticValues exclude each other.`,
    );
  }
  if (Counts !== undefined && Values === undefined) throw missing(`${path}Values`);
  if (Value !== undefined) return summaryOfCounts([[finite(Value, `${path}Value`), 1]]);
  if (Values !== undefined) return readValues(Values, Counts, path);
  if (StatisticValues === undefined) throw missing(`${path}Value`);
  return readStatisticSet(StatisticValues, `${path}StatisticValues.`);
}

function readValues(values: readonly number[], counts: readonly number[] | undefined, path: string): Summary {
  if (values.length === 0 || values.length > mostValuesOfMetric) {
    throw invalidValue(
      `The parameter ${path}Values must have 1 to ${mostValuesOfMetric} values; it has ${values.length}.`,
    );
  }
  if (counts !== undefined && counts.length !== values.length) {
    throw invalidValue(`The parameters ${path}Values and ${path}Counts must have the same number of items.`);
  }
  const pairs = values.map((value, index): ValueCount => {
    const count = finite(counts?.[index] ?? 1, `${path}Counts`);
    if (count < 0) throw invalidValue(`The parameter ${path}Counts must not be negative.`);
    return [finite(value, `${path}Values`), count];
  });
  const counted = pairs.filter(([, count]) => count > 0);
  if (counted.length === 0) throw invalidValue(`The parameter ${path}Counts must have one that is not 0.`);
  return summaryOfCounts(counted);
}

function summaryOfCounts(pairs: readonly ValueCount[]): Summary {
  const counts = new Map<number, number>();
  for (const [value, count] of pairs) counts.set(value, (counts.get(value) ?? 0) + count);
  const values = [...counts].sort(([a], [b]) => a - b);
  return {
    sampleCount: values.reduce((total, [, count]) => total + count, 0),
    sum: values.reduce((total, [value, count]) => total + value * count, 0),
    minimum: values[0]![0],
    maximum: values.at(-1)![0],
    values: joinNeighbours(values),
  };
}

function readStatisticSet(set: NonNullable<WireDatum['StatisticValues']>, path: string): Summary {
  const [sampleCount, sum, minimum, maximum] = (['SampleCount', 'Sum', 'Minimum', 'Maximum'] as const).map(
    (name) => {
      const value = set[name];
      if (value === undefined) throw missing(`${path}${name}`);
      return finite(value, `${path}${name}`);
    },
  ) as [number, number, number, number];
  if (sampleCount <= 0) throw invalidValue(`The parameter ${path}SampleCount must be more than 0.`);
  if (minimum > maximum) {
    throw invalidValue(`The parameter ${path}Minimum must not be more than ${path}Maximum.`);
  }
  return { sampleCount, sum, minimum, maximum };
}

function finite(value: number, parameter: string): number {
  if (Number.isFinite(value) && Math.abs(value) <= largest) return value;
  throw tooLarge(parameter, value);
}

function tooLarge(parameter: string, value: number): ServiceError {
  return invalidValue(`The parameter ${parameter} must be a number from -2^360 to 2^360; it is ${value}.`);
}

/** What is of one metric, in one piece. */
function joined(data: readonly RecordedData[]): readonly RecordedData[] {
  const byMetric = new Map<string, RecordedData>();
  for (const each of data) {
    const key = JSON.stringify([metricKey(each.metric), each.unit, each.resolutionSeconds]);
    const before = byMetric.get(key);
    byMetric.set(key, before === undefined ? each : { ...each, data: [...before.data, ...each.data] });
  }
  return [...byMetric.values()];
}
