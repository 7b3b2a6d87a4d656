/** What a metric alarm is found to be in, by what the store has. */
import {
  type AlarmPoint,
  evaluateAlarm,
  evaluationRange,
  reasonOf,
  significantSamples,
} from '@larder/metrics/alarm/evaluate-alarm';
import { queryRunner } from '@larder/metrics/data-query';
import { MathError } from '@larder/metrics/math/math-error';
import type { MetricReader } from '@larder/metrics/metric-store';
import { floorTo } from '@larder/metrics/periods';
import { ofOneUnit, readPoints } from '@larder/metrics/read-points';
import { statisticOf } from '@larder/metrics/statistics';
import type { MetricAlarm } from './alarm.ts';
import type { MetricAlarmSettings, MetricSource } from './read-alarm.ts';
import type { Transition } from './transition.ts';

export interface Judgement {
  readonly after: Transition;
  /** Whether the last period had a value: otherwise it may be late. */
  readonly isComplete: boolean;
}

/** How long a period is waited for after its end: what was measured in it is on its way. */
const longestGraceMs = 2_000;

/** The end of the last period that is over. */
export function lastPeriodEndMs(periodSeconds: number, nowMs: number): number {
  const periodMs = periodSeconds * 1000;
  return floorTo(nowMs - Math.min(longestGraceMs, periodMs / 4), periodMs);
}

/** Reads the periods up to `endMs` and judges them: the state that the alarm is to be in, which may be its own. */
export async function judge(
  reader: MetricReader,
  alarm: MetricAlarm,
  settings: MetricAlarmSettings,
  { endMs, nowMs }: { readonly endMs: number; readonly nowMs: number },
): Promise<Judgement> {
  const { rule, periodSeconds } = settings;
  const periodMs = periodSeconds * 1000;
  const range = { startMs: endMs - evaluationRange(rule.evaluationPeriods) * periodMs, endMs };
  let points: ReadonlyMap<number, AlarmPoint>;
  try {
    points = await pointsOf(reader, settings, range, nowMs);
  } catch (error) {
    if (!(error instanceof MathError)) throw error;
    const reason = `Evaluation error: ${error.message}`;
    return { after: { state: 'INSUFFICIENT_DATA', reason, atMs: nowMs }, isComplete: true };
  }
  const looked = Array.from({ length: evaluationRange(rule.evaluationPeriods) }, (_, index) =>
    points.get(range.startMs + index * periodMs),
  );
  const verdict = evaluateAlarm(rule, looked, alarm.state);
  const after: Transition = {
    state: verdict.state,
    reason: reasonOf(rule, verdict),
    reasonData: JSON.stringify({
      version: '1.0',
      queryDate: new Date(nowMs).toISOString(),
      ...(verdict.by.length > 0 && { startDate: new Date(verdict.by.at(-1)!.startMs).toISOString() }),
      period: periodSeconds,
      recentDatapoints: verdict.by.map(({ value }) => value).reverse(),
      threshold: rule.threshold,
      evaluatedDatapoints: verdict.by.map(({ startMs, value }) => ({
        timestamp: new Date(startMs).toISOString(),
        value,
      })),
    }),
    atMs: nowMs,
  };
  return { after, isComplete: looked.at(-1) !== undefined };
}

interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

async function pointsOf(
  reader: MetricReader,
  { source, periodSeconds, ignoresLowSamples }: MetricAlarmSettings,
  range: Range,
  nowMs: number,
): Promise<ReadonlyMap<number, AlarmPoint>> {
  if (source.kind === 'metric') return metricPoints(reader, source, periodSeconds, range, ignoresLowSamples);
  const run = queryRunner(source.queries, { reader, nowMs, rangeOf: () => range });
  const { series, isArray } = await run(source.watched);
  if (isArray) throw new MathError('An alarm needs one series, and the expression gives several.');
  return new Map([...(series[0]?.points ?? [])].map(([startMs, value]) => [startMs, { startMs, value }]));
}

async function metricPoints(
  reader: MetricReader,
  { metric, statistic, unit }: MetricSource,
  periodSeconds: number,
  range: Range,
  ignoresLowSamples: boolean,
): Promise<ReadonlyMap<number, AlarmPoint>> {
  const { points } = ofOneUnit(await readPoints(reader, { metric, unit, ...range, periodSeconds }));
  const least =
    ignoresLowSamples && statistic.kind === 'percentile' ? significantSamples(statistic.percent) : 0;
  return new Map(
    points.flatMap(({ startMs, summary }) => {
      const value = statisticOf(summary, statistic);
      if (value === undefined) return [];
      const isTooFew = summary.sampleCount < least;
      return [[startMs, { startMs, value, ...(isTooFew && { isTooFew }) }] as const];
    }),
  );
}
