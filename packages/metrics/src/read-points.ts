/** Periods from wherever they begin: a store reads whole ones, which begin at multiples of their length. */
import { mergeSummaries } from './merge-summaries.ts';
import type { Metric, Unit } from './metric.ts';
import type { MetricReader, Point } from './metric-store.ts';
import type { Summary } from './summary.ts';

/** Lengths that stores read; each divides every longer period that begins at a multiple of it. */
const steps = [86_400, 21_600, 3600, 900, 300, 60, 30, 20, 10, 5, 1] as const;

export interface PeriodsQuery {
  readonly metric: Metric;
  readonly unit?: Unit | undefined;
  /** Where the first period begins; a whole second. */
  readonly startMs: number;
  /** The last period begins before it. */
  readonly endMs: number;
  readonly periodSeconds: number;
}

/** Ascending, as a store's own; each begins a multiple of the period after `startMs`. */
export async function readPoints(
  reader: MetricReader,
  { metric, unit, startMs, endMs, periodSeconds }: PeriodsQuery,
): Promise<readonly Point[]> {
  const periodMs = periodSeconds * 1000;
  const last = startMs + Math.ceil((endMs - startMs) / periodMs) * periodMs;
  if (last <= startMs) return [];
  if (startMs % periodMs === 0) {
    return reader.read({ metric, unit, startMs, endMs: last, periodSeconds });
  }
  const step = steps.find((each) => periodSeconds % each === 0 && startMs % (each * 1000) === 0) ?? 1;
  const parts = await reader.read({ metric, unit, startMs, endMs: last, periodSeconds: step });
  const periods = new Map<string, { readonly at: Point; readonly summaries: Summary[] }>();
  for (const part of parts) {
    const at = part.startMs - ((part.startMs - startMs) % periodMs);
    const key = `${at} ${part.unit}`;
    const period = periods.get(key) ?? { at: { ...part, startMs: at }, summaries: [] };
    periods.set(key, period);
    period.summaries.push(part.summary);
  }
  return [...periods.values()].map(({ at, summaries }) => ({ ...at, summary: mergeSummaries(summaries) }));
}

/**
 * Points of one unit: where there are several, that of the newest point.
 * @returns `units` of all points there were.
 */
export function ofOneUnit(points: readonly Point[]): {
  readonly points: readonly Point[];
  readonly units: ReadonlySet<Unit>;
} {
  const units = new Set(points.map(({ unit }) => unit));
  const newest = points.at(-1)?.unit;
  return { points: units.size > 1 ? points.filter(({ unit }) => unit === newest) : points, units };
}
