import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundedLines } from './bounded-lines.ts';

async function linesOf(chunks: Uint8Array[], longestBytes = 10): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for await (const { number, bytes } of boundedLines(chunks, longestBytes)) {
    expect(number).toBe(found.length + 1);
    found.push(bytes && Buffer.from(bytes).toString('latin1'));
  }
  return found;
}

test('lines end with LF or CR LF, and the last one may lack it', async () => {
  expect(await linesOf([Buffer.from('a\r\n\nb\n')])).toEqual(['a', '', 'b']);
  expect(await linesOf([Buffer.from('a\nb')])).toEqual(['a', 'b']);
  expect(await linesOf([])).toEqual([]);
});

test('a line that is too long is left out, and the next one is whole', async () => {
  expect(await linesOf([Buffer.from('12345678901\nshort\n')])).toEqual([undefined, 'short']);
  expect(await linesOf(Array.from({ length: 1_000 }, () => Buffer.from('x'.repeat(100))))).toEqual([
    undefined,
  ]);
});

test('how the bytes are cut into chunks makes no difference', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom('a', ',', '"', '\r', '\n'), maxLength: 60 }),
      fc.array(fc.nat(60), { maxLength: 6 }),
      async (text, cuts) => {
        const bytes = Buffer.from(text);
        const places = [0, ...cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        expect(await linesOf(chunks)).toEqual(await linesOf([bytes]));
      },
    ),
  );
});
