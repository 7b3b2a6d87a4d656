import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logPath } from './log-stream.ts';
import { type LogPosition, readLog } from './read-log.ts';

const source = { nodeId: 'a.0001', engine: 'valkey', clusterId: 'a', cacheNodeId: '0001' } as const;
const target = { destination: 'shop', logType: 'slow-log' } as const;
let folder: string;
let file: string;
let position: LogPosition | null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-read-log-'));
  file = join(folder, logPath('shop', source, 'slow-log'));
  mkdirSync(dirname(file), { recursive: true });
  position = null;
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Everything that is new. */
async function read(): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const chunk = await readLog(folder, source, target, position);
    lines.push(...chunk.lines);
    position = chunk.position;
    if (!chunk.more) return lines;
  }
}

test('each line is read once, when it is whole', async () => {
  expect(await read()).toEqual([]);
  appendFileSync(file, 'one\ntw');
  expect(await read()).toEqual(['one']);
  appendFileSync(file, 'o\nthree\n');
  expect(await read()).toEqual(['two', 'three']);
  expect(await read()).toEqual([]);
});

test('a log that is put aside is read to its end, then the new one', async () => {
  appendFileSync(file, 'one\n');
  await read();
  appendFileSync(file, 'two\n');
  renameSync(file, `${file}.1`);
  expect(await read()).toEqual(['two']);
  appendFileSync(file, 'three\n');
  expect(await read()).toEqual(['three']);
});

test('what was put aside before anybody read is read too, in pieces', async () => {
  const long = Array.from({ length: 9_000 }, (_, index) => `${index} ${'x'.repeat(90)}`);
  appendFileSync(`${file}.1`, `${long.join('\n')}\n`);
  appendFileSync(file, 'last\n');
  expect(await read()).toEqual([...long, 'last']);
});
