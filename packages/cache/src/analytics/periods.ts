/** Calendar periods at a fixed offset from UTC. Pure. */

export type PeriodKind = 'day' | 'week' | 'month' | 'all';

export interface Period {
  readonly kind: PeriodKind;
  /** `2026-11-23`, `2026-W48` (ISO 8601, weeks begin on Mondays), `2026-11`, `all`. */
  readonly id: string;
  /** ms since 1970, first moment of it and of the next one. Infinite for 'all'. */
  readonly startMs: number;
  readonly endMs: number;
}

const dayMs = 86_400_000;
const two = (n: number): string => String(n).padStart(2, '0');

/** @param offsetMinutes of local time from UTC: 60 in Berlin's winter. Fixed: it doesn't follow daylight saving. */
export function periodOf(kind: PeriodKind, atMs: number, offsetMinutes: number): Period {
  if (kind === 'all') {
    return { kind, id: 'all', startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY };
  }
  const shiftMs = offsetMinutes * 60_000;
  const local = new Date(atMs + shiftMs);
  const [year, month] = [local.getUTCFullYear(), local.getUTCMonth()];
  const midnight = Date.UTC(year, month, local.getUTCDate());
  const of = (id: string, start: number, end: number): Period => {
    return { kind, id, startMs: start - shiftMs, endMs: end - shiftMs };
  };
  if (kind === 'day') {
    return of(`${year}-${two(month + 1)}-${two(local.getUTCDate())}`, midnight, midnight + dayMs);
  }
  if (kind === 'month') {
    return of(`${year}-${two(month + 1)}`, Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1));
  }
  const monday = midnight - ((local.getUTCDay() + 6) % 7) * dayMs;
  // A week belongs to the year that has its Thursday.
  const weekYear = new Date(monday + 3 * dayMs).getUTCFullYear();
  const week = 1 + Math.floor((monday + 3 * dayMs - Date.UTC(weekYear, 0, 1)) / (7 * dayMs));
  return of(`${weekYear}-W${two(week)}`, monday, monday + 7 * dayMs);
}

/** The period and those before it, `count` in all, newest first. */
export function lastPeriods(
  kind: PeriodKind,
  {
    atMs,
    offsetMinutes,
    count,
  }: { readonly atMs: number; readonly offsetMinutes: number; readonly count: number },
): Period[] {
  const periods = [periodOf(kind, atMs, offsetMinutes)];
  while (kind !== 'all' && periods.length < count) {
    periods.push(periodOf(kind, periods.at(-1)!.startMs - 1, offsetMinutes));
  }
  return periods;
}

/** When the last of `keep` periods that begin with this one ends: what belongs to it may go then. */
export function keptUntilMs(
  period: Period,
  { keep, offsetMinutes }: { readonly keep: number; readonly offsetMinutes: number },
): number {
  let { endMs } = period;
  if (period.kind === 'all') return endMs;
  for (let further = 1; further < keep; further += 1)
    endMs = periodOf(period.kind, endMs, offsetMinutes).endMs;
  return endMs;
}
