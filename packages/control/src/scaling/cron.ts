/**
 * (pure) AWS's cron expressions: `minutes hours day-of-month month day-of-week year`, where one of the two days is `?`.
 * Lists, ranges, steps and names are read; `L`, `W` and `#` are not, and are refused.
 */

export interface CronFields {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  /** Undefined: any. */
  readonly daysOfMonth: ReadonlySet<number> | undefined;
  readonly months: ReadonlySet<number>;
  /** 1 is Sunday. Undefined: any. */
  readonly daysOfWeek: ReadonlySet<number> | undefined;
  readonly years: ReadonlySet<number>;
}

const monthNames = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const dayNames = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const firstYear = 1970;
const lastYear = 2199;
const longestField = 200;

/** @returns undefined when it is no such expression. */
export function parseCron(text: string): CronFields | undefined {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 6 || fields.some((field) => field.length > longestField)) return undefined;
  const [minute, hour, dayOfMonth, month, dayOfWeek, year] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  // Both days would be two answers to one question.
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) return undefined;
  const minutes = parseField(minute, 0, 59);
  const hours = parseField(hour, 0, 23);
  const daysOfMonth = dayOfMonth === '?' ? undefined : parseField(dayOfMonth, 1, 31);
  const months = parseField(month, 1, 12, monthNames);
  const daysOfWeek = dayOfWeek === '?' ? undefined : parseField(dayOfWeek, 1, 7, dayNames);
  const years = parseField(year, firstYear, lastYear);
  if (minutes === undefined || hours === undefined || months === undefined || years === undefined)
    return undefined;
  if ((dayOfMonth !== '?' && daysOfMonth === undefined) || (dayOfWeek !== '?' && daysOfWeek === undefined)) {
    return undefined;
  }
  return { minutes, hours, daysOfMonth, months, daysOfWeek, years };
}

/** `*`, `5`, `MON`, `1-5`, `0/15`, `1-31/2`, and lists of them. @param names of the values from `least` on. */
function parseField(
  text: string,
  least: number,
  most: number,
  names: readonly string[] = [],
): ReadonlySet<number> | undefined {
  const numberOf = (word: string): number => {
    const named = names.indexOf(word.toUpperCase());
    if (named >= 0) return named + least;
    return /^\d{1,4}$/.test(word) ? Number(word) : Number.NaN;
  };
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [range, stepText, ...surplus] = part.split('/') as [string, string?, ...string[]];
    const step = stepText === undefined ? 1 : /^\d{1,4}$/.test(stepText) ? Number(stepText) : 0;
    if (step < 1 || surplus.length > 0) return undefined;
    const [fromText, toText, ...more] = range.split('-') as [string, string?, ...string[]];
    if (more.length > 0) return undefined;
    const from = range === '*' ? least : numberOf(fromText);
    const alone = range !== '*' && toText === undefined && stepText === undefined;
    const to = toText !== undefined ? numberOf(toText) : alone ? from : most;
    if (!(from >= least && to <= most && from <= to)) return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}
