import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSealedFile, SealBroken, sealFile } from './sealed-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-seal-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const secret = randomBytes(32);
const keyOf = (salt: string) => createHmac('sha256', secret).update(salt).digest();
const path = (name: string) => join(folder, name);
const chunk = 2 ** 20;

test.each([0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk])('%i bytes come back', async (size) => {
  const data = randomBytes(size);
  writeFileSync(path('plain'), data);
  const sha256 = await sealFile(path('plain'), path('sealed'), keyOf);
  expect(sha256).toBe(createHash('sha256').update(data).digest('hex'));
  expect(statSync(path('sealed')).mode & 0o777).toBe(0o600);
  expect(await openSealedFile(path('sealed'), path('again'), keyOf)).toBe(sha256);
  expect(readFileSync(path('again')).equals(data)).toBe(true);
});

test('nothing of it can be read, and no two files are alike', async () => {
  writeFileSync(path('plain'), 'a known value '.repeat(1_000));
  await sealFile(path('plain'), path('one'), keyOf);
  await sealFile(path('plain'), path('two'), keyOf);
  const [one, two] = [readFileSync(path('one')), readFileSync(path('two'))];
  expect(one.includes('known')).toBe(false);
  expect(one.subarray(24).equals(two.subarray(24))).toBe(false);
});

test('what was changed, cut off or put together does not open', async () => {
  writeFileSync(path('plain'), randomBytes(2 * chunk + 7));
  await sealFile(path('plain'), path('sealed'), keyOf);
  const whole = readFileSync(path('sealed'));
  const sealedChunk = chunk + 16;
  const broken: Record<string, Buffer> = {
    'a changed bit': Buffer.from(whole),
    'no last chunk': whole.subarray(0, 24 + 2 * sealedChunk),
    'cut in a chunk': whole.subarray(0, whole.length - 3),
    'only a header': whole.subarray(0, 24),
    'chunks exchanged': Buffer.concat([
      whole.subarray(0, 24),
      whole.subarray(24 + sealedChunk, 24 + 2 * sealedChunk),
      whole.subarray(24, 24 + sealedChunk),
      whole.subarray(24 + 2 * sealedChunk),
    ]),
    'something else': Buffer.from('REDIS0011'),
  };
  broken['a changed bit']![5_000]! ^= 1;
  for (const [what, bytes] of Object.entries(broken)) {
    writeFileSync(path('broken'), bytes);
    await expect(openSealedFile(path('broken'), path('again'), keyOf), what).rejects.toThrow(SealBroken);
  }
  truncateSync(path('broken'), 0);
  await expect(openSealedFile(path('broken'), path('again'), keyOf)).rejects.toThrow(SealBroken);
  await expect(openSealedFile(path('sealed'), path('again'), () => randomBytes(32))).rejects.toThrow(
    SealBroken,
  );
});
