/**
 * The format of an entry in the shared tier. Text, so that any language and any person with a command line can
 * read it. See docs/entry-format.md.
 *
 *   offset  length  field
 *        0       3  magic and format version: LC1
 *        3       1  kind: j = a JSON document follows, z = one follows that is compressed (deflate, base64),
 *                   n = known absent, nothing follows
 *        4      12  epoch of the partition, hex
 *       16      16  position (watermark) of the database that the loader has certainly seen, hex
 *       32      12  time of the fill on the engine's clock, ms since 1970, hex
 *       44      12  end of freshness on the engine's clock, ms since 1970, hex
 *       56       1  line feed
 *       57       -  the JSON document in UTF-8, or base64
 *
 * All hex digits are lowercase. A reader treats anything else, a newer format included, as a miss.
 */

import { deflateRawSync, inflateRawSync } from 'node:zlib';

export const headerLength = 57;
const magic = 'LC1';

export interface EntryHeader {
  readonly epoch: string;
  readonly position: string;
  readonly filledAtMs: number;
  readonly freshUntilMs: number;
}

export interface Entry extends EntryHeader {
  /** JSON text, or null for "known absent". */
  readonly payload: string | null;
}

export function hex12(value: number): string {
  return Math.max(0, Math.floor(value)).toString(16).padStart(12, '0');
}

/** @param compressAboveLength of the JSON text, in UTF-16 code units. */
export function encodeEntry(entry: Entry, compressAboveLength: number = Number.POSITIVE_INFINITY): string {
  const { payload } = entry;
  const times = hex12(entry.filledAtMs) + hex12(entry.freshUntilMs);
  const rest = `${entry.epoch}${entry.position}${times}\n`;
  if (payload === null) return `${magic}n${rest}`;
  if (payload.length <= compressAboveLength) return `${magic}j${rest}${payload}`;
  return `${magic}z${rest}${deflateRawSync(payload, { level: 1 }).toString('base64')}`;
}

/** More than this is no entry of ours: a small text can be made to unfold into any amount of memory. */
const maxInflatedBytes = 256 * 2 ** 20;

function inflate(base64: string): string | undefined {
  try {
    const bytes = inflateRawSync(Buffer.from(base64, 'base64'), { maxOutputLength: maxInflatedBytes });
    return bytes.toString('utf8');
  } catch {
    return undefined;
  }
}

/** The part of an entry that a read needs. */
export interface EntryBody {
  readonly freshUntilMs: number;
  /** JSON text, or null for "known absent". */
  readonly payload: string | null;
}

/** @returns undefined for what is not an entry of this format and this epoch. Never throws. */
export function decodeBody(text: string, epoch: string): EntryBody | undefined {
  if (!text.startsWith(epoch, 4) || !text.startsWith(magic)) return undefined;
  if (text.charCodeAt(headerLength - 1) !== 10) return undefined;
  const freshUntilMs = Number.parseInt(text.slice(44, 56), 16);
  if (Number.isNaN(freshUntilMs)) return undefined;
  const kind = text[3];
  if (kind === 'j') return { freshUntilMs, payload: text.slice(headerLength) };
  if (kind === 'n') return text.length === headerLength ? { freshUntilMs, payload: null } : undefined;
  if (kind !== 'z') return undefined;
  const payload = inflate(text.slice(headerLength));
  return payload === undefined ? undefined : { freshUntilMs, payload };
}

/** What the loader has certainly seen, of a text that is an entry. */
export function positionOf(text: string): string {
  return text.slice(16, 32);
}

/** The same, with what only people want to know. */
export function decodeEntry(text: string, epoch: string): Entry | undefined {
  const body = decodeBody(text, epoch);
  const filledAtMs = Number.parseInt(text.slice(32, 44), 16);
  if (body === undefined || Number.isNaN(filledAtMs)) return undefined;
  return { ...body, epoch, position: positionOf(text), filledAtMs };
}
