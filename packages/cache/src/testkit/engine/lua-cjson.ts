/** `cjson.encode` and `cjson.decode` for lists and plain values. */
import type { LuaValue } from './lua.ts';
import { numberText } from './number-text.ts';

/** An empty table is an object, as cjson has it. */
export function encodeJson(value: LuaValue): Buffer {
  return Buffer.from(textOf(value), 'latin1');
}

function textOf(value: LuaValue): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return numberText(value, 14);
  if (Buffer.isBuffer(value)) return JSON.stringify(value.toString('latin1')).replaceAll('/', '\\/');
  if (Array.isArray(value)) {
    const list = value as readonly LuaValue[];
    return list.length === 0 ? '{}' : `[${list.map(textOf).join(',')}]`;
  }
  const fields = Object.entries(value as { readonly [field: string]: LuaValue });
  return `{${fields.map(([field, part]) => `${JSON.stringify(field)}:${textOf(part)}`).join(',')}}`;
}

export function decodeJson(text: Buffer): LuaValue {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.toString('utf8'));
  } catch {
    throw new Error('Expected value but found invalid token');
  }
  return toLua(parsed);
}

function toLua(value: unknown): LuaValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (Array.isArray(value)) return value.map(toLua);
  return Object.fromEntries(Object.entries(value as object).map(([field, part]) => [field, toLua(part)]));
}
