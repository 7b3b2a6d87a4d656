/** What was recorded at one time as one value of the database. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type Summary, summaryOf } from '@larder/metrics/summary';
import { isSingle } from './block.ts';

export interface JournalDatum {
  readonly series: number;
  readonly atMs: number;
  readonly summary: Summary;
}

/** Series, seconds and value of a single one. */
const singleBytes = 4 + 8 + 8;
const fastest = 1;
/** A row is at most what one call may record. */
const mostBytes = 256 * 1024 * 1024;

export function encodeJournalRow(data: readonly JournalDatum[]): Uint8Array {
  const singles = data.filter(({ summary }) => isSingle(summary));
  const others = data.filter(({ summary }) => !isSingle(summary));
  const text = Buffer.from(
    JSON.stringify(others.map(({ series, atMs, summary }) => [series, atMs, summary])),
  );
  const buffer = Buffer.allocUnsafe(4 + singles.length * singleBytes + text.length);
  buffer.writeUInt32LE(singles.length, 0);
  // Columns: alike stands beside alike.
  const [times, values] = [4 + singles.length * 4, 4 + singles.length * 12];
  singles.forEach(({ series, atMs, summary }, index) => {
    buffer.writeUInt32LE(series, 4 + index * 4);
    buffer.writeDoubleLE(atMs, times + index * 8);
    buffer.writeDoubleLE(summary.sum, values + index * 8);
  });
  text.copy(buffer, 4 + singles.length * singleBytes);
  return deflateRawSync(buffer, { level: fastest });
}

/** @throws for what is no such row. */
export function decodeJournalRow(bytes: Uint8Array | ArrayBuffer): JournalDatum[] {
  const buffer = inflateRawSync(bytes, { maxOutputLength: mostBytes });
  const count = buffer.readUInt32LE(0);
  const [times, values] = [4 + count * 4, 4 + count * 12];
  const data: JournalDatum[] = Array.from({ length: count }, (_, index) => ({
    series: buffer.readUInt32LE(4 + index * 4),
    atMs: buffer.readDoubleLE(times + index * 8),
    summary: summaryOf(buffer.readDoubleLE(values + index * 8)),
  }));
  const others = JSON.parse(buffer.toString('utf8', 4 + count * singleBytes)) as [number, number, Summary][];
  for (const [series, atMs, summary] of others) data.push({ series, atMs, summary });
  return data;
}
