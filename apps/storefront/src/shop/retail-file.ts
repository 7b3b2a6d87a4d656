/**
 * Reads a file of the "Online Retail" layout twice: once to learn its encoding, its header and its order of
 * day and month, once for its lines. Never holds more than a batch of lines.
 */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { boundedLines } from './bounded-lines.ts';
import { type DateEvidence, type DateOrder, noteDate, orderFrom } from './retail-date.ts';
import { type Refusal, readSale, retailHeader, type Sale } from './retail-line.ts';

/** The file as a whole cannot be imported; the message says why and what to do. */
export class ImportError extends Error {
  override name = 'ImportError';
}

export interface RetailFile {
  readonly path: string;
  readonly encoding: 'utf-8' | 'windows-1252';
  readonly dates: DateOrder;
  /** SHA-256 of its bytes, hex. */
  readonly digest: string;
}

/** What one line is, with its number from 1 (the header's). */
export type RetailLine =
  | { readonly number: number; readonly sale: Sale }
  | { readonly number: number; readonly refusal: Refusal };

const longestLineBytes = 2_000;
const mostLines = 2_000_000;
const batchLines = 500;
const dateField = retailHeader.indexOf('InvoiceDate');

/**
 * @param dates overrides what the file itself says about day and month.
 * @throws ImportError when the file is not of this layout, or leaves open which number is the month.
 */
export async function inspectRetailFile(path: string, dates?: DateOrder): Promise<RetailFile> {
  await access(path, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'does not exist' : `can't be read (${error.code})`;
    throw new ImportError(`The file ${path} ${why}. Give the path of a CSV file that you may read.`);
  });
  const hash = createHash('sha256');
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  let isUtf8 = true;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      isUtf8 &&= decodes(utf8, chunk, true);
      yield chunk;
    }
    isUtf8 &&= decodes(utf8, new Uint8Array(), false);
  }

  const evidence: DateEvidence = { dmyOnly: 0, mdyOnly: 0 };
  let lineCount = 0;
  for await (const batch of batches(watched(), 'windows-1252')) {
    for (const { number, fields } of batch) {
      if (number === 1) checkHeader(fields);
      else if (fields?.[dateField] !== undefined) noteDate(fields[dateField].trim(), evidence);
    }
    lineCount += batch.length;
    if (lineCount > mostLines) {
      throw new ImportError(
        `The file has more than ${mostLines.toLocaleString('en')} lines. Import a part of it.`,
      );
    }
  }
  if (lineCount === 0) throw new ImportError('The file is empty.');
  const order = dates ?? orderFrom(evidence);
  if (order === undefined) {
    const contradiction = evidence.dmyOnly > 0 && evidence.mdyOnly > 0;
    throw new ImportError(
      contradiction
        ? `The dates contradict each other: ${evidence.dmyOnly} lines can only be day/month/year, ` +
            `${evidence.mdyOnly} only month/day/year. Say which one holds with --dates dmy or --dates mdy.`
        : 'The dates leave open whether the day or the month comes first: no number in them is above 12. ' +
            'Say which with --dates dmy or --dates mdy.',
    );
  }
  return { path, encoding: isUtf8 ? 'utf-8' : 'windows-1252', dates: order, digest: hash.digest('hex') };
}

/** Every line after the header, in the file's order; empty lines are left out. */
export async function* retailLines(file: RetailFile): AsyncGenerator<RetailLine> {
  for await (const batch of batches(createReadStream(file.path), file.encoding)) {
    for (const { number, fields } of batch) {
      if (number === 1) continue;
      if (fields === undefined) {
        yield { number, refusal: 'line too long' };
        continue;
      }
      const sale = readSale(fields, file.dates);
      yield typeof sale === 'string' ? { number, refusal: sale } : { number, sale };
    }
  }
}

interface ReadLine {
  readonly number: number;
  /** Undefined when too long; empty when it is not CSV. */
  readonly fields: readonly string[] | undefined;
}

/**
 * No field of this layout holds a line end, so each line must be whole by itself: a quote that somebody
 * forgot to close then spoils one line and not the rest of the file.
 */
async function* batches(
  chunks: AsyncIterable<Uint8Array>,
  encoding: RetailFile['encoding'],
): AsyncGenerator<ReadLine[]> {
  const decoder = new TextDecoder(encoding);
  let batch: { number: number; text: string | undefined }[] = [];
  for await (const line of boundedLines(chunks, longestLineBytes)) {
    const { number } = line;
    if (number === 1) refuseOtherFormats(line.bytes);
    const bytes =
      number === 1 && startsWith(line.bytes, '\xef\xbb\xbf') ? line.bytes?.subarray(3) : line.bytes;
    if (bytes?.length === 0) continue;
    batch.push({ number, text: bytes && decoder.decode(bytes) });
    if (batch.length < batchLines) continue;
    yield readBatch(batch);
    batch = [];
  }
  if (batch.length > 0) yield readBatch(batch);
}

function readBatch(batch: readonly { number: number; text: string | undefined }[]): ReadLine[] {
  const whole = batch.flatMap(({ text }) => (text === undefined ? [] : [text]));
  // All at once is ten times quicker; a batch with a bad line in it is read again line by line.
  const rows = parseLines(whole);
  let next = 0;
  return batch.map(({ number, text }) => {
    if (text === undefined) return { number, fields: undefined };
    const fields = rows?.[next] ?? parseLines([text])?.[0] ?? [];
    next += 1;
    return { number, fields };
  });
}

/** One row per line, or undefined when the lines are not rows one by one. */
function parseLines(lines: readonly string[]): string[][] | undefined {
  try {
    const rows: string[][] = parse(lines.join('\n'), { relax_column_count: true, record_delimiter: '\n' });
    return rows.length === lines.length ? rows : undefined;
  } catch {
    return undefined;
  }
}

function refuseOtherFormats(bytes: Uint8Array | undefined): void {
  if (startsWith(bytes, 'PK\x03\x04')) {
    throw new ImportError(
      'This is a spreadsheet or an archive. Save the sheet as CSV (comma separated) first.',
    );
  }
  if (startsWith(bytes, '\xff\xfe') || startsWith(bytes, '\xfe\xff')) {
    throw new ImportError('This file is UTF-16. Save it as UTF-8 first.');
  }
}

function startsWith(bytes: Uint8Array | undefined, mark: string): boolean {
  return bytes !== undefined && Buffer.from(bytes.subarray(0, mark.length)).toString('latin1') === mark;
}

function checkHeader(fields: readonly string[] | undefined): void {
  const names = (fields ?? []).map((name) => name.trim());
  const matches = retailHeader.every((name, index) => name.toLowerCase() === names[index]?.toLowerCase());
  if (matches && names.length === retailHeader.length) return;
  const found = names
    .join(',')
    .slice(0, 200)
    .replace(/[^\x20-\x7e]/g, '?');
  throw new ImportError(`The first line must be "${retailHeader.join(',')}", and is "${found}".`);
}

function decodes(decoder: TextDecoder, chunk: Uint8Array, stream: boolean): boolean {
  try {
    decoder.decode(chunk, { stream });
    return true;
  } catch {
    return false;
  }
}
