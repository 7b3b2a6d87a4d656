/**
 * A session as text: twelve characters that no other save ever wrote, then the JSON of its data. And how two saves of
 * one session become one. Pure.
 */
import { SessionValueError } from '../errors.ts';

export type SessionData = Record<string, unknown>;

/** Changes with every save. */
const tokenLength = 12;

/** What a request knows of its session. */
export interface SessionBase {
  /** Of what stood in the shared tier when this request last looked or wrote. */
  readonly token: string;
  /** JSON of what stood there. */
  readonly stored: string;
  /** JSON of the data as this request last had it from there, or put it there: its changes count from here. */
  readonly known: string;
}

/** undefined: there is none, or it was destroyed. */
export function splitStored(
  text: string | null,
): { readonly token: string; readonly json: string } | undefined {
  if (text === null || text.length <= tokenLength) return undefined;
  return { token: text.slice(0, tokenLength), json: text.slice(tokenLength) };
}

/** Throws SessionValueError when it isn't one of ours. */
export function parseData(json: string): SessionData {
  try {
    const data: unknown = JSON.parse(json);
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as SessionData;
  } catch {
    // Not with the cause: it quotes what it read.
  }
  throw new SessionValueError('A stored session is no JSON object: did something else write its key?');
}

/** Throws SessionValueError. */
export function stringifyData(data: Readonly<SessionData>, maxBytes: number): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch {
    // Neither key nor value in the message: both may be secrets.
  }
  if (json === undefined || json[0] !== '{') {
    throw new SessionValueError(
      'A session holds what JSON can hold: no cycles, no bigints. Convert it before saving.',
    );
  }
  checkSize(json, maxBytes);
  return json;
}

/** Throws SessionValueError. */
export function checkSize(json: string, maxBytes: number): void {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (json.length * 3 <= maxBytes || Buffer.byteLength(json) <= maxBytes) return;
  throw new SessionValueError(
    `A session has at most ${maxBytes} bytes of JSON: keep ids in it, and what they name in the database.`,
  );
}

/**
 * A three-way merge by top-level keys: what changed from `known` to `wanted` (set, replaced or deleted), on top of
 * what is stored now. Values are compared and taken whole: merging inside them would bring back items that one
 * request removed. All three are JSON of objects, and so is the result.
 */
export function mergeData(known: string, wanted: string, stored: string): string {
  const [base, mine, theirs] = [textsOf(known), textsOf(wanted), textsOf(stored)];
  for (const [key, text] of mine) if (base.get(key) !== text) theirs.set(key, text);
  for (const key of base.keys()) if (!mine.has(key)) theirs.delete(key);
  return `{${[...theirs].map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;
}

/** The JSON of each value. The order of keys within a value counts as part of it. */
function textsOf(json: string): Map<string, string> {
  return new Map(Object.entries(parseData(json)).map(([key, value]) => [key, JSON.stringify(value)]));
}
