/** What a Memcached that runs with Larder's options tells of its settings. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineBuild } from '@larder/engine/store/engine-build';

const startLimitMs = 5_000;

/** Name -> value of `stats settings` with these arguments. @throws when it does not start with them. */
export async function memcachedSettings(
  build: EngineBuild,
  args: readonly string[],
): Promise<Map<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'larder-memcached-'));
  const socket = join(folder, 's');
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  const child = spawn(build.command.file, [...build.command.args, '-s', socket, ...user, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    const deadline = performance.now() + startLimitMs;
    while (performance.now() < deadline && child.exitCode === null) {
      const text = await ask(socket, 'stats settings\r\n').catch(() => undefined);
      if (text !== undefined) return parseStats(text);
      await sleep(10);
    }
    throw new Error(`memcached ${args.join(' ')} did not start: ${complaint.trim()}`);
  } finally {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
}

function parseStats(text: string): Map<string, string> {
  const lines = text.matchAll(/^STAT (\S+) (.*?)\r$/gm);
  return new Map([...lines].map(([, name, value]) => [name!, value!]));
}

function ask(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let reply = '';
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`Memcached hung up on ${command.trim()}.`)));
    socket.setTimeout(startLimitMs, () => socket.destroy());
    socket.once('connect', () => socket.write(command));
    socket.on('data', (chunk) => {
      reply += chunk.toString('latin1');
      if (!reply.endsWith('END\r\n')) return;
      socket.destroy();
      resolve(reply);
    });
  });
}
