/**
 * Dates of the "Online Retail" layout. Copies of it differ: day/month/year or month/day/year, years of four
 * or two digits. One date cannot tell; the whole file usually can, because some day is above 12.
 */

export type DateOrder = 'dmy' | 'mdy';

export interface DateEvidence {
  /** Lines whose date is valid in this order only. */
  dmyOnly: number;
  mdyOnly: number;
}

/** Year, month and day can be told apart only by knowing the order; a date may fit one, both or none. */
export function noteDate(text: string, evidence: DateEvidence): void {
  const asDmy = parseDate(text, 'dmy') !== undefined;
  const asMdy = parseDate(text, 'mdy') !== undefined;
  if (asDmy && !asMdy) evidence.dmyOnly += 1;
  if (asMdy && !asDmy) evidence.mdyOnly += 1;
}

/** Undefined when the file does not say, or contradicts itself. */
export function orderFrom(evidence: DateEvidence): DateOrder | undefined {
  if (evidence.dmyOnly > 0 && evidence.mdyOnly === 0) return 'dmy';
  if (evidence.mdyOnly > 0 && evidence.dmyOnly === 0) return 'mdy';
  return undefined;
}

const pattern = /^(\d{1,2})\/(\d{1,2})\/(\d{4}|\d{2})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?)?$/;

/** Seconds since 1970, taking the text as UTC; undefined when it is no date of this order. */
export function parseDate(text: string, order: DateOrder): number | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [day, month] =
    order === 'dmy' ? [Number(match[1]), Number(match[2])] : [Number(match[2]), Number(match[1])];
  const year = match[3]!.length === 2 ? 2000 + Number(match[3]) : Number(match[3]);
  const [hour, minute, second] = [match[4], match[5], match[6]].map((part) => Number(part ?? 0));
  if (hour! > 23 || minute! > 59 || second! > 59 || year < 1990 || year > 2100) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC turns 31 February into 3 March; a date that came back different was none.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.getTime() / 1_000;
}
