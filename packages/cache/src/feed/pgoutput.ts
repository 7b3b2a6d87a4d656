/**
 * Decodes PostgreSQL's logical replication: the copy messages of the replication protocol and pgoutput, version
 * 1. Pure functions over buffers; relations are remembered by the caller, rows are left where they are.
 */
import { endOfTuple } from './relation-rows.ts';

export interface Relation {
  readonly id: number;
  /** With its schema: `public.products`. */
  readonly table: string;
  /** d default, n nothing, f full, i index. */
  readonly replicaIdentity: string;
  readonly columns: readonly { readonly name: string; readonly identity: boolean }[];
}

/** A row within its message; relation-rows.ts reads its columns. */
export interface Tuple {
  readonly payload: Buffer;
  /** Of the tuple's count of columns. */
  readonly at: number;
  /** Only columns of the replica identity were sent. */
  readonly keyOnly: boolean;
  /** Where values are that this tuple says are unchanged. */
  readonly old: Tuple | undefined;
}

export type PgoutputMessage =
  | { readonly kind: 'begin'; readonly xid: number; readonly committedAtMs: number }
  | { readonly kind: 'commit'; readonly endLsn: bigint }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'insert'; readonly relation: number; readonly after: Tuple }
  | {
      readonly kind: 'update';
      readonly relation: number;
      readonly before: Tuple | undefined;
      readonly after: Tuple;
    }
  | { readonly kind: 'delete'; readonly relation: number; readonly before: Tuple }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] }
  | { readonly kind: 'message'; readonly prefix: string; readonly content: string }
  | { readonly kind: 'other'; readonly tag: string };

export type CopyMessage =
  | { readonly kind: 'data'; readonly payload: Buffer }
  | { readonly kind: 'keepalive'; readonly walEnd: bigint; readonly replyRequested: boolean };

/** PostgreSQL counts microseconds from 2000-01-01. */
const epochMs = 946_684_800_000;

/** @returns undefined for a kind of message that this version doesn't know. */
export function decodeCopyMessage(chunk: Buffer): CopyMessage | undefined {
  if (chunk[0] === 0x77) return { kind: 'data', payload: chunk.subarray(25) };
  if (chunk[0] === 0x6b) {
    return { kind: 'keepalive', walEnd: chunk.readBigUInt64BE(1), replyRequested: chunk[17] === 1 };
  }
  return undefined;
}

/** Standby status update: everything up to `position` is written, flushed and applied. */
export function encodeStatus(position: bigint, nowMs: number, replyRequested: boolean): Buffer {
  const buffer = Buffer.alloc(34);
  buffer[0] = 0x72;
  for (const at of [1, 9, 17]) buffer.writeBigUInt64BE(position, at);
  buffer.writeBigInt64BE(BigInt(Math.round((nowMs - epochMs) * 1_000)), 25);
  buffer[33] = replyRequested ? 1 : 0;
  return buffer;
}

/** Throws RangeError on a truncated message. */
export function decodePgoutput(payload: Buffer): PgoutputMessage {
  const tag = String.fromCharCode(payload.readUInt8(0));
  switch (tag) {
    case 'B': {
      const committedAtMs = Number(payload.readBigInt64BE(9) / 1_000n) + epochMs;
      return { kind: 'begin', committedAtMs, xid: payload.readUInt32BE(17) };
    }
    case 'C':
      return { kind: 'commit', endLsn: payload.readBigUInt64BE(10) };
    case 'R':
      return { kind: 'relation', relation: decodeRelation(payload) };
    case 'I':
      return {
        kind: 'insert',
        relation: payload.readUInt32BE(1),
        after: { payload, at: 6, keyOnly: false, old: undefined },
      };
    case 'U': {
      const old = decodeOld(payload);
      const at = old === undefined ? 6 : endOfTuple(payload, 6) + 1;
      const after = { payload, at, keyOnly: false, old };
      return { kind: 'update', relation: payload.readUInt32BE(1), before: old, after };
    }
    case 'D': {
      const before = decodeOld(payload);
      if (before === undefined) throw new RangeError('A deletion without the row that was deleted.');
      return { kind: 'delete', relation: payload.readUInt32BE(1), before };
    }
    case 'T': {
      const count = payload.readUInt32BE(1);
      const relations = Array.from({ length: count }, (_, i) => payload.readUInt32BE(6 + i * 4));
      return { kind: 'truncate', relations };
    }
    case 'M':
      return decodeMessage(payload, tag);
    default:
      return { kind: 'other', tag };
  }
}

/** Of an application, by pg_logical_emit_message. One outside of a transaction means nothing here. */
function decodeMessage(payload: Buffer, tag: string): PgoutputMessage {
  if (payload.readUInt8(1) !== 1) return { kind: 'other', tag };
  const cursor = { at: 10 };
  const prefix = decodeName(payload, cursor);
  const length = payload.readUInt32BE(cursor.at);
  const start = cursor.at + 4;
  if (start + length > payload.length) throw new RangeError('A message longer than its frame.');
  return { kind: 'message', prefix, content: payload.toString('utf8', start, start + length) };
}

function decodeRelation(payload: Buffer): Relation {
  const id = payload.readUInt32BE(1);
  const cursor = { at: 5 };
  const schema = decodeName(payload, cursor);
  const name = decodeName(payload, cursor);
  const replicaIdentity = String.fromCharCode(payload.readUInt8(cursor.at));
  const count = payload.readUInt16BE(cursor.at + 1);
  cursor.at += 3;
  const columns = Array.from({ length: count }, () => {
    const identity = (payload.readUInt8(cursor.at) & 1) === 1;
    cursor.at += 1;
    const column = { name: decodeName(payload, cursor), identity };
    cursor.at += 8;
    return column;
  });
  return { id, table: `${schema === '' ? 'pg_catalog' : schema}.${name}`, replicaIdentity, columns };
}

function decodeName(payload: Buffer, cursor: { at: number }): string {
  const end = payload.indexOf(0, cursor.at);
  if (end < 0) throw new RangeError('A name without an end.');
  const name = payload.toString('utf8', cursor.at, end);
  cursor.at = end + 1;
  return name;
}

/** K: the columns of the identity; O: all. */
function decodeOld(payload: Buffer): Tuple | undefined {
  const tag = payload.readUInt8(5);
  if (tag !== 0x4b && tag !== 0x4f) return undefined;
  return { payload, at: 6, keyOnly: tag === 0x4b, old: undefined };
}
