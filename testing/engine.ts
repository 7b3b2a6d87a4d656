/** Real engines for tests: each on a loopback address of its own, gone when the test file ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineName } from '@larder/engine/engine';
import { engineStore } from '@larder/engine/store/engine-store';
import { directories, searchPath } from './config.ts';

export interface TestEngine {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** SIGKILL, and waits until the process is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** Starts it again after `kill`, on the same address, with the same folder. */
  restart(): Promise<void>;
}

/** Generous: the machine may be busy with everything else that tests start. */
const startLimitMs = 30_000;
let nextAddress = 1;

/** An address nobody else uses: the process id spreads test files, the counter the engines in one. */
export function freshAddress(): string {
  const counter = nextAddress++;
  return `127.${200 + (process.pid % 50)}.${Math.floor(process.pid / 50) % 250}.${counter % 250}`;
}

/** Every build of Valkey and Redis here. */
export async function installedServers(): Promise<
  { readonly engine: EngineName; readonly version: string }[]
> {
  const builds = await engineStore({ directory: join(directories.cache, 'engines'), searchPath }).list();
  return builds.filter(({ engine }) => engine !== 'memcached');
}

/** @param extra engine arguments, for example `['--maxmemory', '50mb']`. */
export async function startEngine(
  engine: EngineName = 'valkey',
  extra: readonly string[] = [],
  version?: string,
): Promise<TestEngine> {
  const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
  const build = await store.find(engine, version);
  if (build === undefined) throw new Error(`No ${engine} here; the global set-up should have installed it.`);
  const host = freshAddress();
  const port = engine === 'memcached' ? 11211 : 6379;
  const folder = await mkdtemp(join(tmpdir(), 'larder-test-engine-'));
  const args =
    engine === 'memcached'
      ? ['-l', host, '-p', String(port), '-U', '0', '-u', 'nobody', ...extra]
      : ['--bind', host, '--port', String(port), '--dir', folder, '--save', ''].concat(
          // Without these a peer would learn the connection's source address, 127.0.0.1.
          ['--bind-source-addr', host, '--cluster-announce-ip', host],
          extra,
        );

  let child: ChildProcess;
  async function start(): Promise<void> {
    child = spawn(build!.command.file, [...build!.command.args, ...args], { stdio: 'ignore' });
    const until = performance.now() + startLimitMs;
    while (performance.now() < until) {
      if (child.exitCode !== null) throw new Error(`${engine} on ${host} ended with ${child.exitCode}.`);
      if (await answers(host, port)) return;
      await sleep(10);
    }
    throw new Error(`${engine} on ${host}:${port} did not answer within ${startLimitMs} ms.`);
  }
  function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    return gone;
  }
  await start();
  return {
    host,
    port,
    get pid() {
      return child.pid!;
    },
    kill: () => end('SIGKILL'),
    restart: start,
    async stop() {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One command over a connection of its own; returns the raw reply text. */
export function command(node: Pick<TestEngine, 'host' | 'port'>, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(node.port, node.host);
    const body = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
    let reply = '';
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      reply += chunk.toString();
      const bulk = /^\$(\d+)\r\n/.exec(reply);
      const complete =
        bulk === null ? reply.endsWith('\r\n') : reply.length >= bulk[0].length + Number(bulk[1]) + 2;
      if (!complete) return;
      socket.destroy();
      if (reply.startsWith('-')) reject(new Error(reply.slice(1).trim()));
      else resolve(reply);
    });
    socket.write(`*${words.length}\r\n${body}`);
  });
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
