/**
 * (pure) Replies out of a stream of bytes, however it is cut.
 *
 * What it keeps between two pieces is one line of at most 2 KiB, or one value of at most `maxValueBytes`. Bytes
 * that memcached doesn't send end the stream: `push` throws MetaProtocolError, and the connection must be dropped.
 */
import { MetaProtocolError, type ServerErrorKind } from './errors.ts';

/** `status` is the first word of the reply. Undefined: the reply didn't say. */
export interface MetaReply {
  readonly status: MetaStatus;
  readonly value: Buffer | undefined;
  /** Of an error: what the server wrote, printable and cut to 200 characters. Of ME, VERSION: the rest of the line. */
  readonly text: string;
  readonly cas: string | undefined;
  /** Infinity: none. */
  readonly ttlS: number | undefined;
  readonly clientFlags: number | undefined;
  readonly sizeBytes: number | undefined;
  readonly hit: boolean | undefined;
  readonly lastAccessS: number | undefined;
  readonly key: Buffer | undefined;
  readonly opaque: string | undefined;
  /** This caller is the one that loads. */
  readonly won: boolean;
  /** The item was marked stale. */
  readonly stale: boolean;
  /** Another caller is the one that loads. */
  readonly lost: boolean;
}

export type MetaStatus =
  | 'HD'
  | 'VA'
  | 'EN'
  | 'NF'
  | 'NS'
  | 'EX'
  | 'MN'
  | 'ME'
  | 'OK'
  | 'STORED'
  | 'END'
  | 'VERSION'
  | 'CONFIG'
  | 'VALUE'
  | ServerErrorKind;

const metaStatuses = new Set<string>(['HD', 'EN', 'NF', 'NS', 'EX', 'VA']);
const bareStatuses = new Set<string>(['MN', 'OK', 'STORED', 'END']);
const textStatuses = new Set<string>(['ME', 'VERSION', 'ERROR', 'CLIENT_ERROR', 'SERVER_ERROR']);
const maxLineBytes = 2_048;
const maxTextLength = 200;
const maxFlags = 32;
const empty = Buffer.alloc(0);

type Fields = { -readonly [Name in keyof MetaReply]: MetaReply[Name] };

export class MetaParser {
  readonly #maxValueBytes: number;
  readonly #onReply: (reply: MetaReply) => void;
  #rest: Buffer = empty;
  /** A reply whose value is on its way, and the value with its line end. */
  #open: Fields | undefined;
  #body: Buffer = empty;
  #filled = 0;
  #broken = false;

  constructor(maxValueBytes: number, onReply: (reply: MetaReply) => void) {
    this.#maxValueBytes = maxValueBytes;
    this.#onReply = onReply;
  }

  /** Throws MetaProtocolError, then and ever after. */
  push(chunk: Buffer): void {
    if (this.#broken) throw new MetaProtocolError('The stream is broken already.');
    try {
      this.#consume(chunk);
    } catch (error) {
      this.#broken = true;
      this.#rest = empty;
      this.#body = empty;
      throw error;
    }
  }

  #consume(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#open !== undefined) {
        at += this.#fill(chunk, at);
        continue;
      }
      const end = chunk.indexOf(10, at);
      const piece = end < 0 ? chunk.subarray(at) : chunk.subarray(at, end);
      if (this.#rest.length + piece.length > maxLineBytes) refuse('a line of more than 2 KiB');
      if (end < 0) {
        // A copy: the rest must not keep a whole chunk alive.
        this.#rest = Buffer.concat([this.#rest, piece]);
        return;
      }
      const line = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
      this.#rest = empty;
      if (line.length === 0 || line[line.length - 1] !== 13) refuse('a line without CR');
      this.#line(line.toString('latin1', 0, line.length - 1));
      at = end + 1;
    }
  }

  /** @returns how many bytes of the chunk belong to the value. */
  #fill(chunk: Buffer, at: number): number {
    const reply = this.#open!;
    const copied = chunk.copy(this.#body, this.#filled, at);
    this.#filled += copied;
    if (this.#filled < this.#body.length) return copied;
    const length = this.#body.length - 2;
    if (this.#body[length] !== 13 || this.#body[length + 1] !== 10) refuse('a value that does not end');
    reply.value = this.#body.subarray(0, length);
    this.#open = undefined;
    this.#body = empty;
    this.#onReply(reply);
    return copied;
  }

  #line(line: string): void {
    const space = line.indexOf(' ');
    const status = space < 0 ? line : line.slice(0, space);
    const rest = space < 0 ? '' : line.slice(space + 1);
    if (metaStatuses.has(status)) this.#meta(status as MetaStatus, rest);
    else if (bareStatuses.has(status)) {
      // MN may come with flags in newer servers.
      this.#onReply(replyOf(status as MetaStatus));
    } else if (textStatuses.has(status)) {
      const reply = replyOf(status as MetaStatus);
      reply.text = rest
        .replace(/[^\x20-\x7e]/g, '?')
        .slice(0, status === 'ME' ? maxLineBytes : maxTextLength);
      this.#onReply(reply);
    } else if (status === 'CONFIG' || status === 'VALUE') {
      const [, , length = ''] = rest.split(' ', 4);
      this.#expect(replyOf(status), length);
    } else refuse('an unknown reply');
  }

  #meta(status: MetaStatus, rest: string): void {
    const words = rest === '' ? [] : rest.split(' ');
    if (words.length > maxFlags) refuse('too many flags');
    const reply = replyOf(status);
    const length = status === 'VA' ? (words.shift() ?? '') : '';
    let base64 = false;
    for (const word of words) {
      if (word === 'b') base64 = true;
      else readFlag(reply, word);
    }
    if (base64 && reply.key !== undefined) reply.key = Buffer.from(reply.key.toString('latin1'), 'base64');
    if (status === 'VA') this.#expect(reply, length);
    else this.#onReply(reply);
  }

  #expect(reply: Fields, length: string): void {
    if (!/^\d{1,10}$/.test(length)) refuse('a value without a length');
    const bytes = Number(length);
    if (bytes > this.#maxValueBytes) {
      refuse(`a value of ${bytes} bytes, more than the ${this.#maxValueBytes} of \`maxValueBytes\``);
    }
    this.#open = reply;
    this.#body = Buffer.allocUnsafeSlow(bytes + 2);
    this.#filled = 0;
  }
}

/** A reply that says nothing but its status. */
export function replyOf(status: MetaStatus): Fields {
  return {
    status,
    value: undefined,
    text: '',
    cas: undefined,
    ttlS: undefined,
    clientFlags: undefined,
    sizeBytes: undefined,
    hit: undefined,
    lastAccessS: undefined,
    key: undefined,
    opaque: undefined,
    won: false,
    stale: false,
    lost: false,
  };
}

/** Flags of newer servers are passed over. */
function readFlag(reply: Fields, word: string): void {
  const rest = word.slice(1);
  switch (word[0]) {
    case 'W':
      reply.won = true;
      break;
    case 'X':
      reply.stale = true;
      break;
    case 'Z':
      reply.lost = true;
      break;
    case 'c':
      if (!/^\d{1,20}$/.test(rest)) refuse('a CAS number that is none');
      reply.cas = rest;
      break;
    case 't':
      reply.ttlS = rest === '-1' ? Number.POSITIVE_INFINITY : numberOf(rest);
      break;
    case 'f':
      reply.clientFlags = numberOf(rest);
      break;
    case 's':
      reply.sizeBytes = numberOf(rest);
      break;
    case 'h':
      reply.hit = rest === '1';
      break;
    case 'l':
      reply.lastAccessS = numberOf(rest);
      break;
    case 'k':
      reply.key = Buffer.from(rest, 'latin1');
      break;
    case 'O':
      reply.opaque = rest;
      break;
    default:
  }
}

function numberOf(text: string): number {
  if (!/^\d{1,10}$/.test(text)) refuse('a flag whose number is none');
  return Number(text);
}

function refuse(what: string): never {
  throw new MetaProtocolError(`The server sent ${what}; the connection is dropped.`);
}
