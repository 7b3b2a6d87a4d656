/** (pure) Alarms as requests put them: what is checked, and what follows from it. */
import { serviceError } from '@larder/contract/errors';
import { type CompositeRule, childrenOf, parseRule, RuleError } from '@larder/metrics/alarm/composite-rule';
import {
  type AlarmRule,
  type Comparison,
  comparisons,
  treatments,
} from '@larder/metrics/alarm/evaluate-alarm';
import type { DataQuery } from '@larder/metrics/data-query';
import { needsOf } from '@larder/metrics/math/evaluate';
import type { Metric, Unit } from '@larder/metrics/metric';
import { basicStatistics, parseStatistic, type Statistic } from '@larder/metrics/statistics';
import { missing, readMetric, readPeriod, readUnit } from '../metric-data/read-metric.ts';
import { readQueries } from '../metric-data/read-queries.ts';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import { alarmNameOf, type CompositeAlarmRequest, type MetricAlarmRequest, type Place } from './alarm.ts';

export interface MetricSource {
  readonly kind: 'metric';
  readonly metric: Metric;
  readonly statistic: Statistic;
  readonly unit: Unit | undefined;
}

export interface QueriesSource {
  readonly kind: 'queries';
  readonly queries: readonly DataQuery[];
  /** The id of the one that is watched. */
  readonly watched: string;
}

export interface MetricAlarmSettings {
  readonly source: MetricSource | QueriesSource;
  readonly periodSeconds: number;
  readonly rule: AlarmRule;
  /** Percentiles of too few samples change nothing. */
  readonly ignoresLowSamples: boolean;
}

export interface CompositeAlarmSettings {
  readonly rule: CompositeRule;
  /** Names; each once. */
  readonly children: readonly string[];
  readonly suppressor:
    | { readonly alarm: string; readonly waitMs: number; readonly extensionMs: number }
    | undefined;
}

const mostQueries = 20;
const mostActions = 5;
const dayS = 86_400;
/** Each evaluation reads them all, of short periods each second. */
const mostPeriods = 1_440;
const TOPIC = /^arn:aws:sns:([a-z0-9-]{1,30}):(\d{12}):[A-Za-z0-9_-]{1,256}$/;

/** @throws ServiceError InvalidParameterValue, InvalidParameterCombination, MissingParameter, ValidationError */
export function readMetricAlarm(input: MetricAlarmRequest, place: Place): MetricAlarmSettings {
  checkName(input.AlarmName);
  checkActions(input, place);
  const { source, periodSeconds } = isMath(input) ? readMath(input, place) : readSingle(input);
  const rule = readRule(input);
  const spanSeconds = rule.evaluationPeriods * periodSeconds;
  if (spanSeconds > (periodSeconds >= 3600 ? 7 * dayS : dayS)) {
    throw invalidCombination(
      'EvaluationPeriods times Period can be up to one day, or seven days with periods of an hour and more.',
    );
  }
  const low = input.EvaluateLowSampleCountPercentile;
  if (low !== undefined && low !== 'evaluate' && low !== 'ignore') {
    throw invalidValue('The parameter EvaluateLowSampleCountPercentile must be evaluate or ignore.');
  }
  if (low !== undefined && (source.kind !== 'metric' || source.statistic.kind !== 'percentile')) {
    throw invalidCombination('EvaluateLowSampleCountPercentile is for alarms on percentiles.');
  }
  return { source, periodSeconds, rule, ignoresLowSamples: low === 'ignore' };
}

/** Some clients send an empty list for none. */
export function isMath({ Metrics }: MetricAlarmRequest): boolean {
  return Metrics !== undefined && Metrics.length > 0;
}

function readRule(input: MetricAlarmRequest): AlarmRule {
  const { ComparisonOperator, Threshold, TreatMissingData: treatment = 'missing' } = input;
  if (ComparisonOperator === undefined) throw missing('ComparisonOperator');
  if (!Object.hasOwn(comparisons, ComparisonOperator)) {
    throw invalidValue(
      `The parameter ComparisonOperator must be one of ${Object.keys(comparisons).join(', ')}; others need anomaly detection, which is not here.`,
    );
  }
  if (Threshold === undefined) throw missing('Threshold');
  const treatMissingData = treatments.find((each) => each === treatment);
  if (treatMissingData === undefined) {
    throw invalidValue(`The parameter TreatMissingData must be one of ${treatments.join(', ')}.`);
  }
  const evaluationPeriods = readCount(input.EvaluationPeriods, 'EvaluationPeriods');
  const datapointsToAlarm = readCount(input.DatapointsToAlarm ?? evaluationPeriods, 'DatapointsToAlarm');
  if (datapointsToAlarm > evaluationPeriods) {
    throw invalidCombination('DatapointsToAlarm must not be more than EvaluationPeriods.');
  }
  const comparison = ComparisonOperator as Comparison;
  return { comparison, threshold: Threshold, evaluationPeriods, datapointsToAlarm, treatMissingData };
}

function readSingle(input: MetricAlarmRequest) {
  const { Statistic: basic, ExtendedStatistic: extended } = input;
  if (basic !== undefined && extended !== undefined) {
    throw invalidCombination('Statistic and ExtendedStatistic exclude each other.');
  }
  const text = basic ?? extended;
  if (text === undefined) throw missing('Statistic');
  const statistic = parseStatistic(text);
  const isBasic = basicStatistics.some((each) => each === text);
  if (statistic === undefined || isBasic !== (basic !== undefined)) {
    throw invalidValue(
      `Statistic can be ${basicStatistics.join(', ')}, ExtendedStatistic such as p99 or tm90; not ${text.slice(0, 40)}.`,
    );
  }
  const source: MetricSource = {
    kind: 'metric',
    metric: readMetric(input),
    statistic,
    unit: readUnit(input.Unit, 'Unit'),
  };
  return { source, periodSeconds: readPeriod(input.Period, 'Period') };
}

function readMath(input: MetricAlarmRequest, place: Place) {
  const single = [
    'MetricName',
    'Namespace',
    'Dimensions',
    'Period',
    'Unit',
    'Statistic',
    'ExtendedStatistic',
  ] as const;
  const both = single.find((member) => input[member] !== undefined);
  if (both !== undefined) throw invalidCombination(`Metrics and ${both} exclude each other.`);
  const asked = readQueries(input.Metrics!, {
    path: 'Metrics',
    most: mostQueries,
    accountId: place.accountId,
  });
  const returned = asked.filter(({ isReturned }) => isReturned);
  if (returned.length !== 1) {
    throw invalidCombination('Exactly one of Metrics must have ReturnData true: the one that is watched.');
  }
  const queries = asked.map(({ query }) => query);
  if (queries.some((query) => query.kind === 'expression' && needsOf(query.expression).searches.length > 0)) {
    throw serviceError('ValidationError', 'An alarm can not be made on a SEARCH.');
  }
  const periods = new Set(queries.flatMap(({ periodSeconds }) => periodSeconds ?? []));
  const [periodSeconds] = periods;
  if (periodSeconds === undefined || periods.size > 1) {
    throw invalidCombination('All metrics of an alarm must have the same Period.');
  }
  const source: QueriesSource = { kind: 'queries', queries, watched: returned[0]!.query.id };
  return { source, periodSeconds };
}

/** @throws ServiceError InvalidParameterValue, InvalidParameterCombination, ValidationError */
export function readCompositeAlarm(input: CompositeAlarmRequest, place: Place): CompositeAlarmSettings {
  checkName(input.AlarmName);
  checkActions(input, place);
  let rule: CompositeRule;
  try {
    rule = parseRule(input.AlarmRule);
  } catch (error) {
    if (error instanceof RuleError)
      throw serviceError('ValidationError', `Error in AlarmRule: ${error.message}`);
    throw error;
  }
  const named = childrenOf(rule).map((child) => alarmNameOf(child, place));
  return { rule, children: [...new Set(named)], suppressor: readSuppressor(input, place) };
}

function readSuppressor(input: CompositeAlarmRequest, place: Place): CompositeAlarmSettings['suppressor'] {
  const {
    ActionsSuppressor,
    ActionsSuppressorWaitPeriod: wait,
    ActionsSuppressorExtensionPeriod: extension,
  } = input;
  if (ActionsSuppressor === undefined) {
    if (wait === undefined && extension === undefined) return undefined;
    throw invalidCombination('ActionsSuppressorWaitPeriod and -ExtensionPeriod need ActionsSuppressor.');
  }
  if (wait === undefined) throw missing('ActionsSuppressorWaitPeriod');
  if (extension === undefined) throw missing('ActionsSuppressorExtensionPeriod');
  for (const seconds of [wait, extension]) {
    if (!Number.isInteger(seconds) || seconds < 0 || seconds > 7 * dayS) {
      throw invalidValue('The periods of ActionsSuppressor must be whole seconds, up to seven days.');
    }
  }
  return {
    alarm: alarmNameOf(ActionsSuppressor, place),
    waitMs: wait * 1000,
    extensionMs: extension * 1000,
  };
}

export function checkName(name: string): void {
  if (name.length >= 1 && name.length <= 255 && !/\p{Cc}/u.test(name) && name.trim() !== '') return;
  throw invalidValue('The parameter AlarmName must have 1 to 255 characters, and no control characters.');
}

interface WireActions {
  readonly OKActions?: readonly string[] | undefined;
  readonly AlarmActions?: readonly string[] | undefined;
  readonly InsufficientDataActions?: readonly string[] | undefined;
  readonly AlarmDescription?: string | undefined;
}

function checkActions(input: WireActions, place: Place): void {
  for (const member of ['OKActions', 'AlarmActions', 'InsufficientDataActions'] as const) {
    const actions = input[member] ?? [];
    if (actions.length > mostActions) {
      throw invalidValue(`The parameter ${member} can have up to ${mostActions} actions.`);
    }
    for (const action of actions) {
      const [, region, accountId] = TOPIC.exec(action) ?? [];
      if (region === place.region && accountId === place.accountId) continue;
      throw invalidValue(
        `The parameter ${member} can only hold topics of this service, arn:aws:sns:${place.region}:${place.accountId}:NAME; ${action.slice(0, 100)} would never be carried out.`,
      );
    }
  }
  if ((input.AlarmDescription ?? '').length > 1024) {
    throw invalidValue('The parameter AlarmDescription can have up to 1024 characters.');
  }
}

function readCount(value: number | undefined, parameter: string): number {
  if (value === undefined) throw missing(parameter);
  if (Number.isInteger(value) && value >= 1 && value <= mostPeriods) return value;
  throw invalidValue(`The parameter ${parameter} must be a whole number from 1 to ${mostPeriods}.`);
}
