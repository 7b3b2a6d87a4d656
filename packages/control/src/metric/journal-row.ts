/** What was recorded at one time as one value of the database. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Datum, Summary } from '@larder/metrics/summary';
import { isSingle } from './block.ts';

export interface JournalRow {
  /** Of single values: their series, when, and what they are. */
  readonly series: number[];
  readonly times: number[];
  readonly values: number[];
  readonly others: { readonly series: number; readonly datum: Datum }[];
}

export function emptyRow(): JournalRow {
  return { series: [], times: [], values: [], others: [] };
}

export function isEmpty({ series, others }: JournalRow): boolean {
  return series.length === 0 && others.length === 0;
}

export function addToRow(row: JournalRow, series: number, atMs: number, summary: Summary): void {
  if (isSingle(summary)) {
    row.series.push(series);
    row.times.push(atMs);
    row.values.push(summary.sum);
  } else row.others.push({ series, datum: { atMs, summary } });
}

const fastest = 1;
/** A row is at most what one call may record. */
const mostBytes = 256 * 1024 * 1024;

export function encodeJournalRow({ series, times, values, others }: JournalRow): Uint8Array {
  const text = Buffer.from(JSON.stringify(others));
  // Columns: alike stands beside alike.
  const count = series.length;
  const numbers = new Float64Array(1 + 3 * count);
  numbers[0] = count;
  numbers.set(series, 1);
  numbers.set(times, 1 + count);
  numbers.set(values, 1 + 2 * count);
  return deflateRawSync(Buffer.concat([Buffer.from(numbers.buffer), text]), { level: fastest });
}

/** @throws for what is no such row. */
export function decodeJournalRow(bytes: Uint8Array | ArrayBuffer): JournalRow {
  const buffer = inflateRawSync(bytes, { maxOutputLength: mostBytes });
  const count = buffer.readDoubleLE(0);
  const column = (number: number) =>
    Array.from({ length: count }, (_, index) => buffer.readDoubleLE((1 + number * count + index) * 8));
  const others = JSON.parse(buffer.toString('utf8', (1 + 3 * count) * 8)) as JournalRow['others'];
  return { series: column(0), times: column(1), values: column(2), others };
}
