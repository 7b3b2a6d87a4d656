import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineStore } from '@larder/engine/store/engine-store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directories, searchPath } from '../../../testing/config.ts';
import { waitFor } from '../../../testing/wait-for.ts';
import { type ScratchEngines, scratchEngines } from './scratch-engine.ts';

const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
let directory: string;
let scratch: ScratchEngines;

const open = (idleMs?: number) =>
  scratchEngines({
    directory,
    findBuild: async (engine, version) => (await store.find(engine, version))!,
    ...(idleMs !== undefined && { idleMs }),
  });

beforeEach(async () => {
  // Longer than a socket's path may be.
  directory = join(await mkdtemp(join(tmpdir(), 'larder-scratch-')), 'x'.repeat(120), 'scratch');
  scratch = open();
});

afterEach(async () => {
  await scratch.close();
  await rm(join(directory, '..', '..'), { recursive: true, force: true });
});

/** Engines that work in the directory, by the process table. */
async function engines(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => '');
    if (cwd.startsWith(directory) && !words.startsWith('/bin/sh')) found.push(Number(name));
  }
  return found;
}

const noEngine = () => waitFor(engines, (left) => left.length === 0, { what: 'the scratch engines to end' });

describe.each(['valkey', 'redis'] as const)('%s to ask', (engine) => {
  const ask = async (...commands: string[][]) => {
    const { version } = (await store.find(engine))!;
    return scratch.ask(engine, version, commands);
  };

  test('answers, refuses in its own words, and goes on after a refusal', async () => {
    const replies = await ask(
      ['CONFIG', 'SET', 'maxmemory-policy', 'sometimes'],
      ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu'],
      ['CONFIG', 'GET', 'maxmemory-policy'],
    );
    expect(replies[0]).toMatchObject({ ok: false, error: expect.stringContaining('argument') });
    expect(replies[2]).toEqual({ ok: true, value: ['maxmemory-policy', 'allkeys-lfu'] });
    expect(await engines()).toHaveLength(1);
  });

  test('forgets settings, users, rights of its own and keys from one ask to the next', async () => {
    const see = [['CONFIG', 'GET', 'save'], ['CONFIG', 'GET', 'hz'], ['ACL', 'LIST'], ['DBSIZE']];
    const before = await ask(...see);
    const change = await ask(
      ['CONFIG', 'SET', 'hz', '17', 'save', '900 1'],
      ['ACL', 'SETUSER', 'app', 'on', 'nopass', '~*', '+@all'],
      ['SET', 'k', 'v'],
    );
    expect(change.every(({ ok }) => ok)).toBe(true);
    expect(await ask(...see)).toEqual(before);
    expect((await ask(['ACL', 'SETUSER', 'default', 'off', 'resetpass', '-@all']))[0]?.ok).toBe(true);
    expect(await ask(...see)).toEqual(before);
  });

  test('nobody else comes in between', async () => {
    const mine = (hz: number) => ask(['CONFIG', 'SET', 'hz', String(hz)], ['CONFIG', 'GET', 'hz']);
    const wanted = Array.from({ length: 20 }, (_, index) => 20 + index);
    const replies = await Promise.all(wanted.map(mine));
    expect(replies.map((each) => each[1])).toEqual(
      wanted.map((hz) => ({ ok: true, value: ['hz', String(hz)] })),
    );
    expect(await engines()).toHaveLength(1);
  });

  test('is started anew when it went away', async () => {
    await ask(['PING']);
    for (const pid of await engines()) process.kill(pid, 'SIGKILL');
    // Also before the service has seen that it is gone.
    expect(await ask(['PING'])).toEqual([{ ok: true, value: 'PONG' }]);
    await expect(ask(['SHUTDOWN', 'NOSAVE'])).rejects.toThrow('did not answer');
    expect(await ask(['PING'])).toEqual([{ ok: true, value: 'PONG' }]);
  });
});

test('ends when nobody asks, and with close', async () => {
  scratch = open(1);
  const { version } = (await store.find('valkey'))!;
  await scratch.ask('valkey', version, [['PING']]);
  await noEngine();
  await scratch.ask('valkey', version, [['PING']]);
  await scratch.close();
  expect(await engines()).toEqual([]);
  await expect(scratch.ask('valkey', version, [['PING']])).rejects.toThrow('closed');
});

test('ends with a service that was killed', async () => {
  const build = (await store.find('valkey'))!;
  const program = `
    import { scratchEngines } from '@larder/fleet/scratch-engine';
    const scratch = scratchEngines({ directory: ${JSON.stringify(directory)}, findBuild: async () => (${JSON.stringify(build)}) });
    await scratch.ask('valkey', ${JSON.stringify(build.version)}, [['PING']]);
    process.stdout.write('asked');
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(await engines()).toHaveLength(1);
  child.kill('SIGKILL');
  await noEngine();
});

test('a version that is not there, and Memcached, are errors', async () => {
  const missing = scratchEngines({
    directory,
    findBuild: async () => {
      throw new Error('valkey 1.0.0 is no longer installed.');
    },
  });
  await expect(missing.ask('valkey', '1.0.0', [['PING']])).rejects.toThrow('no longer installed');
  await expect(scratch.ask('memcached', '1.6.18', [['stats']])).rejects.toThrow('Memcached');
  await missing.close();
});
