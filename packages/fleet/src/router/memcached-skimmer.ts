/** (pure) Finds the questions for the node list in what a client sends to Memcached; everything else passes. */

export type Question = 'config' | 'value';

export type MemcachedPiece =
  | { readonly kind: 'pass'; readonly bytes: Buffer }
  | { readonly kind: 'question'; readonly form: Question };

/** As clients of engines from 1.4.14 on ask, and as older ones do. */
const questions = new Map<string, Question>([
  ['config get cluster', 'config'],
  ['get AmazonElastiCache:cluster', 'value'],
]);
const binaryRequest = 0x80;
const lineFeed = 10;
/** Longer lines are neither questions nor announce data: a key has at most 250 bytes. */
const maxLineBytes = 1_024;
const maxKeyBytes = 250;

export class MemcachedSkimmer {
  #state: 'begin' | 'line' | 'long-line' | 'data' | 'binary' = 'begin';
  #line: Buffer[] = [];
  #lineBytes = 0;
  #dataLeft = 0;

  /** The pieces that are complete with `chunk`, in order. Each must be taken before the next chunk is fed. */
  *feed(chunk: Buffer): Generator<MemcachedPiece> {
    if (this.#state === 'begin' && chunk.length > 0) {
      this.#state = chunk[0] === binaryRequest ? 'binary' : 'line';
    }
    // Bytes before `done` are in pieces or kept.
    let done = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'binary') at = chunk.length;
      else if (this.#state === 'data') at = this.#skipData(chunk, at);
      else {
        const begin = at;
        const end = chunk.indexOf(lineFeed, at);
        at = end === -1 ? chunk.length : end + 1;
        if (this.#state === 'long-line' || this.#lineBytes + at - begin > maxLineBytes) {
          if (this.#line.length > 0) yield { kind: 'pass', bytes: this.#takeLine() };
          this.#state = end === -1 ? 'long-line' : 'line';
          continue;
        }
        if (end === -1) {
          if (begin > done) yield { kind: 'pass', bytes: chunk.subarray(done, begin) };
          this.#keepLine(Buffer.from(chunk.subarray(begin)));
          return;
        }
        const line = Buffer.concat([...this.#line, chunk.subarray(begin, at)])
          .toString('latin1')
          .replace(/\r?\n$/, '');
        const form = questions.get(line);
        if (form === undefined) {
          if (this.#line.length > 0) yield { kind: 'pass', bytes: this.#takeLine() };
          this.#dataLeft = dataBytes(line);
          if (this.#dataLeft > 0) this.#state = 'data';
          continue;
        }
        if (begin > done) yield { kind: 'pass', bytes: chunk.subarray(done, begin) };
        this.#takeLine();
        done = at;
        yield { kind: 'question', form };
      }
    }
    if (at > done) yield { kind: 'pass', bytes: chunk.subarray(done, at) };
  }

  #skipData(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + this.#dataLeft);
    this.#dataLeft -= to - at;
    if (this.#dataLeft === 0) this.#state = 'line';
    return to;
  }

  #keepLine(bytes: Buffer): void {
    this.#line.push(bytes);
    this.#lineBytes += bytes.length;
  }

  #takeLine(): Buffer {
    const line = Buffer.concat(this.#line);
    this.#line = [];
    this.#lineBytes = 0;
    return line;
  }
}

const storing = new Set(['set', 'add', 'replace', 'append', 'prepend', 'cas']);

/** How many bytes follow the line, their CR LF counted. None for a line that Memcached refuses without reading on. */
function dataBytes(line: string): number {
  const [name, key = '', ...rest] = line.split(' ').filter((word) => word !== '');
  if (key.length > maxKeyBytes) return 0;
  if (name === 'ms') return sizeOf(rest[0]);
  if (name === undefined || !storing.has(name)) return 0;
  const [flags, expiry, size] = rest;
  return isNumber(flags) && isNumber(expiry?.replace(/^-/, '')) ? sizeOf(size) : 0;
}

function sizeOf(text: string | undefined): number {
  return isNumber(text) ? Number(text) + 2 : 0;
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,10}$/.test(text);
}
