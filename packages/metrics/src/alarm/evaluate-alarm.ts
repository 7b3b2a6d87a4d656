/**
 * (pure) Which state a metric alarm is in, by the last periods that ended.
 *
 * More periods are looked at than the alarm needs, so that data which come late, or with gaps, count all the same. With as
 * many values among them as the alarm has evaluation periods, the newest of those decide, and gaps say nothing. With
 * fewer, what is missing is filled in as the alarm says.
 */

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

export const comparisons = {
  GreaterThanOrEqualToThreshold: {
    test: (value: number, threshold: number) => value >= threshold,
    words: 'greater than or equal to',
  },
  GreaterThanThreshold: {
    test: (value: number, threshold: number) => value > threshold,
    words: 'greater than',
  },
  LessThanThreshold: { test: (value: number, threshold: number) => value < threshold, words: 'less than' },
  LessThanOrEqualToThreshold: {
    test: (value: number, threshold: number) => value <= threshold,
    words: 'less than or equal to',
  },
} as const;

export type Comparison = keyof typeof comparisons;
export const treatments = ['missing', 'ignore', 'breaching', 'notBreaching'] as const;
export type MissingTreatment = (typeof treatments)[number];

export interface AlarmRule {
  readonly comparison: Comparison;
  readonly threshold: number;
  /** N. */
  readonly evaluationPeriods: number;
  /** M: so many of the N must breach. */
  readonly datapointsToAlarm: number;
  readonly treatMissingData: MissingTreatment;
}

/** A period that has a value. */
export interface AlarmPoint {
  readonly startMs: number;
  readonly value: number;
  /** A percentile of so few samples that it says nothing, where the alarm is to ignore those. */
  readonly isTooFew?: boolean;
}

export interface Verdict {
  readonly state: AlarmState;
  /** The values it was made by, the newest first. */
  readonly by: readonly AlarmPoint[];
  /** How many periods without a value were filled in. */
  readonly filled: number;
}

/** How many periods are looked at. */
export function evaluationRange(evaluationPeriods: number): number {
  return evaluationPeriods + 2;
}

/**
 * @param range one for each period that is looked at, ascending; undefined for one without a value.
 * @param current the state the alarm is in.
 */
export function evaluateAlarm(
  rule: AlarmRule,
  range: readonly (AlarmPoint | undefined)[],
  current: AlarmState,
): Verdict {
  const { evaluationPeriods, datapointsToAlarm, treatMissingData } = rule;
  const newestFirst = [...range].reverse();
  const known = newestFirst.filter((point) => point !== undefined);
  const by = known.slice(0, evaluationPeriods);
  const filled = evaluationPeriods - by.length;
  if (by.some(({ isTooFew }) => isTooFew === true)) return { state: current, by, filled };
  const breaching = by.filter(({ value }) => comparisons[rule.comparison].test(value, rule.threshold));
  const verdict = (state: AlarmState): Verdict => ({ state, by, filled });
  if (breaching.length >= datapointsToAlarm) return verdict('ALARM');
  if (filled === 0) return verdict('OK');
  switch (treatMissingData) {
    case 'breaching':
      return verdict(breaching.length + filled >= datapointsToAlarm ? 'ALARM' : 'OK');
    case 'notBreaching':
      return verdict('OK');
    default:
      break;
  }
  if (by.length === 0) return verdict(treatMissingData === 'missing' ? 'INSUFFICIENT_DATA' : current);
  // A value that does not breach is more than what might have been.
  if (breaching.length < by.length) return verdict('OK');
  if (treatMissingData === 'ignore') return verdict(current);
  // All that is known breaches. It is an alarm when it began as long ago as the alarm needs; a younger value might be
  // followed by one that does not breach.
  const oldest = by.at(-1);
  const age = newestFirst.indexOf(oldest) + 1;
  return verdict(age >= datapointsToAlarm ? 'ALARM' : current);
}

/** In people's words, as CloudWatch puts it. */
export function reasonOf(rule: AlarmRule, { state, by, filled }: Verdict): string {
  const { evaluationPeriods, datapointsToAlarm, comparison, threshold } = rule;
  if (by.length === 0 && state === 'INSUFFICIENT_DATA') {
    return `Insufficient Data: ${evaluationPeriods} ${plural(evaluationPeriods)} ${evaluationPeriods === 1 ? 'was' : 'were'} unknown.`;
  }
  const treated =
    filled > 0 && (rule.treatMissingData === 'breaching' || rule.treatMissingData === 'notBreaching')
      ? ` and ${filled} missing ${plural(filled)} ${filled === 1 ? 'was' : 'were'} treated as [${rule.treatMissingData === 'breaching' ? 'Breaching' : 'NonBreaching'}]`
      : '';
  const { test, words } = comparisons[comparison];
  const isAlarm = state === 'ALARM';
  const counted = by.filter(({ value }) => test(value, threshold) === isAlarm);
  const shown = counted.slice(0, 5).map(({ startMs, value }) => `${value} (${shownTime(startMs)})`);
  const what =
    counted.length === 0
      ? `no datapoints were received for ${evaluationPeriods} ${evaluationPeriods === 1 ? 'period' : 'periods'}`
      : `${counted.length} out of the last ${evaluationPeriods} ${plural(evaluationPeriods)} [${shown.join(', ')}] ${counted.length === 1 ? 'was' : 'were'} ${isAlarm ? '' : 'not '}${words} the threshold (${threshold})`;
  const needed = isAlarm
    ? `minimum ${datapointsToAlarm} ${plural(datapointsToAlarm)} for OK -> ALARM transition`
    : `minimum ${evaluationPeriods - datapointsToAlarm + 1} ${plural(evaluationPeriods - datapointsToAlarm + 1)} for ALARM -> OK transition`;
  return `Threshold Crossed: ${what}${treated} (${needed}).`;
}

/** How many samples a percentile needs to say something, as CloudWatch documents it. */
export function significantSamples(percent: number): number {
  const share = percent / 100;
  if (share <= 0 || share >= 1) return 10;
  return share >= 0.5 ? 10 / (1 - share) : 10 / share;
}

function plural(count: number): string {
  return count === 1 ? 'datapoint' : 'datapoints';
}

function shownTime(atMs: number): string {
  const [date, time] = new Date(atMs).toISOString().split('T') as [string, string];
  const [year, month, day] = date.split('-');
  return `${day}/${month}/${year!.slice(2)} ${time.slice(0, 8)}`;
}
