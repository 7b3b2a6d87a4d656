import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256Of, startS3, type TestS3 } from '../../../../testing/s3-server.ts';
import { type ObjectStore, ObjectStoreRefused, ObjectStoreUnavailable } from './object-store.ts';
import { inParts, partBytesOf } from './parts.ts';
import { s3ObjectStore } from './s3.ts';
import { uploadRecords } from './upload-records.ts';

const partBytes = 5 * 2 ** 20;
const small = randomBytes(1_000);
const large = randomBytes(2 * partBytes + 77);
const signal = new AbortController().signal;
let s3: TestS3;
let store: ObjectStore;
let folder: string;

beforeAll(async () => {
  s3 = await startS3();
  await s3.makeBucket('kept');
});

beforeEach(async () => {
  s3.fault = () => undefined;
  store = await s3ObjectStore(s3.access, { partBytes, questionLimitMs: 3_000 });
  folder = await mkdtemp(join(tmpdir(), 'larder-s3-'));
});

afterEach(async () => {
  store.close();
  await rm(folder, { recursive: true, force: true });
});

afterAll(() => s3.close());

const contentOf = (data: Buffer, sha256 = sha256Of(data)) => ({
  sizeBytes: data.length,
  sha256,
  async *read() {
    for (let at = 0; at < data.length; at += 300_000) yield data.subarray(at, at + 300_000);
  },
});

async function upload(key: string, data: Buffer, sha256?: string): Promise<string | undefined> {
  let begun: string | undefined;
  await store.upload({ bucket: 'kept', key }, contentOf(data, sha256), {
    signal,
    begun: async (uploadId) => {
      begun = uploadId;
    },
  });
  return begun;
}

describe('uploads', () => {
  test('a small file goes at once, a large one in parts; both are there whole', async () => {
    expect(await upload('small.rdb', small)).toBeUndefined();
    expect(await upload('large.rdb', large)).toMatch(/./);
    expect(sha256Of(await s3.read('kept', 'small.rdb'))).toBe(sha256Of(small));
    expect(sha256Of(await s3.read('kept', 'large.rdb'))).toBe(sha256Of(large));
    expect(s3.asked.filter((each) => /partNumber=\d/.test(each))).toHaveLength(3);
    expect(s3.openUploads()).toEqual([]);
  });

  test('what is not what was kept becomes no object', async () => {
    const other = createHash('sha256').update('other').digest('hex');
    await expect(upload('wrong-small.rdb', small, other)).rejects.toThrow(/not what was kept/);
    await expect(upload('wrong-large.rdb', large, other)).rejects.toThrow(/not what was kept/);
    expect(await store.sizeOf({ bucket: 'kept', key: 'wrong-small.rdb' })).toBeUndefined();
    expect(await store.sizeOf({ bucket: 'kept', key: 'wrong-large.rdb' })).toBeUndefined();
    const [left] = s3.openUploads();
    await store.abandon({ bucket: 'kept', key: 'wrong-large.rdb' }, left!);
    expect(s3.openUploads()).toEqual([]);
  });

  test('a store that loses a part: no object, and the parts can be taken away, twice', async () => {
    s3.fault = (asked) =>
      asked.includes('partNumber=2') ? { kind: 'answer', status: 500, code: 'InternalError' } : undefined;
    await expect(upload('cut.rdb', large)).rejects.toThrow(ObjectStoreUnavailable);
    expect(await store.sizeOf({ bucket: 'kept', key: 'cut.rdb' })).toBeUndefined();
    const [left] = s3.openUploads();
    await store.abandon({ bucket: 'kept', key: 'cut.rdb' }, left!);
    await store.abandon({ bucket: 'kept', key: 'cut.rdb' }, left!);
    expect(s3.openUploads()).toEqual([]);
  });
});

describe('what a store says no with', () => {
  test.each([
    [404, 'NoSuchBucket', ObjectStoreRefused, /There is no bucket kept/],
    [403, 'AccessDenied', ObjectStoreRefused, /Access to bucket kept is denied/],
    [503, 'SlowDown', ObjectStoreUnavailable, /503/],
  ])('%i %s', async (status, code, kind, message) => {
    s3.fault = () => ({ kind: 'answer', status, code });
    const error = await store.checkBucket('kept').catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
  });

  test('nothing, as nobody listens', async () => {
    const nowhere = await s3ObjectStore({ ...s3.access, endpoint: 'http://127.0.0.1:9' });
    await expect(nowhere.checkBucket('kept')).rejects.toThrow(ObjectStoreUnavailable);
    nowhere.close();
  });
});

describe('downloads', () => {
  const download = (key: string, maxBytes = 2 ** 30) =>
    store.download({ bucket: 'kept', key }, join(folder, 'got'), { signal, maxBytes });

  test('a file comes as it is', async () => {
    await s3.put('kept', 'in.rdb', large);
    await download('in.rdb');
    expect(sha256Of(await readFile(join(folder, 'got')))).toBe(sha256Of(large));
  });

  test('one that is too large, missing, cut off, or not what was uploaded is refused', async () => {
    await s3.put('kept', 'in.rdb', large);
    await expect(download('in.rdb', large.length - 1)).rejects.toThrow(/more than/);
    await expect(download('none.rdb')).rejects.toThrow(/There is no none.rdb in bucket kept/);
    s3.fault = () => ({ kind: 'cut-answer', afterBytes: 100_000 });
    await expect(download('in.rdb')).rejects.toThrow(ObjectStoreUnavailable);
  });
});

test('parts are of one size but the last, whatever the chunks are', async () => {
  const parts: Buffer[] = [];
  for await (const part of inParts(contentOf(large).read(), 700_001)) parts.push(part);
  expect(parts.slice(0, -1).every(({ length }) => length === 700_001)).toBe(true);
  expect(Buffer.concat(parts).equals(large)).toBe(true);
  expect(Math.ceil((10 * 2 ** 40) / partBytesOf(10 * 2 ** 40))).toBeLessThanOrEqual(10_000);
});

test('uploads that were begun are known after a restart, until they end', async () => {
  const place = { bucket: 'kept', key: 'a/b.rdb' };
  await uploadRecords(folder).begun(place, 'upload-1');
  expect(await uploadRecords(folder).open(place)).toBe('upload-1');
  await uploadRecords(folder).ended(place);
  expect(await uploadRecords(folder).open(place)).toBeUndefined();
});
