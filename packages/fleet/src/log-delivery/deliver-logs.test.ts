import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NodeUnreachable } from '../host.ts';
import { type LogTarget, logDeliverer } from './deliver-logs.ts';
import { type LogSource, logPath } from './log-stream.ts';

const source: LogSource = { nodeId: 'shop.0001', engine: 'valkey', clusterId: 'shop', cacheNodeId: '0001' };
const startMs = Date.UTC(2030, 0, 1);
let directory: string;
let folder: string;

/** An engine's slow log as `SLOWLOG GET` and `INFO server` show it. */
let engine: { runId: string; ids: number[]; answers: boolean };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'larder-logs-'));
  folder = await mkdtemp(join(tmpdir(), 'larder-logging-node-'));
  engine = { runId: 'a', ids: [], answers: true };
});

afterEach(async () => {
  await rm(directory, { recursive: true });
  await rm(folder, { recursive: true });
});

const target = (change: Partial<LogTarget> = {}): LogTarget => ({
  logType: 'slow-log',
  format: 'json',
  destination: 'd',
  sinceMs: startMs,
  ...change,
});

async function deliver(change: Partial<LogTarget> = {}) {
  const send = async (commands: readonly (readonly string[])[]) => {
    if (!engine.answers) throw new NodeUnreachable('It does not run.');
    const seconds = (id: number) => startMs / 1_000 + id;
    const entries = engine.ids.map((id) => [id, seconds(id), 1, ['get', 'k'], '127.0.0.1:1', '']);
    return [entries.reverse().slice(0, Number(commands[0]![2])), `run_id:${engine.runId}\r\n`];
  };
  // A new one each time: what it remembers must be on disk.
  return (await logDeliverer(directory)({ folder, send }, source, [target(change)]))[0]!;
}

const logFile = (destination = 'd', logType: LogTarget['logType'] = 'slow-log') =>
  join(directory, logPath(destination, source, logType));

async function deliveredIds(destination = 'd'): Promise<number[]> {
  const lines = (await readFile(logFile(destination), 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => (JSON.parse(line) as { Id: number }).Id);
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

test('each slow command once, in pieces, also after the engine counts anew', async () => {
  engine.ids = range(0, 300);
  expect(await deliver()).toEqual({ logType: 'slow-log', more: true });
  expect(await deliver()).toEqual({ logType: 'slow-log', more: true });
  expect(await deliver()).toEqual({ logType: 'slow-log', more: false });
  await deliver();
  engine = { ...engine, ids: range(250, 310) };
  await deliver();
  expect(await deliveredIds()).toEqual(range(0, 310));
  engine = { runId: 'b', ids: [0, 1], answers: true };
  await deliver();
  expect(await deliveredIds()).toEqual([...range(0, 310), 0, 1]);
  expect((await stat(logFile())).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, 'd'))).mode & 0o777).toBe(0o700);
});

test('what was logged before it was turned on, or while it was off, is left out', async () => {
  engine.ids = range(0, 5);
  await deliver({ sinceMs: startMs + 3_500 });
  expect(await deliveredIds()).toEqual([3, 4]);
  engine.ids = range(0, 12);
  await deliver({ sinceMs: startMs + 10_000 });
  expect(await deliveredIds()).toEqual([3, 4, 10, 11]);
});

test('a piece cut off at any byte is written again in its place', async () => {
  engine.ids = range(0, 2);
  await deliver();
  const whole = await readFile(logFile());
  engine.ids = range(0, 4);
  await deliver();
  const after = await readFile(logFile());
  const cursorFile = join(folder, 'slow-log.cursor');
  const { position } = JSON.parse(await readFile(cursorFile, 'utf8')) as { position: object };
  const text = after.subarray(whole.length).toString();
  const piece = { file: logFile(), fromByte: whole.length, text };
  for (let cutAt = whole.length; cutAt <= after.length; cutAt += 7) {
    await truncate(logFile(), cutAt);
    await writeFile(cursorFile, JSON.stringify({ position, piece }));
    // The engine has lost them meanwhile.
    engine.ids = [];
    await deliver();
    expect(await readFile(logFile())).toEqual(after);
  }
  await truncate(logFile(), whole.length);
  await writeFile(cursorFile, JSON.stringify({ position, piece }));
  await deliver({ destination: 'elsewhere' });
  expect(await deliveredIds('elsewhere')).toEqual([2, 3]);
});

test('what is in the way of a log is told, without a path of the machine, and nothing is lost by it', async () => {
  await writeFile(join(directory, 'd'), '');
  engine.ids = [0];
  const { failure } = await deliver();
  expect(failure).toBe(
    'logs/d/elasticache/valkey/shop/0001/slow-log could not be written: something that is no folder is in the way.',
  );
  await rm(join(directory, 'd'));
  expect((await deliver()).failure).toBeUndefined();
  expect(await deliveredIds()).toEqual([0]);
  expect((await deliver({ destination: 'n'.repeat(300) })).failure).toContain('its name is too long');
});

test('a node that does not answer has nothing new, and that is no failure', async () => {
  engine.answers = false;
  expect(await deliver()).toEqual({ logType: 'slow-log', more: false });
  expect(await deliver({ logType: 'engine-log' })).toEqual({ logType: 'engine-log', more: false });
});

test('a log that gets too long is put aside', async () => {
  engine.ids = [0];
  await deliver();
  await truncate(logFile(), 16 * 1024 * 1024 - 10);
  engine.ids = [0, 1];
  await deliver();
  expect(await deliveredIds()).toEqual([1]);
  expect((await stat(`${logFile()}.1`)).size).toBe(16 * 1024 * 1024 - 10);
});

test("an engine's lines from when it was turned on, whole ones, in pieces", async () => {
  const printed = join(folder, 'engine.log');
  const heading = (second: number) => {
    const at = new Date(startMs + second * 1_000);
    const two = (value: number) => String(value).padStart(2, '0');
    const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
    const month = at.toLocaleString('en-US', { month: 'short' });
    return `7:M ${two(at.getDate())} ${month} ${at.getFullYear()} ${time}.000 *`;
  };
  const messages = async () => {
    const lines = (await readFile(logFile('d', 'engine-log'), 'utf8')).split('\n').slice(0, -1);
    return lines.map((line) => (JSON.parse(line) as { Message: string }).Message);
  };
  const since = { logType: 'engine-log' as const, sinceMs: startMs + 10_000 };
  await writeFile(printed, `${heading(1)} before\n${heading(11)} first\n${heading(12)} half`);
  await deliver(since);
  expect(await messages()).toEqual(['first']);
  await writeFile(printed, `Of it\n${heading(13)} second\n`, { flag: 'a' });
  await deliver(since);
  await deliver(since);
  expect(await messages()).toEqual(['first', 'halfOf it', 'second']);

  const long = Array.from({ length: 6_000 }, (_, index) => `${heading(14)} line ${index} ${'x'.repeat(30)}`);
  await writeFile(printed, `${long.join('\n')}\n`, { flag: 'a' });
  let pieces = 1;
  while ((await deliver(since)).more) pieces += 1;
  expect(pieces).toBeGreaterThan(1);
  const all = await messages();
  expect(all.slice(3).map((message) => Number(message.split(' ')[1]))).toEqual(range(0, 6_000));

  await writeFile(printed, `${heading(15)} emptied\n`);
  await deliver(since);
  expect((await messages()).slice(6_003)).toEqual(['emptied']);
});
