import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FenceScanner } from './fence.ts';
import { MemcachedSkimmer } from './memcached-skimmer.ts';

/** What passes, with `<config>` and `<value>` where a question was. */
function skim(text: string, cuts: readonly number[] = []): string {
  const skimmer = new MemcachedSkimmer();
  const bytes = Buffer.from(text, 'latin1');
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  let seen = '';
  for (const [index, from] of places.slice(0, -1).entries()) {
    const chunk = Buffer.from(bytes.subarray(from, places[index + 1]!));
    for (const piece of skimmer.feed(chunk)) {
      seen += piece.kind === 'pass' ? piece.bytes.toString('latin1') : `<${piece.form}>`;
    }
    chunk.fill(0x21);
  }
  return seen;
}

const ask = 'config get cluster\r\n';
const askOlder = 'get AmazonElastiCache:cluster\r\n';

test.each([
  ['alone', ask, '<config>'],
  ['in the older form', askOlder, '<value>'],
  ['between others', `get a\r\n${ask}version\r\n${askOlder}`, 'get a\r\n<config>version\r\n<value>'],
  ['with a line feed alone', 'config get cluster\n', '<config>'],
  ['behind data', `set k 0 0 3\r\nabc\r\n${ask}`, 'set k 0 0 3\r\nabc\r\n<config>'],
  ['behind data of a meta command', `ms k 3 T0\r\nabc\r\n${ask}`, 'ms k 3 T0\r\nabc\r\n<config>'],
  ['behind a line that announces no data', `set k x 0 3\r\n${ask}`, 'set k x 0 3\r\n<config>'],
  ['behind a long line', `get ${'k '.repeat(3_000)}\r\n${ask}`, `get ${'k '.repeat(3_000)}\r\n<config>`],
])('a question %s is found', (_, text, expected) => {
  expect(skim(text)).toBe(expected);
  for (let at = 1; at < text.length; at += 1) expect(skim(text, [at])).toBe(expected);
});

test.each([
  ['in data', `set k 0 0 ${ask.length}\r\n${ask}\r\n`],
  ['for another configuration', 'config get other\r\n'],
  ['with more words', 'get AmazonElastiCache:cluster a\r\n'],
  ['in the binary protocol', `\x80\x0a\r\n${ask}`],
])('a question %s is none', (_, text) => {
  expect(skim(text)).toBe(text);
  for (let at = 1; at < text.length; at += 1) expect(skim(text, [at])).toBe(text);
});

test('any stream is read the same wherever it is cut', () => {
  const part = fc.oneof(
    fc.constantFrom([ask, '<config>'], [askOlder, '<value>'], ['get a\r\n', 'get a\r\n']),
    fc.string({ unit: 'binary', maxLength: 60 }).map((data) => {
      const bytes = Buffer.from(data);
      const text = `cas k 1 -1 ${bytes.length} 7\r\n${bytes.toString('latin1')}\r\n`;
      return [text, text];
    }),
    fc
      .stringMatching(/^[a-z $0-9]{0,30}$/)
      .filter((text) => !/^ *(ms|set|add|cas) /.test(text))
      .map((text) => [`#${text}\r\n`, `#${text}\r\n`]),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 20 }), (parts, cuts) => {
      expect(skim(parts.map(([text]) => text).join(''), cuts)).toBe(parts.map(([, seen]) => seen).join(''));
    }),
    { numRuns: 1_000 },
  );
});

test('fences are replaced in their order wherever the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('NF Oa', 'NF O', 'x', '\r\n', 'NF Oaa1'), { maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 3 }),
      (noise, cuts, fences) => {
        const scanner = new FenceScanner();
        const marks = fences.map((_, index) => `NF Oaa2${index}\r\n`);
        marks.forEach((mark, index) => {
          scanner.expect(Buffer.from(mark), Buffer.from(`<${index}>`));
        });
        const places = fences.map((each) => each % (noise.length + 1)).sort((a, b) => a - b);
        const stream = [...noise, ''].map((each, index) => {
          const here = marks.filter((_, mark) => places[mark] === index).join('');
          return here + each;
        });
        const text = stream.join('');
        const expected = marks.reduce((all, mark, index) => all.replace(mark, `<${index}>`), text);
        const sorted = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
        const out = sorted
          .slice(0, -1)
          .flatMap((from, index) => scanner.feed(Buffer.from(text.slice(from, sorted[index + 1]))))
          .map(String);
        expect(out.join('')).toBe(expected);
        expect(scanner.waiting).toBe(0);
      },
    ),
    { numRuns: 1_000 },
  );
});
