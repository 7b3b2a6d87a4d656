import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  accessKeyLookup,
  addAccessKey,
  ensureAccessKeys,
  NoAccessKeys,
  readAccessKeys,
  removeAccessKey,
} from './access-keys.ts';

let folder: string;
let place: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-keys-'));
  place = join(folder, 'data');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('before the first start there are none, and nothing is made by looking', async () => {
  await expect(readAccessKeys(place)).rejects.toThrow(NoAccessKeys);
  await expect(addAccessKey(place, 'operator')).rejects.toThrow(NoAccessKeys);
  await expect(removeAccessKey(place, 'x')).rejects.toThrow(NoAccessKeys);
  expect(readdirSync(folder)).toEqual([]);
  expect(await accessKeyLookup(place)('x')).toBe(undefined);
});

test('the first start makes one for an operator; later ones, and others at the same time, keep it', async () => {
  const made = await Promise.all([1, 2, 3].map(() => ensureAccessKeys(place)));
  const [key] = made[0]!;
  expect(key).toMatchObject({
    rights: 'operator',
    accessKeyId: expect.stringMatching(/^LARDER[0-9A-F]{14}$/),
  });
  // 240 bits.
  expect(key?.secretAccessKey).toMatch(/^[\w-]{40}$/);
  for (const keys of [...made, await ensureAccessKeys(place), await readAccessKeys(place)]) {
    expect(keys).toEqual([key]);
  }
});

test('only their owner reads them, also when the file was opened up before', async () => {
  await ensureAccessKeys(place);
  const file = join(place, 'access-keys.json');
  const modeOf = (path: string) => statSync(path).mode & 0o777;
  expect(modeOf(file)).toBe(0o600);
  expect(modeOf(place)).toBe(0o700);
  chmodSync(file, 0o644);
  const { secretAccessKey } = await addAccessKey(place, 'read-only');
  expect(modeOf(file)).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toContain(secretAccessKey);
  expect(readdirSync(place)).toEqual(['access-keys.json']);
});

test('keys made at the same time are all kept', async () => {
  await ensureAccessKeys(place);
  const made = await Promise.all(Array.from({ length: 8 }, () => addAccessKey(place, 'read-only')));
  const ids = (await readAccessKeys(place)).map(({ accessKeyId }) => accessKeyId);
  expect(ids.slice(1).sort()).toEqual(made.map(({ accessKeyId }) => accessKeyId).sort());
});

test('the last one of an operator stays', async () => {
  const [first] = await ensureAccessKeys(place);
  await addAccessKey(place, 'read-only');
  await expect(removeAccessKey(place, first!.accessKeyId)).rejects.toThrow("last operator's key");
  await expect(removeAccessKey(place, 'LARDERX')).rejects.toThrow('"larder keys ls"');
  const second = await addAccessKey(place, 'operator');
  await removeAccessKey(place, first!.accessKeyId);
  expect((await readAccessKeys(place)).map(({ rights }) => rights)).toEqual(['read-only', 'operator']);
  await expect(removeAccessKey(place, second.accessKeyId)).rejects.toThrow("last operator's key");
});

test('a lookup sees every change with its next question', async () => {
  const lookup = accessKeyLookup(place);
  const [first] = await ensureAccessKeys(place);
  expect(await lookup(first!.accessKeyId)).toEqual(first);
  for (const rights of ['read-only', 'operator'] as const) {
    const made = await addAccessKey(place, rights);
    expect(await lookup(made.accessKeyId)).toEqual(made);
    await removeAccessKey(place, made.accessKeyId);
    expect(await lookup(made.accessKeyId)).toBe(undefined);
    expect(await lookup(first!.accessKeyId)).toEqual(first);
  }
  expect(await lookup('__proto__')).toBe(undefined);
});
