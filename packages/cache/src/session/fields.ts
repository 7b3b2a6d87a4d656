/** From a session's data to the fields of its hash, and back. Pure. */
import { SessionValueError } from '../errors.ts';

export type SessionData = Record<string, unknown>;

/** As the engine holds them: field, text, field, text, … and the version among them. */
export type FlatFields = readonly string[];

/** What a request knew when it last loaded or saved the session. */
export interface SessionBase {
  readonly version: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** What a save has to write. */
export interface Changes {
  readonly removed: readonly string[];
  /** field, text, field, text, … */
  readonly written: readonly string[];
}

export const versionField = '#';
const destroyedMark = 'x';
/** The scripts hand all fields to one command, which Lua bounds. */
const maxKeys = 1_000;

function fieldOf(key: string): string {
  return key.startsWith(versionField) ? versionField + key : key;
}

/** undefined: there is no such session, or it was destroyed. Throws SessionValueError when it isn't one of ours. */
export function decodeFields(
  flat: FlatFields,
): { readonly data: SessionData; readonly version: string } | undefined {
  const data: SessionData = {};
  let version: string | undefined;
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const field = flat[at]!;
    const text = flat[at + 1]!;
    if (field.charCodeAt(0) !== 35) {
      if (field === '__proto__') own(data, field, parse(text));
      else data[field] = parse(text);
    } else if (field === versionField) version = text;
    else data[field.slice(1)] = parse(text);
  }
  return version === undefined || version === destroyedMark ? undefined : { data, version };
}

/** Assigning would set the prototype. */
function own(data: SessionData, key: string, value: unknown): void {
  Object.defineProperty(data, key, { value, enumerable: true, configurable: true, writable: true });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SessionValueError('A stored session is not JSON: did something else write its key?');
  }
}

/** The fields without the version. */
export function fieldsOf(flat: FlatFields): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(flat[at]!, flat[at + 1]!);
  fields.delete(versionField);
  return fields;
}

/** What JSON leaves out of an object (undefined, functions) is left out. Throws SessionValueError. */
export function encodeFields(data: Readonly<SessionData>, maxBytes: number): Map<string, string> {
  const fields = new Map<string, string>();
  let bytes = 0;
  for (const key of Object.keys(data)) {
    const text = stringify(data[key]);
    if (text === undefined) continue;
    const field = fieldOf(key);
    bytes += Buffer.byteLength(field) + Buffer.byteLength(text);
    fields.set(field, text);
  }
  if (bytes > maxBytes) throw tooLarge(maxBytes);
  if (fields.size > maxKeys) {
    throw new SessionValueError(
      `A session has at most ${maxKeys} top-level keys: put what grows under one key.`,
    );
  }
  return fields;
}

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    // Neither key nor value in the message: both may be secrets.
    throw new SessionValueError(
      'A session holds what JSON can hold: no cycles, no bigints. Convert it before saving.',
    );
  }
}

export function tooLarge(maxBytes: number): SessionValueError {
  return new SessionValueError(
    `A session has at most ${maxBytes} bytes of JSON: keep ids in it, and what they name in the database.`,
  );
}

/** What changed between what was known and what is to be saved; all of it when nothing was known. */
export function changesBetween(
  known: ReadonlyMap<string, string> | undefined,
  wanted: ReadonlyMap<string, string>,
): Changes {
  const written: string[] = [];
  for (const [field, text] of wanted) if (known?.get(field) !== text) written.push(field, text);
  const removed: string[] = [];
  if (known !== undefined) for (const field of known.keys()) if (!wanted.has(field)) removed.push(field);
  return { removed, written };
}
