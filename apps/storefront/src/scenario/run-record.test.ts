import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AlreadyRunning, openRunRecord, processStartTime } from './run-record.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'larder-test-run-record-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('a second scenario on the same directory is refused with the pid of the first', async () => {
  const record = await openRunRecord(directory);
  await expect(openRunRecord(directory)).rejects.toThrow(AlreadyRunning);
  await expect(openRunRecord(directory)).rejects.toThrow(`process ${process.pid}`);
  await record.remove();
  await (await openRunRecord(directory)).remove();
});

test('what a killed scenario left running is ended, and nobody else’s process', async () => {
  const leftover = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const gone = new Promise((resolve) => leftover.once('exit', resolve));
  const file = {
    scenario: { name: 'scenario', pid: 2 ** 22 + 1, startTime: '1' },
    children: [
      { name: 'shop-none-1', pid: leftover.pid, startTime: await processStartTime(leftover.pid!) },
      // The same pid as this test, but of a process that began at another time.
      { name: 'shop-none-2', pid: process.pid, startTime: 'another time' },
    ],
  };
  await writeFile(join(directory, 'running.json'), JSON.stringify(file));
  const record = await openRunRecord(directory);
  await gone;
  expect(record.endedLeftovers).toEqual(['shop-none-1']);
  await record.remove();
});

test('the record names what runs and forgets what ended', async () => {
  const record = await openRunRecord(directory);
  await record.started({ name: 'a', pid: 11, startTime: 'x' });
  await record.started({ name: 'b', pid: 12, startTime: 'y' });
  await record.ended(11);
  const { children } = JSON.parse(await readFile(join(directory, 'running.json'), 'utf8'));
  expect(children).toEqual([{ name: 'b', pid: 12, startTime: 'y' }]);
  await record.remove();
});
