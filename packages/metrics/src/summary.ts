/**
 * (pure) What is kept of the values that fell into one period: CloudWatch's statistic set, and, where percentiles can be
 * asked for, how the values are spread.
 */

/** A value, and how often it was there. */
export type ValueCount = readonly [value: number, count: number];

export interface Summary {
  /** More than 0. A period without values has no summary: a gap is not a zero. */
  readonly sampleCount: number;
  readonly sum: number;
  readonly minimum: number;
  readonly maximum: number;
  /**
   * Ascending by value. Missing when the values are not known any more (a statistic set was given, of more than one
   * value): then there are no percentiles. Bounded: neighbours are joined where there would be too many.
   */
  readonly values?: readonly ValueCount[];
}

/** The values of one period; what all of a metric's periods are made of. */
export interface Datum {
  readonly atMs: number;
  readonly summary: Summary;
}

export function summaryOf(value: number): Summary {
  return { sampleCount: 1, sum: value, minimum: value, maximum: value, values: [[value, 1]] };
}
