import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeCommand,
  type FrameBounds,
  ProtocolFault,
  RespSkimmer,
  unauthenticatedBounds,
} from './resp-skimmer.ts';

const watched = new Set(['AUTH', 'HELLO', 'MULTI', 'EXEC', 'DISCARD', 'RESET']);

/** What passes and what is found, `text` cut at the given places. Neighbouring pieces that pass are one. */
function skim(
  text: string | Buffer,
  cuts: readonly number[] = [],
  bounds?: FrameBounds,
): (string | string[])[] {
  const skimmer = new RespSkimmer(watched, bounds);
  const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1');
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const seen: (string | string[])[] = [];
  for (const [index, from] of places.slice(0, -1).entries()) {
    // As a socket's chunk: a part of something that is used again.
    const chunk = Buffer.from(bytes.subarray(from, places[index + 1]!));
    for (const piece of skimmer.feed(chunk)) {
      if (piece.kind === 'command') {
        seen.push(piece.words.map((word) => word.toString('latin1')));
        continue;
      }
      const last = seen.at(-1);
      const passed = piece.bytes.toString('latin1');
      expect(passed).not.toBe('');
      if (typeof last === 'string') seen[seen.length - 1] = last + passed;
      else seen.push(passed);
    }
    chunk.fill(0x21);
  }
  return seen;
}

const command = (...words: string[]) => encodeCommand(words).toString('latin1');
const fault = (text: string, bounds?: FrameBounds) =>
  expect(() => skim(text, [], bounds)).toThrow(ProtocolFault);

describe('finds', () => {
  test('a command among others, and nothing inside of words', () => {
    const get = command('GET', 'key');
    const decoy = command('SET', 'key', command('AUTH', 'user', 'token'));
    expect(skim(get + command('auth', 'user', 'token') + decoy + get)).toEqual([
      get,
      ['auth', 'user', 'token'],
      decoy + get,
    ]);
  });
  test('commands without words, and words without bytes', () => {
    const empty = '*0\r\n*-1\r\n*1\r\n$0\r\n\r\n';
    expect(skim(`${empty}${command('HELLO', '')}`)).toEqual([empty, ['HELLO', '']]);
  });
  test('inline commands', () => {
    expect(skim('PING\r\n\r\n  auth  user\ttoken \nGET AUTH\r\n')).toEqual([
      'PING\r\n\r\n',
      ['auth', 'user', 'token'],
      'GET AUTH\r\n',
    ]);
  });
  test('no inline command in quotes: it passes as it is', () => {
    expect(skim('"AUTH" user token\r\nAUTH user "token"\r\n')).toEqual([
      '"AUTH" user token\r\nAUTH user "token"\r\n',
    ]);
  });
});

describe('refuses', () => {
  test.each([
    ['a count with a sign', '*+1\r\n'],
    ['a count with a zero before', '*01\r\n'],
    ['a count with a blank', '* 1\r\n'],
    ['no count', '*\r\n'],
    ['a count that ends with a line feed alone', '*1\n$4\r\nPING\r\n'],
    ['a count that ends with a return and something else', '*1\rx$4\r\nPING\r\n'],
    ['a header without an end', `*${'1'.repeat(40)}`],
    ['too many words', '*2147483648\r\n'],
    ['a word that is no bulk string', '*1\r\n:4\r\nPING\r\n'],
    ['a negative length', '*1\r\n$-1\r\n'],
    ['a word longer than it says', '*1\r\n$4\r\nPINGX\r\n'],
    ['a zero in an inline command', 'PI\0NG\r\n'],
    ['an inline command without an end', 'x'.repeat(40_000)],
    ['a watched command that is too large', command('AUTH', 'user', 'x'.repeat(40_000))],
  ])('%s', (_, text) => fault(text));

  test('large frames before authentication, and none of them behind it', () => {
    const long = command('SET', 'key', 'x'.repeat(16_385));
    const many = command(...Array.from({ length: 11 }, () => 'x'));
    fault(long, unauthenticatedBounds);
    fault(many, unauthenticatedBounds);
    expect(skim(long + many)).toEqual([long + many]);
    const skimmer = new RespSkimmer(watched, unauthenticatedBounds);
    // The bound goes away between two pieces of one chunk.
    const passed: Buffer[] = [];
    for (const piece of skimmer.feed(Buffer.from(command('AUTH', 'password') + long))) {
      if (piece.kind === 'command') skimmer.bounds = undefined;
      else passed.push(piece.bytes);
    }
    expect(Buffer.concat(passed).toString()).toBe(long);
  });
});

const word = fc.oneof(
  fc.constantFrom(
    'AUTH',
    'auth',
    'HELLO',
    'MULTI',
    'EXEC',
    'RESET',
    'GET',
    '*3\r\n$4\r\nAUTH\r\n',
    '\r\n',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text).toString('latin1')),
);
const frame = fc.oneof(
  fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => ({ text: command(...words), words })),
  fc
    .array(fc.stringMatching(/^[A-Za-z0-9:/?&=%]{1,12}$/), { minLength: 1, maxLength: 4 })
    .filter(([first]) => !first!.startsWith('*'))
    .map((words) => ({ text: `${words.join(' ')}\r\n`, words })),
);
// A command of one byte words as `encodeCommand` writes it is read back from its bytes.
const toWords = (words: readonly string[]) => words.map((each) => Buffer.from(each).toString('latin1'));

describe('any stream', () => {
  test('is found the same wherever it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (frames, cuts) => {
          const expected: (string | string[])[] = [];
          for (const { text, words } of frames) {
            const last = expected.at(-1);
            if (watched.has(words[0]!.toUpperCase())) expected.push(toWords(words));
            else if (typeof last === 'string') expected[expected.length - 1] = last + text;
            else expected.push(text);
          }
          expect(skim(frames.map(({ text }) => text).join(''), cuts)).toEqual(expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('of hostile bytes is passed on unchanged or refused, and little of it is kept', () => {
    const bit = fc.oneof(
      fc.constantFrom('*', '$', '\r\n', '\n', '1', '3', '4', '-1', 'AUTH', 'GET', '\0', '"', ' '),
      frame.map(({ text }) => text),
      fc.string({ unit: 'binary', maxLength: 20 }),
    );
    fc.assert(
      fc.property(fc.array(bit, { maxLength: 20 }), fc.nat(100), (bits, size) => {
        const bytes = Buffer.from(bits.join(''));
        const skimmer = new RespSkimmer(watched, undefined);
        const out: Buffer[] = [];
        let at = 0;
        try {
          for (; at < bytes.length; at += size + 1) {
            for (const piece of skimmer.feed(bytes.subarray(at, at + size + 1))) out.push(piece.bytes);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolFault);
        }
        const passed = Buffer.concat(out);
        expect(bytes.subarray(0, passed.length).equals(passed)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
