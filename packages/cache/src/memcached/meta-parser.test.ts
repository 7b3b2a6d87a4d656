import { expect, test } from 'vitest';
import { randomOf } from '../testing/random.ts';
import { MetaProtocolError } from './errors.ts';
import { MetaParser, type MetaReply } from './meta-parser.ts';

const maxValueBytes = 1_000;

function parse(chunks: readonly Buffer[]): MetaReply[] {
  const replies: MetaReply[] = [];
  const parser = new MetaParser(maxValueBytes, (reply) => replies.push(reply));
  for (const chunk of chunks) parser.push(chunk);
  return replies;
}

const stream = Buffer.concat([
  Buffer.from('HD\r\nVA 5 c12 t-1 f3 s5 h1 l9 kkey O7 W X\r\na\r\nb\0\r\nEN\r\n'),
  Buffer.from('VA 0 t30 Z\r\n\r\nMN\r\nNF O3\r\nVA 2 kAP8= b\r\n\xff\x00\r\n', 'latin1'),
  Buffer.from(
    'CLIENT_ERROR bad\x01 flag\r\nCONFIG cluster 0 4\r\n1\n\n\n\r\nEND\r\nME k exp=-1 la=2\r\nERROR\r\n',
  ),
]);

test('replies are the same however the stream is cut', () => {
  const whole = parse([stream]);
  expect(whole.map(({ status }) => status).join(' ')).toBe(
    'HD VA EN VA MN NF VA CLIENT_ERROR CONFIG END ME ERROR',
  );
  expect(whole[1]).toMatchObject({
    cas: '12',
    ttlS: Number.POSITIVE_INFINITY,
    clientFlags: 3,
    sizeBytes: 5,
    hit: true,
    lastAccessS: 9,
    opaque: '7',
    won: true,
    stale: true,
    lost: false,
  });
  expect(whole[1]!.value!.toString('latin1')).toBe('a\r\nb\0');
  expect(whole[1]!.key!.toString()).toBe('key');
  expect(whole[3]).toMatchObject({ ttlS: 30, lost: true });
  expect([...whole[6]!.key!]).toEqual([0, 255]);
  expect(whole[7]!.text).toBe('bad? flag');
  for (let cut = 1; cut < stream.length; cut += 1) {
    expect(parse([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(whole);
  }
  expect(parse([...stream].map((byte) => Buffer.from([byte])))).toEqual(whole);
});

test.each([
  ['a line that never ends', 'H'.repeat(2_049)],
  ['no CR', 'HD\n'],
  ['an empty line', '\r\n'],
  ['a word it does not know', 'SURPRISE\r\n'],
  ['a value without a length', 'VA\r\n'],
  ['a negative length', 'VA -1\r\n'],
  ['a length that is no number', 'VA 1e3\r\n'],
  ['a length beyond the bound', 'VA 1001\r\n'],
  ['a huge length', 'VA 99999999999999999999\r\n'],
  ['a value that is longer than it said', 'VA 2\r\nabc\r\n'],
  ['a CAS number that is none', 'HD cx\r\n'],
  ['a number that is none', 'HD s1x\r\n'],
  ['too many flags', `HD${' a'.repeat(33)}\r\n`],
  ['a node list that is too long', 'CONFIG cluster 0 100000\r\n'],
])('%s ends the stream', (_what, text) => {
  const parser = new MetaParser(maxValueBytes, () => {});
  expect(() => parser.push(Buffer.from(text))).toThrow(MetaProtocolError);
  expect(() => parser.push(Buffer.from('HD\r\n'))).toThrow(MetaProtocolError);
});

test('any bytes give replies or MetaProtocolError, and never more memory than a line and a value', () => {
  const seed = (Date.now() ^ (process.pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  let refusals = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const bytes = Buffer.from(stream);
    const changes = 1 + Math.floor(random() * 4);
    for (let change = 0; change < changes; change += 1) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    const from = random() < 0.3 ? Math.floor(random() * bytes.length) : 0;
    const chunks: Buffer[] = [];
    for (let at = from; at < bytes.length; ) {
      const next = at + 1 + Math.floor(random() * 40);
      chunks.push(bytes.subarray(at, next));
      at = next;
    }
    try {
      for (const { value } of parse(chunks)) expect(value?.length ?? 0).toBeLessThanOrEqual(maxValueBytes);
    } catch (error) {
      expect(error).toBeInstanceOf(MetaProtocolError);
      refusals += 1;
    }
  }
  expect(refusals).toBeGreaterThan(100);
});
