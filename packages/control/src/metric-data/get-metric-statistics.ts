/** GetMetricStatistics. */
import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import type { Point } from '@larder/metrics/metric-store';
import { firstPeriodMs, keptMs } from '@larder/metrics/periods';
import { readPoints } from '@larder/metrics/read-points';
import {
  type BasicStatistic,
  basicStatistics,
  parseStatistic,
  statisticOf,
} from '@larder/metrics/statistics';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import type { MetricDataContext } from './metric-data.ts';
import { missing, readMetric, readPeriod, readUnit } from './read-metric.ts';

export const mostDatapoints = 1_440;
const mostExtended = 10;

/** Points of every unit there is, when none is asked for. @throws ServiceError InvalidParameterValue, … */
export async function getMetricStatistics(
  { metrics, nowMs }: Pick<MetricDataContext, 'metrics' | 'nowMs'>,
  input: CloudWatchInput<'GetMetricStatistics'>,
): Promise<CloudWatchOutput<'GetMetricStatistics'>> {
  const metric = readMetric(input);
  const periodSeconds = readPeriod(input.Period, 'Period');
  const unit = readUnit(input.Unit, 'Unit');
  const basic = readBasic(input.Statistics ?? []);
  const extended = readExtended(input.ExtendedStatistics ?? []);
  if (basic.length + extended.length === 0) throw missing('Statistics');
  const now = nowMs();
  const startMs = firstPeriodMs(input.StartTime.getTime(), periodSeconds, now);
  const endMs = input.EndTime.getTime();
  if (input.StartTime.getTime() >= endMs) {
    throw invalidCombination('The parameter StartTime must be before EndTime.');
  }
  const count = Math.ceil((endMs - startMs) / (periodSeconds * 1000));
  if (count > mostDatapoints) {
    throw invalidCombination(
      `You have requested up to ${count} datapoints, which exceeds the limit of ${mostDatapoints}. Ask for a longer Period or less time.`,
    );
  }
  const points = await readPoints(metrics, { metric, unit, startMs, endMs, periodSeconds });
  const kept = points.filter((point) => point.startMs >= now - keptMs(periodSeconds));
  return { Label: metric.name, Datapoints: kept.map((point) => show(point, basic, extended)) };
}

function show(
  { startMs, unit, summary }: Point,
  basic: readonly BasicStatistic[],
  extended: ReturnType<typeof readExtended>,
): NonNullable<CloudWatchOutput<'GetMetricStatistics'>['Datapoints']>[number] {
  const values = extended.flatMap(({ text, statistic }) => {
    const value = statisticOf(summary, statistic);
    return value === undefined ? [] : [[text, value] as const];
  });
  return {
    Timestamp: new Date(startMs),
    Unit: unit,
    ...Object.fromEntries(basic.map((kind) => [kind, statisticOf(summary, { kind })])),
    ...(values.length > 0 && { ExtendedStatistics: Object.fromEntries(values) }),
  };
}

function readBasic(given: readonly string[]): readonly BasicStatistic[] {
  return [...new Set(given)].map((text) => {
    const known = basicStatistics.find((each) => each === text);
    if (known !== undefined) return known;
    throw invalidValue(
      `The parameter Statistics can hold ${basicStatistics.join(', ')}, not ${text.slice(0, 40)}; percentiles and trimmed statistics are ExtendedStatistics.`,
    );
  });
}

function readExtended(given: readonly string[]) {
  if (given.length > mostExtended) {
    throw invalidValue(`The parameter ExtendedStatistics can have up to ${mostExtended} items.`);
  }
  return [...new Set(given)].map((text) => {
    const statistic = parseStatistic(text);
    if (statistic !== undefined && !basicStatistics.some((each) => each === text)) return { text, statistic };
    throw invalidValue(
      `The parameter ExtendedStatistics can hold such as p99, tm90, TM(10%:90%) or PR(:300), not ${text.slice(0, 40)}.`,
    );
  });
}
