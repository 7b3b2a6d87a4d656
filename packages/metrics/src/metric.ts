/** (pure) The nouns of measuring: CloudWatch's words. */

/** CloudWatch's units, as they stand on the wire. */
export const units = [
  'Seconds',
  'Microseconds',
  'Milliseconds',
  'Bytes',
  'Kilobytes',
  'Megabytes',
  'Gigabytes',
  'Terabytes',
  'Bits',
  'Kilobits',
  'Megabits',
  'Gigabits',
  'Terabits',
  'Percent',
  'Count',
  'Bytes/Second',
  'Kilobytes/Second',
  'Megabytes/Second',
  'Gigabytes/Second',
  'Terabytes/Second',
  'Bits/Second',
  'Kilobits/Second',
  'Megabits/Second',
  'Gigabits/Second',
  'Terabits/Second',
  'Count/Second',
  'None',
] as const;

export type Unit = (typeof units)[number];

export interface Dimension {
  readonly name: string;
  readonly value: string;
}

/** What is measured, of what. Two metrics are the same when all three are; the order of dimensions says nothing. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: readonly Dimension[];
}

/** One key for one metric, whatever the order of its dimensions. For maps and for the store. */
export function metricKey({ namespace, name, dimensions }: Metric): string {
  const pairs = dimensions.map((dimension) => [dimension.name, dimension.value] as const);
  return JSON.stringify([namespace, name, ...pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))]);
}

/** What our own nodes' metrics are published under. */
export const elastiCacheNamespace = 'AWS/ElastiCache';
