/**
 * (pure) Finds certain commands in what a client sends to Valkey or Redis, and lets everything else pass as it comes.
 *
 * It is stricter than the engines: what they would read in another way than it is refused. Else a client could make
 * the two disagree about where a command ends, and have the engine repeat to it what was put in place of another.
 */

export type Piece =
  | { readonly kind: 'pass'; readonly bytes: Buffer }
  /** A watched command, whole. `bytes` is how it was sent. */
  | {
      readonly kind: 'command';
      readonly name: string;
      readonly words: readonly Buffer[];
      readonly bytes: Buffer;
    };

export class ProtocolFault extends Error {
  override name = 'ProtocolFault';
}

/** The engines' own bounds for clients that have not authenticated. */
export const unauthenticatedBounds: FrameBounds = { words: 10, wordBytes: 16_384 };

export interface FrameBounds {
  readonly words: number;
  readonly wordBytes: number;
}

/** Of a watched command and of an inline one, which are kept until they are whole. */
const maxKeptBytes = 32_768;
const maxHeaderLength = 24;
const mostWords = 2 ** 31 - 1;
const mostWordBytes = 2 ** 40;
const [CR, LF, STAR, DOLLAR] = [13, 10, 42, 36] as const;

export class RespSkimmer {
  /** Taken into account from the next header on; undefined: the engine's alone. */
  bounds: FrameBounds | undefined;
  readonly #watched: ReadonlySet<string> | 'all';
  readonly #longestName: number;
  #state: 'start' | 'count' | 'length' | 'data' | 'end' | 'inline' = 'start';
  #line = '';
  /** Words of the frame that have not begun. */
  #wordsLeft = 0;
  /** Bytes of the word that have not come, or of the CR LF behind it. */
  #bytesLeft = 0;
  /** Of the frame's first word as far as it came; undefined behind it. */
  #name: string | undefined;
  /** What is known of the frame: it passes, it is kept, or its first word has not come. */
  #frame: 'pass' | 'keep' | 'undecided' = 'pass';
  #kept: Buffer[] = [];
  #keptBytes = 0;

  /** @param watched names in capitals; `all`: nothing passes but commands of no words, and inline ones with quotes. */
  constructor(watched: ReadonlySet<string> | 'all', bounds: FrameBounds | undefined) {
    this.#watched = watched;
    this.#longestName =
      watched === 'all' ? maxKeptBytes : Math.max(...[...watched].map((name) => name.length));
    this.bounds = bounds;
  }

  /**
   * The pieces that are complete with `chunk`, in order; every byte is in exactly one. Each must be taken before the
   * next chunk is fed.
   * @throws ProtocolFault; nothing may be fed after it.
   */
  *feed(chunk: Buffer): Generator<Piece> {
    // Bytes before `done` are in pieces or kept; `begin` is where the frame begins, here or (0) in an earlier chunk.
    let done = 0;
    let begin = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'start') {
        begin = at;
        at += this.#beginFrame(chunk[at]!);
      }
      at = this.#advance(chunk, at);
      if (this.#frame === 'pass' && this.#kept.length > 0) yield { kind: 'pass', bytes: this.#takeKept() };
      if (this.#state !== 'start' || this.#frame !== 'keep') continue;
      if (begin > done) yield { kind: 'pass', bytes: chunk.subarray(done, begin) };
      this.#keep(chunk.subarray(begin, at));
      const bytes = this.#takeKept();
      done = at;
      const words = bytes[0] === STAR ? wordsOf(bytes) : inlineWordsOf(bytes)!;
      yield { kind: 'command', name: words[0]!.toString('latin1').toUpperCase(), words, bytes };
    }
    const isWhole = this.#state === 'start' || this.#frame === 'pass';
    const passesTo = isWhole ? chunk.length : Math.max(begin, done);
    if (passesTo > done) yield { kind: 'pass', bytes: chunk.subarray(done, passesTo) };
    // A copy: the chunk is a small part of a large buffer.
    if (!isWhole) this.#keep(Buffer.from(chunk.subarray(passesTo)));
  }

  /** Returns how many bytes of it are read with that. */
  #beginFrame(first: number): 0 | 1 {
    this.#line = '';
    this.#name = '';
    this.#frame = 'undecided';
    this.#state = first === STAR ? 'count' : 'inline';
    return first === STAR ? 1 : 0;
  }

  /** Reads on in the present state; returns the index behind what it read. */
  #advance(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'count':
      case 'length':
        return this.#readHeader(chunk, at);
      case 'data':
        return this.#readWord(chunk, at);
      case 'end':
        return this.#readWordEnd(chunk, at);
      default:
        return this.#readInline(chunk, at);
    }
  }

  #readHeader(chunk: Buffer, from: number): number {
    const lineFeed = chunk.indexOf(LF, from);
    const to = lineFeed === -1 ? chunk.length : lineFeed + 1;
    if (this.#line.length + to - from > maxHeaderLength) throw new ProtocolFault('too long a header');
    this.#line += chunk.toString('latin1', from, to);
    if (lineFeed === -1) return to;
    if (this.#state === 'count') this.#takeCount(this.#line);
    else this.#takeLength(this.#line);
    this.#line = '';
    return to;
  }

  #takeCount(line: string): void {
    const count = headerNumber(line, 'count');
    if (count > (this.bounds?.words ?? mostWords)) throw new ProtocolFault('invalid multibulk length');
    this.#wordsLeft = count;
    // The engines skip a command of no words without an answer.
    if (count <= 0) this.#endFrame();
    else this.#state = 'length';
  }

  #takeLength(line: string): void {
    if (line.charCodeAt(0) !== DOLLAR) throw new ProtocolFault("expected '$'");
    const length = headerNumber(line.slice(1), 'length');
    if (length < 0 || length > (this.bounds?.wordBytes ?? mostWordBytes)) {
      throw new ProtocolFault('invalid bulk length');
    }
    if (this.#name !== undefined && length > this.#longestName) this.#decide('pass');
    this.#wordsLeft -= 1;
    this.#bytesLeft = length;
    this.#state = 'data';
    if (length === 0) this.#endWord();
  }

  #readWord(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + this.#bytesLeft);
    if (this.#name !== undefined) this.#name += chunk.toString('latin1', from, to);
    this.#bytesLeft -= to - from;
    if (this.#bytesLeft === 0) this.#endWord();
    return to;
  }

  #endWord(): void {
    if (this.#name !== undefined) this.#decide(this.#watches(this.#name) ? 'keep' : 'pass');
    this.#state = 'end';
    this.#bytesLeft = 2;
  }

  #readWordEnd(chunk: Buffer, at: number): number {
    if (chunk[at] !== (this.#bytesLeft === 2 ? CR : LF))
      throw new ProtocolFault('a word longer than it says');
    this.#bytesLeft -= 1;
    if (this.#bytesLeft > 0) return at + 1;
    if (this.#wordsLeft > 0) this.#state = 'length';
    else this.#endFrame();
    return at + 1;
  }

  #readInline(chunk: Buffer, from: number): number {
    const lineFeed = chunk.indexOf(LF, from);
    const to = lineFeed === -1 ? chunk.length : lineFeed + 1;
    // The engines look for the line's end with a function that stops at a zero.
    if (chunk.subarray(from, to).includes(0)) throw new ProtocolFault('a zero in an inline command');
    if (this.#keptBytes + to - from > maxKeptBytes) throw new ProtocolFault('too big inline request');
    if (lineFeed === -1) return to;
    const words = inlineWordsOf(Buffer.concat([...this.#kept, chunk.subarray(from, to)]));
    const name = words?.[0]?.toString('latin1');
    this.#decide(name !== undefined && this.#watches(name) ? 'keep' : 'pass');
    this.#state = 'start';
    return to;
  }

  #watches(name: string): boolean {
    return this.#watched === 'all' || this.#watched.has(name.toUpperCase());
  }

  #decide(frame: 'pass' | 'keep'): void {
    this.#frame = frame;
    this.#name = undefined;
  }

  #endFrame(): void {
    if (this.#frame === 'undecided') this.#decide('pass');
    this.#state = 'start';
  }

  #keep(bytes: Buffer): void {
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
    if (this.#keptBytes > maxKeptBytes) throw new ProtocolFault('too big a command');
  }

  #takeKept(): Buffer {
    const bytes = this.#kept.length === 1 ? this.#kept[0]! : Buffer.concat(this.#kept);
    this.#kept = [];
    this.#keptBytes = 0;
    return bytes;
  }
}

/** A command as clients send it. */
export function encodeCommand(words: readonly (string | Buffer)[]): Buffer {
  const parts = words.flatMap((word) => {
    const bytes = typeof word === 'string' ? Buffer.from(word) : word;
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

/** @param line up to its line feed. Digits only: the engines too know no plus and no leading zero. */
function headerNumber(line: string, what: string): number {
  const digits = /^(0|-?[1-9]\d{0,12})\r\n$/.exec(line)?.[1];
  if (digits === undefined) throw new ProtocolFault(`invalid ${what}`);
  return Number(digits);
}

/** Of a whole frame that was read once. */
function wordsOf(frame: Buffer): Buffer[] {
  const words: Buffer[] = [];
  let at = frame.indexOf(LF) + 1;
  while (at < frame.length) {
    const lineFeed = frame.indexOf(LF, at);
    const length = Number(frame.toString('latin1', at + 1, lineFeed - 1));
    words.push(frame.subarray(lineFeed + 1, lineFeed + 1 + length));
    at = lineFeed + 1 + length + 2;
  }
  return words;
}

/**
 * undefined for a line with quotes, escapes or anything but ASCII: it passes as it is, and with a token in it the engine
 * refuses it.
 */
function inlineWordsOf(line: Buffer): Buffer[] | undefined {
  const text = line.toString('latin1').replace(/\r?\n$/, '');
  if (!/^[\t\x20-\x7e]*$/.test(text) || /["'\\]/.test(text)) return undefined;
  return text
    .split(/[\t ]+/)
    .filter((word) => word !== '')
    .map((word) => Buffer.from(word, 'latin1'));
}
