import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { snapshotFolders } from './snapshot-folders.ts';
import { type SnapshotKeeper, snapshotKeeper } from './snapshot-keeper.ts';

let folder: string;
let keeper: SnapshotKeeper;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'larder-between-'));
  keeper = snapshotKeeper(await snapshotFolders(join(folder, 'snapshots'), () => Buffer.alloc(32)));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const aborted = (signal: AbortSignal) =>
  new Promise<string>((resolve) => {
    if (signal.aborted) return resolve('told');
    signal.addEventListener('abort', () => resolve('told'));
  });

/** Of a node that does not run: it fails when its turn comes. */
const save = () =>
  keeper.saveInPlace('n', { folder, send: async () => [], runs: () => false }).catch(() => 'had its turn');

test('work between saves is told when one is to begin, which waits for its end', async () => {
  const order: string[] = [];
  const work = keeper.betweenSaves(async (aSaveWaits) => {
    order.push(await aborted(aSaveWaits));
  });
  const saved = save().then(() => order.push('saved'));
  await Promise.all([work, saved]);
  expect(order).toEqual(['told', 'saved']);
});

test('work that waits behind a save goes after it and runs through', async () => {
  const saved = save();
  const first = keeper.betweenSaves(async (aSaveWaits) => aSaveWaits.aborted);
  expect(await saved).toBe('had its turn');
  expect(await first).toBe(false);
});
