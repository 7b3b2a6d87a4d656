/** (pure) What metric math works on: numbers, time series and arrays of them. */
import { MathError } from './math-error.ts';

export interface Series {
  readonly label: string;
  readonly periodSeconds: number;
  /** By the start of the period, ascending. What is not there is missing, and not zero. All are finite. */
  readonly points: ReadonlyMap<number, number>;
}

export type Value =
  | { readonly kind: 'scalar'; readonly value: number }
  | { readonly kind: 'series'; readonly series: Series }
  | { readonly kind: 'array'; readonly items: readonly Series[] }
  | { readonly kind: 'text'; readonly text: string }
  /** Such as `REPEAT`, `DESC`, or the name of a function that another one takes. */
  | { readonly kind: 'word'; readonly word: string };

/** The time that is asked for; every period in it that begins at a multiple of its length after the start. */
export interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

export function scalar(value: number): Value {
  return { kind: 'scalar', value };
}

/** Without points that are no number, as after a division by zero. @param points ascending */
export function seriesOf(
  label: string,
  periodSeconds: number,
  points: Iterable<readonly [number, number]>,
): Series {
  return { label, periodSeconds, points: new Map([...points].filter(([, value]) => Number.isFinite(value))) };
}

export function mapPoints(series: Series, change: (value: number, atMs: number) => number): Series {
  return seriesOf(
    series.label,
    series.periodSeconds,
    [...series.points].map(([atMs, value]) => [atMs, change(value, atMs)] as const),
  );
}

/** At the times that both have. */
export function combine(a: Series, b: Series, with_: (a: number, b: number) => number): Series {
  const points: [number, number][] = [];
  for (const [atMs, value] of a.points) {
    const other = b.points.get(atMs);
    if (other !== undefined) points.push([atMs, with_(value, other)]);
  }
  return seriesOf(a.label, commonPeriod([a, b]), points);
}

/** One series of what `aggregate` makes of the values that there are at each time that any of them has. */
export function acrossSeries(
  items: readonly Series[],
  label: string,
  aggregate: (values: readonly number[]) => number,
): Series {
  const byTime = new Map<number, number[]>();
  for (const { points } of items) {
    for (const [atMs, value] of points) {
      const values = byTime.get(atMs);
      if (values === undefined) byTime.set(atMs, [value]);
      else values.push(value);
    }
  }
  const points = [...byTime].sort(([a], [b]) => a - b);
  return seriesOf(
    label,
    items.length === 0 ? 60 : commonPeriod(items),
    points.map(([atMs, values]) => [atMs, aggregate(values)] as const),
  );
}

/** @throws MathError when they differ: values of periods of several lengths can't be set against each other. */
export function commonPeriod(items: readonly Series[]): number {
  const [first, ...others] = items.map(({ periodSeconds }) => periodSeconds);
  const other = others.find((each) => each !== first);
  if (other === undefined) return first!;
  throw new MathError(
    `Series with periods of ${first} s and ${other} s can't be combined; give their metrics the same Period.`,
  );
}

export function timesOf({ startMs, endMs }: Range, periodSeconds: number): number[] {
  const stepMs = periodSeconds * 1000;
  return Array.from(
    { length: Math.max(0, Math.ceil((endMs - startMs) / stepMs)) },
    (_, n) => startMs + n * stepMs,
  );
}
