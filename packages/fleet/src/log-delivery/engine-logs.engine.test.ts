/** What engines of every version here say of slow commands and print, as deliveries read it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installedServers, startEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { parseEngineLog } from './engine-log.ts';
import { parseSlowLog } from './slow-log.ts';

const servers = await installedServers();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'larder-engine-logs-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(servers)('$engine $version', async ({ engine, version }) => {
  const log = join(folder, `${engine}-${version}.log`);
  const startedMs = Date.now();
  const extra = ['--logfile', log, '--slowlog-log-slower-than', '0'];
  const { host, port, stop } = await startEngine(engine, extra, version);
  const client = new Redis({ host, port, connectionName: 'teller' });
  try {
    const pairs = Array.from({ length: 100 }, (_, index) => [`k${index}`, 'secret']).flat();
    await client.mset(...pairs);
    await client.set('k', '... (7 more arguments)');
    const entries = parseSlowLog(await client.call('SLOWLOG', 'GET', '128'));
    const [mset, set] = entries.filter(({ command }) => /^m?set /.test(command));
    expect(mset).toMatchObject({ command: 'mset ... (200 more arguments)', clientName: 'teller' });
    expect(set).toMatchObject({ id: mset!.id + 1, command: 'set ... (2 more arguments)' });
    expect(set!.clientAddress).toMatch(/^127\.\d+\.\d+\.\d+:\d+$/);
    expect(set!.timestampSeconds).toBeGreaterThanOrEqual(Math.floor(startedMs / 1_000));

    const lines = await waitFor(
      async () => parseEngineLog(await readFile(log, 'utf8')),
      (found) => found.some(({ message }) => message.startsWith('Ready to accept connections')),
      { what: 'the engine to be ready' },
    );
    const ready = lines.find(({ message }) => message.startsWith('Ready to accept connections'))!;
    expect(ready.heading).toMatchObject({ role: 'M', level: '*' });
    expect(ready.heading!.timeMs).toBeGreaterThanOrEqual(startedMs);
    expect(ready.heading!.timeMs).toBeLessThanOrEqual(Date.now());
  } finally {
    client.disconnect();
    await stop();
  }
});
