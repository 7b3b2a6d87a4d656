/** (pure) When a scheduled action runs: `at(…)` once, `rate(…)` again and again, `cron(…)` by the calendar. */
import { type CronFields, parseCron } from './cron.ts';

export type Schedule =
  /** Of a clock on the wall, in the action's time zone. */
  | { readonly kind: 'at'; readonly wallMs: number }
  | { readonly kind: 'rate'; readonly periodMs: number }
  | { readonly kind: 'cron'; readonly fields: CronFields };

const minuteMs = 60_000;
const dayMs = 86_400_000;
const units: Readonly<Record<string, number>> = { minute: minuteMs, hour: 60 * minuteMs, day: dayMs };
const longestSchedule = 400;
/** 29 February of a year that has none is at most eight years away, on a given day of the week at most forty. */
const searchedDays = 41 * 366;

/** @returns undefined when it is none that is understood. */
export function parseSchedule(text: string): Schedule | undefined {
  if (text.length > longestSchedule) return undefined;
  const [, kind, inner] = /^(at|rate|cron)\(([^()]*)\)$/.exec(text.trim()) ?? [];
  if (kind === undefined || inner === undefined) return undefined;
  if (kind === 'at') {
    const wallMs = parseWallTime(inner.trim());
    return wallMs === undefined ? undefined : { kind, wallMs };
  }
  if (kind === 'rate') {
    const [, count, unit, plural] = /^(\d{1,6}) (minute|hour|day)(s?)$/.exec(inner.trim()) ?? [];
    const value = Number(count);
    if (unit === undefined || !(value >= 1) || (value === 1) === (plural === 's')) return undefined;
    return { kind, periodMs: value * units[unit]! };
  }
  const fields = parseCron(inner);
  return fields === undefined ? undefined : { kind: 'cron', fields };
}

/** `2026-11-23T18:00:00`, as if it were UTC. */
function parseWallTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text)) return undefined;
  const at = Date.parse(`${text}Z`);
  // The calendar rolls 30 February over into March.
  return Number.isNaN(at) || new Date(at).toISOString().slice(0, 19) !== text ? undefined : at;
}

export function isTimezone(name: string): boolean {
  try {
    wallClock(name);
    return true;
  } catch {
    return false;
  }
}

export interface Occurrence {
  readonly schedule: Schedule;
  /** UTC when missing. */
  readonly timezone?: string;
  readonly startAtMs?: number;
  readonly endAtMs?: number;
  /** Where a rate begins when no start is given. */
  readonly createdAtMs: number;
}

/** The first time after `afterMs` and between start and end; undefined when there is none any more. */
export function nextOccurrence(
  { schedule, timezone = 'UTC', startAtMs, endAtMs, createdAtMs }: Occurrence,
  afterMs: number,
): number | undefined {
  // A start that is an occurrence itself counts.
  const sinceMs = Math.max(afterMs, (startAtMs ?? -Infinity) - 1);
  const nextMs = nextOf(schedule, timezone, startAtMs ?? createdAtMs, sinceMs);
  return nextMs === undefined || nextMs > (endAtMs ?? Infinity) ? undefined : nextMs;
}

/**
 * The last time up to `untilMs`, of those from `firstMs` on, which is one. What is near the end is looked at first: an
 * action of every minute that was missed for a year has half a million.
 */
export function lastOccurrence(what: Occurrence, firstMs: number, untilMs: number): number {
  for (const backMs of [units.hour!, dayMs, 32 * dayMs]) {
    let last: number | undefined;
    let next = nextOccurrence(what, Math.max(firstMs, untilMs - backMs));
    while (next !== undefined && next <= untilMs) {
      last = next;
      next = nextOccurrence(what, next);
    }
    if (last !== undefined) return last;
  }
  let last = firstMs;
  for (;;) {
    const next = nextOccurrence(what, last);
    if (next === undefined || next > untilMs) return last;
    last = next;
  }
}

function nextOf(schedule: Schedule, timezone: string, firstMs: number, sinceMs: number): number | undefined {
  switch (schedule.kind) {
    case 'at': {
      const atMs = instantOf(schedule.wallMs, wallClock(timezone));
      return atMs > sinceMs ? atMs : undefined;
    }
    case 'rate': {
      const { periodMs } = schedule;
      return firstMs + Math.max(0, Math.floor((sinceMs - firstMs) / periodMs) + 1) * periodMs;
    }
    case 'cron':
      return nextCron(schedule.fields, wallClock(timezone), sinceMs);
  }
}

function nextCron(fields: CronFields, wall: WallClock, sinceMs: number): number | undefined {
  const times = [...fields.hours]
    .flatMap((hour) => [...fields.minutes].map((minute) => (hour * 60 + minute) * minuteMs))
    .sort((a, b) => a - b);
  const sinceDay = Math.floor(wall(sinceMs) / dayMs) * dayMs;
  const firstYear = [...fields.years].filter((year) => year >= new Date(sinceDay).getUTCFullYear());
  if (firstYear.length === 0) return undefined;
  const firstDay = Math.max(sinceDay, Date.UTC(Math.min(...firstYear), 0, 1));
  for (let day = firstDay; day < firstDay + searchedDays * dayMs; day += dayMs) {
    if (!isDayOf(fields, new Date(day))) continue;
    for (const time of times) {
      const atMs = instantOf(day + time, wall);
      if (atMs > sinceMs) return atMs;
    }
  }
  return undefined;
}

function isDayOf({ daysOfMonth, months, daysOfWeek, years }: CronFields, day: Date): boolean {
  return (
    years.has(day.getUTCFullYear()) &&
    months.has(day.getUTCMonth() + 1) &&
    daysOfMonth?.has(day.getUTCDate()) !== false &&
    daysOfWeek?.has(day.getUTCDay() + 1) !== false
  );
}

/** An instant -> what the clock on the wall shows then, as if that were UTC. */
type WallClock = (atMs: number) => number;

/** @throws RangeError for a time zone that there is not. */
function wallClock(timezone: string): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (atMs) => {
    const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const of = (type: Intl.DateTimeFormatPartTypes) => parts.get(type)!;
    return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  };
}

/** Of a time that the wall's clock shows twice the first; of one that it skips the moment an hour's jump later. */
function instantOf(wallMs: number, wall: WallClock): number {
  const offsets = [wall(wallMs - dayMs) - (wallMs - dayMs), wall(wallMs + dayMs) - (wallMs + dayMs)];
  const candidates = offsets.map((offset) => wallMs - offset).sort((a, b) => a - b);
  return candidates.find((atMs) => wall(atMs) === wallMs) ?? candidates.at(-1)!;
}
