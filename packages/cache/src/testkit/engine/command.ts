/** How a command is written down: its least number of arguments, whether it writes, and what it does. */
import type { Keyspace } from './keyspace.ts';
import { EngineError, type Reply } from './reply.ts';

/** What a command may use beside the keys. */
export interface Context {
  readonly keys: Keyspace;
  /** Hands a message to subscribers; returns how many there are. */
  readonly publish: (channel: string, message: Buffer, sharded: boolean) => number;
}

export interface Command {
  readonly least: number;
  readonly writes: boolean;
  readonly run: (context: Context, args: readonly Buffer[]) => Reply;
}

export type Commands = Readonly<Record<string, Command>>;

export function reads(least: number, run: Command['run']): Command {
  return { least, writes: false, run };
}

export function writes(least: number, run: Command['run']): Command {
  return { least, writes: true, run };
}

/** Keys and members: one character per byte. */
export function name(bytes: Buffer): string {
  return bytes.toString('latin1');
}

export function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

export function word(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : bytes.toString('latin1').toUpperCase();
}

export function integer(bytes: Buffer | undefined): number {
  const text = bytes?.toString('latin1') ?? '';
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new EngineError('ERR value is not an integer or out of range');
  }
  return value;
}

export function double(bytes: Buffer | undefined): number {
  const text = (bytes?.toString('latin1') ?? '').toLowerCase();
  const value = /^[+]?inf$/.test(text)
    ? Number.POSITIVE_INFINITY
    : text === '-inf'
      ? Number.NEGATIVE_INFINITY
      : Number(text);
  if (text === '' || Number.isNaN(value)) throw new EngineError('ERR value is not a valid float');
  return value;
}

export function text(value: string | number): Buffer {
  return Buffer.from(String(value), 'utf8');
}

/** From an index that may count from the end. */
export function rangeOf(start: number, stop: number, length: number): readonly [from: number, to: number] {
  const from = Math.max(0, start < 0 ? length + start : start);
  const to = Math.min(length - 1, stop < 0 ? length + stop : stop);
  return from > to ? [0, 0] : [from, to + 1];
}
