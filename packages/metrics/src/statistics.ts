/**
 * (pure) CloudWatch's statistics of one period. A percentile is the smallest value that so many percent of the values do
 * not exceed. Trimming is by whole values: from n of them those of rank n·lower% (halves down) to n·upper% (halves up).
 */
import type { Summary, ValueCount } from './summary.ts';

export type BasicStatistic = 'SampleCount' | 'Average' | 'Sum' | 'Minimum' | 'Maximum';

export interface Bounds {
  /** Whether they are shares of the values, or values themselves. */
  readonly in: 'percent' | 'value';
  /** Excluded itself, where values are meant. Minus infinity when open. */
  readonly lower: number;
  /** Included. */
  readonly upper: number;
}

export type Statistic =
  | { readonly kind: BasicStatistic }
  | { readonly kind: 'percentile'; readonly percent: number }
  | { readonly kind: 'TM' | 'WM' | 'TC' | 'TS' | 'PR'; readonly bounds: Bounds };

export const basicStatistics: readonly BasicStatistic[] = [
  'SampleCount',
  'Average',
  'Sum',
  'Minimum',
  'Maximum',
];

const NUMBER = String.raw`-?\d{1,15}(?:\.\d{1,10})?(?:[eE][+-]?\d{1,2})?`;
const PERCENTILE = /^p(\d{1,3}(?:\.\d{1,10})?)$/;
const SHORT = /^(tm|wm|tc|ts)(\d{1,3}(?:\.\d{1,10})?)$/;
const LONG = new RegExp(String.raw`^(TM|WM|TC|TS|PR)\((${NUMBER})?(%)?:(${NUMBER})?(%)?\)$`);
const interquartile: Bounds = { in: 'percent', lower: 25, upper: 75 };

/** `Average`, `p99.9`, `tm90`, `TM(10%:90%)`, `PR(:300)`, `IQM`, …; undefined for what is none. */
export function parseStatistic(text: string): Statistic | undefined {
  const basic = basicStatistics.find((each) => each === text);
  if (basic !== undefined) return { kind: basic };
  if (text === 'IQM') return { kind: 'TM', bounds: interquartile };
  const percentile = PERCENTILE.exec(text)?.[1];
  if (percentile !== undefined) {
    const percent = Number(percentile);
    return percent <= 100 ? { kind: 'percentile', percent } : undefined;
  }
  const short = SHORT.exec(text);
  if (short !== null) {
    const upper = Number(short[2]);
    if (upper > 100) return undefined;
    return { kind: short[1]!.toUpperCase() as 'TM', bounds: { in: 'percent', lower: 0, upper } };
  }
  const long = LONG.exec(text.replaceAll(' ', ''));
  return long === null ? undefined : withBounds(long[1] as 'TM', long);
}

function withBounds(
  kind: 'TM' | 'WM' | 'TC' | 'TS' | 'PR',
  [, , lower, lowerSign, upper, upperSign]: RegExpExecArray,
): Statistic | undefined {
  if (lower === undefined && upper === undefined) return undefined;
  // A sign without its number, or on one of two bounds.
  const signs = [lower !== undefined && lowerSign === '%', upper !== undefined && upperSign === '%'];
  if ((lower === undefined && lowerSign !== undefined) || (upper === undefined && upperSign !== undefined)) {
    return undefined;
  }
  const isPercent = signs.includes(true);
  if (isPercent && ((lower !== undefined && !signs[0]) || (upper !== undefined && !signs[1])))
    return undefined;
  // The rank of a value is asked for by the value.
  if (isPercent && kind === 'PR') return undefined;
  const bounds: Bounds = isPercent
    ? { in: 'percent', lower: Number(lower ?? 0), upper: Number(upper ?? 100) }
    : {
        in: 'value',
        lower: lower === undefined ? Number.NEGATIVE_INFINITY : Number(lower),
        upper: upper === undefined ? Number.POSITIVE_INFINITY : Number(upper),
      };
  if (bounds.lower >= bounds.upper) return undefined;
  if (isPercent && (bounds.lower < 0 || bounds.upper > 100)) return undefined;
  return { kind, bounds };
}

/**
 * @returns undefined where there is none: of values that are not known any more, or of a range without values.
 */
export function statisticOf(summary: Summary, statistic: Statistic): number | undefined {
  switch (statistic.kind) {
    case 'SampleCount':
      return summary.sampleCount;
    case 'Average':
      return summary.sum / summary.sampleCount;
    case 'Sum':
      return summary.sum;
    case 'Minimum':
      return summary.minimum;
    case 'Maximum':
      return summary.maximum;
    default: {
      const values = valuesOf(summary);
      if (values === undefined) return undefined;
      if (statistic.kind === 'percentile') return percentileOf(values, statistic.percent);
      return trimmed(values, statistic.kind, statistic.bounds);
    }
  }
}

/** A statistic set of values that are all alike tells them. */
function valuesOf({ values, minimum, maximum, sampleCount }: Summary): readonly ValueCount[] | undefined {
  if (values !== undefined) return values;
  return minimum === maximum ? [[minimum, sampleCount]] : undefined;
}

function countOf(values: readonly ValueCount[]): number {
  return values.reduce((count, [, each]) => count + each, 0);
}

function percentileOf(values: readonly ValueCount[], percent: number): number | undefined {
  // A hair less: 0.07 · 100 is a little more than 7.
  const rank = (countOf(values) * percent) / 100 - 1e-9;
  let passed = 0;
  for (const [value, count] of values) {
    passed += count;
    if (passed >= rank) return value;
  }
  return values.at(-1)?.[0];
}

function trimmed(
  values: readonly ValueCount[],
  kind: 'TM' | 'WM' | 'TC' | 'TS' | 'PR',
  bounds: Bounds,
): number | undefined {
  const total = countOf(values);
  const kept = bounds.in === 'value' ? withinValues(values, bounds) : withinRanks(values, total, bounds);
  const count = countOf(kept);
  const sum = kept.reduce((each, [value, times]) => each + value * times, 0);
  switch (kind) {
    case 'TC':
      return count;
    case 'TS':
      return sum;
    case 'PR':
      return (count / total) * 100;
    case 'TM':
      return count === 0 ? undefined : sum / count;
    case 'WM':
      return winsorised(values, kept, bounds);
  }
}

/** The mean with what is outside counted as the bound that it is beyond. */
function winsorised(
  values: readonly ValueCount[],
  kept: readonly ValueCount[],
  bounds: Bounds,
): number | undefined {
  const lowest = bounds.in === 'value' ? bounds.lower : kept[0]?.[0];
  const highest = bounds.in === 'value' ? bounds.upper : kept.at(-1)?.[0];
  if (lowest === undefined || highest === undefined) return undefined;
  const sum = values.reduce(
    (each, [value, count]) => each + Math.min(Math.max(value, lowest), highest) * count,
    0,
  );
  return sum / countOf(values);
}

function withinValues(values: readonly ValueCount[], { lower, upper }: Bounds): readonly ValueCount[] {
  return values.filter(([value]) => value > lower && value <= upper);
}

function withinRanks(
  values: readonly ValueCount[],
  total: number,
  { lower, upper }: Bounds,
): readonly ValueCount[] {
  const first = Math.ceil((total * lower) / 100 - 0.5);
  const last = Math.floor((total * upper) / 100 + 0.5);
  let passed = 0;
  const kept: ValueCount[] = [];
  for (const [value, count] of values) {
    const inside = Math.min(passed + count, last) - Math.max(passed, first);
    if (inside > 0) kept.push([value, inside]);
    passed += count;
  }
  return kept;
}
