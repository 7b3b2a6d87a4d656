/**
 * The `struct` library of the engines: > < = and !n set the order of bytes (alignment is not done), then
 * b B h H l L i I with an optional size in bytes, f d, s (ends at a zero byte), c with a size, x.
 */
import type { LuaValue } from './lua.ts';

interface Field {
  readonly kind: string;
  readonly size: number | undefined;
  readonly big: boolean;
}

const sizes: Readonly<Record<string, number>> = { b: 1, h: 2, i: 4, l: 8, t: 8, f: 4, d: 8 };

function fieldsOf(format: Buffer): Field[] {
  const fields: Field[] = [];
  let big = false;
  for (const [part, kind, size] of format.toString('latin1').matchAll(/([<>=!a-zA-Z])(\d*)|[\s\S]/g)) {
    if (kind === undefined) {
      if (part === ' ') continue;
      throw new Error(`invalid format option '${part}'`);
    }
    if (kind === '>') big = true;
    else if (kind === '<' || kind === '=') big = false;
    else if (kind !== '!') fields.push({ kind, size: size === '' ? undefined : Number(size), big });
  }
  return fields;
}

function widthOf({ kind, size }: Field): number {
  const width = /[iI]/.test(kind) ? (size ?? 4) : sizes[kind.toLowerCase()];
  if (width === undefined) throw new Error(`invalid format option '${kind}'`);
  if (width < 1 || width > 8) throw new Error(`integral size ${width} is larger than limit of 8`);
  return width;
}

export function pack(format: Buffer, values: readonly LuaValue[]): Buffer {
  const parts: Buffer[] = [];
  let next = 0;
  for (const field of fieldsOf(format)) {
    if (field.kind === 'x') {
      parts.push(Buffer.alloc(1));
      continue;
    }
    const value = values[next++];
    if (field.kind === 's' || field.kind === 'c') {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
      const size = field.kind === 's' || field.size === 0 ? bytes.length : (field.size ?? 1);
      if (bytes.length < size) throw new Error('string too short');
      parts.push(bytes.subarray(0, size));
      if (field.kind === 's') parts.push(Buffer.alloc(1));
      continue;
    }
    parts.push(packNumber(field, Number(value)));
  }
  return Buffer.concat(parts);
}

function packNumber(field: Field, value: number): Buffer {
  const width = widthOf(field);
  const bytes = Buffer.alloc(width);
  if (Number.isNaN(value)) throw new Error('number expected');
  if (/[fd]/.test(field.kind)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, width);
    if (field.kind === 'f') view.setFloat32(0, value, !field.big);
    else view.setFloat64(0, value, !field.big);
    return bytes;
  }
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
  for (let i = 0; i < width; i += 1) {
    bytes[field.big ? width - 1 - i : i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The values, then the place of the first byte that was not read. */
export function unpack(format: Buffer, bytes: Buffer, from: LuaValue | undefined): LuaValue[] {
  let at = typeof from === 'number' ? from - 1 : 0;
  const values: LuaValue[] = [];
  const take = (width: number): Buffer => {
    if (at + width > bytes.length) throw new Error('data string too short');
    at += width;
    return bytes.subarray(at - width, at);
  };
  for (const field of fieldsOf(format)) {
    if (field.kind === 'x') take(1);
    else if (field.kind === 's') {
      const end = bytes.indexOf(0, at);
      if (end < 0) throw new Error('unfinished string in data');
      values.push(Buffer.from(take(end - at)));
      at += 1;
    } else if (field.kind === 'c') {
      const size = field.size === 0 ? Number(values.pop()) : (field.size ?? 1);
      values.push(Buffer.from(take(size)));
    } else values.push(unpackNumber(field, take(widthOf(field))));
  }
  values.push(at + 1);
  return values;
}

function unpackNumber(field: Field, bytes: Buffer): number {
  const width = bytes.length;
  if (/[fd]/.test(field.kind)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, width);
    return field.kind === 'f' ? view.getFloat32(0, !field.big) : view.getFloat64(0, !field.big);
  }
  let value = 0n;
  for (let i = 0; i < width; i += 1) value = (value << 8n) | BigInt(bytes[field.big ? i : width - 1 - i]!);
  const signed = field.kind === field.kind.toLowerCase();
  return Number(signed ? BigInt.asIntN(width * 8, value) : value);
}
