/**
 * The format of an entry in the shared tier. Text, so that any language and any person with a command line can
 * read it. See docs/entry-format.md.
 *
 *   offset  length  field
 *        0       3  magic and format version: LC1
 *        3       1  kind: j = a JSON document follows, n = known absent, nothing follows
 *        4      12  epoch of the partition, hex
 *       16      16  position (watermark) of the database that the loader has certainly seen, hex
 *       32      12  time of the fill on the engine's clock, ms since 1970, hex
 *       44      12  end of freshness on the engine's clock, ms since 1970, hex
 *       56       1  line feed
 *       57       -  the JSON document in UTF-8
 *
 * All hex digits are lowercase. A reader treats anything else, a newer format included, as a miss.
 */

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

export function encodeEntry(entry: Entry): string {
  const kind = entry.payload === null ? 'n' : 'j';
  const times = hex12(entry.filledAtMs) + hex12(entry.freshUntilMs);
  return `${magic}${kind}${entry.epoch}${entry.position}${times}\n${entry.payload ?? ''}`;
}

/** @returns undefined for what is not an entry of this format and this epoch. Never throws. */
export function decodeEntry(text: string, epoch: string): Entry | undefined {
  if (!text.startsWith(magic) || text.charCodeAt(headerLength - 1) !== 10) return undefined;
  if (!text.startsWith(epoch, 4)) return undefined;
  const kind = text[3];
  const filledAtMs = Number.parseInt(text.slice(32, 44), 16);
  const freshUntilMs = Number.parseInt(text.slice(44, 56), 16);
  if (Number.isNaN(filledAtMs) || Number.isNaN(freshUntilMs)) return undefined;
  const position = text.slice(16, 32);
  if (kind === 'j') return { epoch, position, filledAtMs, freshUntilMs, payload: text.slice(headerLength) };
  if (kind === 'n') return { epoch, position, filledAtMs, freshUntilMs, payload: null };
  return undefined;
}
