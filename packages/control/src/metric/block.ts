/** (pure) The summaries of a stretch of periods as one value of the database. */
import { type Summary, summaryOf, type ValueCount } from '@larder/metrics/summary';
import { byteReader, byteWriter } from './number-column.ts';

/** By the number of its period in the block. */
export type BlockPoints = Map<number, Summary>;

/** What comes after the points' numbers. */
const layouts = { single: 1, statistics: 2, spread: 3 } as const;

export function encodeBlock(points: BlockPoints): Uint8Array {
  const numbers = [...points.keys()].sort((a, b) => a - b);
  const summaries = numbers.map((number) => points.get(number)!);
  const writer = byteWriter();
  const layout = layoutOf(summaries);
  writer.whole(layout);
  writer.whole(numbers.length);
  // Without gaps these are all zeros.
  writer.column(numbers.map((number, index) => number - (index === 0 ? 0 : numbers[index - 1]! + 1)));
  if (layout === layouts.single) {
    writer.column(summaries.map(({ sum }) => sum));
    return writer.bytes();
  }
  writer.column(summaries.map(({ sampleCount }) => sampleCount));
  writer.column(summaries.map(({ sum }) => sum));
  writer.column(summaries.map(({ minimum }) => minimum));
  writer.column(summaries.map(({ maximum }) => maximum));
  if (layout === layouts.statistics) return writer.bytes();
  const all: ValueCount[] = [];
  for (const { values } of summaries) {
    writer.whole(values?.length ?? 0);
    if (values !== undefined) all.push(...values);
  }
  writer.column(all.map(([value]) => value));
  writer.column(all.map(([, count]) => count));
  return writer.bytes();
}

/** @throws RangeError for what is no block. */
export function decodeBlock(bytes: Uint8Array | ArrayBuffer): BlockPoints {
  const reader = byteReader(bytes);
  const layout = reader.whole();
  const count = reader.whole();
  let next = 0;
  const numbers = reader.column(count).map((passed) => {
    const number = next + passed;
    next = number + 1;
    return number;
  });
  if (layout === layouts.single) {
    const values = reader.column(count);
    return new Map(numbers.map((number, index) => [number, summaryOf(values[index]!)]));
  }
  const counts = reader.column(count);
  const sums = reader.column(count);
  const minima = reader.column(count);
  const maxima = reader.column(count);
  const summaryAt = (index: number): Summary => ({
    sampleCount: counts[index]!,
    sum: sums[index]!,
    minimum: minima[index]!,
    maximum: maxima[index]!,
  });
  if (layout === layouts.statistics) {
    return new Map(numbers.map((number, index) => [number, summaryAt(index)]));
  }
  const lengths = numbers.map(() => reader.whole());
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const values = reader.column(total);
  const times = reader.column(total);
  let from = 0;
  return new Map(
    numbers.map((number, index) => {
      const to = from + lengths[index]!;
      const spread = values.slice(from, to).map((value, at) => [value, times[from + at]!] as const);
      from = to;
      return [number, { ...summaryAt(index), ...(spread.length > 0 && { values: spread }) }];
    }),
  );
}

/** Of one value: all of it follows from that. */
export function isSingle({ sampleCount, sum, minimum, maximum }: Summary): boolean {
  return sampleCount === 1 && minimum === sum && maximum === sum;
}

function layoutOf(summaries: readonly Summary[]): number {
  if (summaries.every(isSingle)) return layouts.single;
  return summaries.every(({ values }) => values === undefined) ? layouts.statistics : layouts.spread;
}
