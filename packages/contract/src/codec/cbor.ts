/**
 * Smithy's RPC v2 protocol over CBOR (RFC 8949), server side. Timestamps are tag 1 over seconds, whole or not.
 *
 * The SDK's own decoder is made for a server that it trusts: it allocates what a length announces, and follows any
 * nesting. So requests are parsed here, within bounds; only responses are written by the SDK's encoder.
 */
import { cbor, tag } from '@smithy/core/cbor';
import { serviceError } from '../errors.ts';
import type { OperationModel } from '../service-model.ts';
import type { DecodedStructure } from './query.ts';
import { decodeTree, encodeTree, type TreeDialect } from './tree.ts';

/** Several times what the deepest request needs. */
export const MAX_CBOR_DEPTH = 32;
/** More than the largest request needs: 1,000 metrics of 150 values with their counts. */
export const MAX_CBOR_VALUES = 500_000;

/** A value behind tag 1. Kept apart: a plain number is no timestamp. */
class EpochSeconds {
  readonly seconds: number;
  constructor(seconds: number) {
    this.seconds = seconds;
  }
}

const dialect: TreeDialect = {
  timestampIs: 'a number of seconds since 1970 under tag 1',
  readTimestamp: (value) => (value instanceof EpochSeconds ? value.seconds : undefined),
  writeTimestamp: (value) => tag({ tag: 1, value: value.getTime() / 1000 }),
  readBlob: (value) => (value instanceof Uint8Array ? value : undefined),
  writeBlob: (value) => value,
};

/**
 * Decodes a request's body, which its reader has bounded, by the operation's input shape; an empty one is `{}`.
 * Integers and floats stand for each other, and anything may be of indefinite length.
 *
 * @throws ServiceError MalformedInput for what is no single CBOR value, nests deeper than MAX_CBOR_DEPTH, has more
 *   than MAX_CBOR_VALUES, or a key that is no text or is there twice; and as decodeTree.
 */
export function decodeCbor(operation: OperationModel, body: Uint8Array): DecodedStructure {
  return decodeTree(operation, body.byteLength === 0 ? {} : parse(body), dialect);
}

/** The body of a successful response. @throws TypeError as encodeTree. */
export function encodeCbor(operation: OperationModel, output: unknown): Uint8Array<ArrayBuffer> {
  // Copied: the encoder's buffer is used again for the next response.
  return new Uint8Array(cbor.serialize(encodeTree(operation, output, dialect)));
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
const indefinite = 31;
const epochTag = 1;
/** The end of something of indefinite length. */
const breakMark = Symbol('break');

interface Reader {
  readonly view: DataView;
  at: number;
  values: number;
}

function parse(body: Uint8Array): unknown {
  const reader: Reader = {
    view: new DataView(body.buffer, body.byteOffset, body.byteLength),
    at: 0,
    values: 0,
  };
  let value: unknown;
  try {
    value = readValue(reader, 0);
  } catch (thrown) {
    // Both mean an end before its time, or a text that is no UTF-8; whatever else is ours.
    if (thrown instanceof RangeError || thrown instanceof TypeError) throw malformed();
    throw thrown;
  }
  if (value === breakMark || reader.at !== body.byteLength) throw malformed();
  return value;
}

/** @throws RangeError at the end of the bytes (DataView's own), TypeError for a text that is no UTF-8. */
function readValue(reader: Reader, depth: number): unknown {
  if (depth > MAX_CBOR_DEPTH) {
    throw serviceError('MalformedInput', `The request body nests deeper than ${MAX_CBOR_DEPTH}.`);
  }
  reader.values += 1;
  if (reader.values > MAX_CBOR_VALUES) {
    throw serviceError('MalformedInput', `The request body has more than ${MAX_CBOR_VALUES} values.`);
  }
  const first = reader.view.getUint8(reader.at);
  reader.at += 1;
  const kind = first >> 5;
  const info = first & 31;
  if (kind === major.simple) return readSimple(reader, info);
  if (info === indefinite) return readIndefinite(reader, kind, depth);
  const count = readCount(reader, info);
  switch (kind) {
    case major.unsigned:
      return count;
    case major.negative:
      return -1 - count;
    case major.bytes:
      return readBytes(reader, count);
    case major.text:
      return utf8.decode(readBytes(reader, count));
    case major.list: {
      // No array of the announced length: each item has to be there first.
      const items: unknown[] = [];
      for (let index = 0; index < count; index += 1) items.push(readItem(reader, depth));
      return items;
    }
    case major.map: {
      const entries = new Map<string, unknown>();
      for (let index = 0; index < count; index += 1) readEntry(reader, entries, depth);
      return record(entries);
    }
    default:
      return readTagged(reader, count, depth);
  }
}

function readIndefinite(reader: Reader, kind: number, depth: number): unknown {
  if (kind === major.bytes || kind === major.text) {
    const chunks: Uint8Array[] = [];
    for (;;) {
      const first = reader.view.getUint8(reader.at);
      reader.at += 1;
      if (first === 0xff) break;
      // Chunks are of the same kind, and not themselves of indefinite length.
      if (first >> 5 !== kind || (first & 31) === indefinite) throw malformed();
      chunks.push(readBytes(reader, readCount(reader, first & 31)));
    }
    const bytes = Buffer.concat(chunks);
    return kind === major.text ? utf8.decode(bytes) : bytes;
  }
  if (kind === major.list) {
    const items: unknown[] = [];
    for (let item = readValue(reader, depth + 1); item !== breakMark; item = readValue(reader, depth + 1)) {
      items.push(item);
    }
    return items;
  }
  if (kind !== major.map) throw malformed();
  const entries = new Map<string, unknown>();
  while (reader.view.getUint8(reader.at) !== 0xff) readEntry(reader, entries, depth);
  reader.at += 1;
  return record(entries);
}

function readEntry(reader: Reader, entries: Map<string, unknown>, depth: number): void {
  const key = readItem(reader, depth);
  if (typeof key !== 'string' || entries.has(key)) throw malformed();
  entries.set(key, readItem(reader, depth));
}

/** fromEntries defines properties: a key `__proto__` is one of them. */
function record(entries: Map<string, unknown>): object {
  return Object.fromEntries(entries);
}

function readItem(reader: Reader, depth: number): unknown {
  const value = readValue(reader, depth + 1);
  if (value === breakMark) throw malformed();
  return value;
}

function readTagged(reader: Reader, tagNumber: number, depth: number): unknown {
  const value = readItem(reader, depth);
  if (tagNumber !== epochTag) return value;
  if (typeof value !== 'number') throw malformed();
  return new EpochSeconds(value);
}

function readSimple(reader: Reader, info: number): unknown {
  const { view, at } = reader;
  switch (info) {
    case 20:
      return false;
    case 21:
      return true;
    // Null, and undefined.
    case 22:
    case 23:
      return null;
    case 25:
      reader.at += 2;
      return halfFloat(view.getUint16(at));
    case 26:
      reader.at += 4;
      return view.getFloat32(at);
    case 27:
      reader.at += 8;
      return view.getFloat64(at);
    case indefinite:
      return breakMark;
    default:
      throw malformed();
  }
}

function readCount(reader: Reader, info: number): number {
  if (info < 24) return info;
  const { view, at } = reader;
  switch (info) {
    case 24:
      reader.at += 1;
      return view.getUint8(at);
    case 25:
      reader.at += 2;
      return view.getUint16(at);
    case 26:
      reader.at += 4;
      return view.getUint32(at);
    case 27:
      reader.at += 8;
      // Beyond 2^53 the nearest number, as a JSON parser has it.
      return Number(view.getBigUint64(at));
    default:
      throw malformed();
  }
}

function readBytes(reader: Reader, count: number): Uint8Array {
  const { view, at } = reader;
  if (count > view.byteLength - at) throw malformed();
  reader.at += count;
  return new Uint8Array(view.buffer, view.byteOffset + at, count);
}

function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function malformed() {
  return serviceError('MalformedInput', 'The request body is not valid CBOR.');
}
