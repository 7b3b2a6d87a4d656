/** One engine that serves nobody, in a folder of its own, which ends with the service however that goes. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { Redis, ReplyError } from 'ioredis';

export type ScratchReply =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string };

export interface ScratchProcess {
  /** @returns one reply for each; an engine's refusal is one. @throws when it does not answer in time. */
  send(commands: readonly (readonly string[])[]): Promise<ScratchReply[]>;
  /** The names of all keys of database 0, many at a time; one may come twice. */
  keys(): AsyncGenerator<readonly Buffer[]>;
  readonly alive: boolean;
  /** Resolves when it has ended and its folder is gone. */
  end(): Promise<void>;
}

export interface ScratchProcessOptions {
  /** Its folder is made in it. */
  readonly directory: string;
  readonly build: EngineBuild;
  /** Called with the folder before it starts. */
  readonly prepare?: (folder: string) => Promise<void>;
  /** For its command line, besides what all have. */
  readonly settings?: readonly string[];
  /** Of address space: asked for more, it ends. */
  readonly memoryLimitBytes?: number;
}

const startLimitMs = 10_000;
const answerLimitMs = 2_000;
const reconnectMs = 10;
const keysAtOnce = 5_000;

/**
 * The shell waits for the end of its input, which comes when the service closes it or is gone, however that went;
 * then it takes the engine with it.
 */
const guard = 'ulimit -c 0; "$0" "$@" </dev/null & read -r _; kill -9 $! 2>/dev/null';

const socketName = 's';
const commonSettings: readonly string[] = [
  ...['--port', '0', '--unixsocket', socketName, '--unixsocketperm', '700'],
  ...['--save', '', '--appendonly', 'no', '--daemonize', 'no', '--set-proc-title', 'no'],
  ...['--loglevel', 'warning', '--maxclients', '100'],
];

/** Resolves when it takes connections; it may still load data. @throws when it ends before that. */
export async function scratchProcess({
  directory,
  build,
  prepare,
  settings = [],
  memoryLimitBytes,
}: ScratchProcessOptions): Promise<ScratchProcess> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(directory, `${build.engine}-`));
  try {
    await prepare?.(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const limit = memoryLimitBytes === undefined ? '' : `ulimit -v ${Math.ceil(memoryLimitBytes / 1024)}; `;
  const child = spawn(
    '/bin/sh',
    ['-c', `${limit}${guard}`, build.command.file, ...build.command.args, ...commonSettings, ...settings],
    { cwd: folder, detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  child.stdin.on('error', () => {});
  // A socket's path may have 107 characters; through the folder's descriptor it is short wherever that lies.
  const handle = await open(folder);
  const redis = new Redis({
    path: `/proc/self/fd/${handle.fd}/${socketName}`,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => reconnectMs,
    commandTimeout: answerLimitMs,
  });
  redis.on('error', () => {});
  let ending: Promise<void> | undefined;
  let connected = false;

  async function endOnce(): Promise<void> {
    redis.disconnect();
    child.stdin.end();
    await exited;
    await handle.close();
    await rm(folder, { recursive: true, force: true });
  }
  const end = () => (ending ??= endOnce());

  async function send(commands: readonly (readonly string[])[]): Promise<ScratchReply[]> {
    if (commands.length === 0) return [];
    const pipeline = redis.pipeline();
    for (const [name, ...words] of commands) pipeline.call(name!, ...words);
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, value]) => {
      if (error === null) return { ok: true, value };
      if (error instanceof ReplyError) return { ok: false, error: error.message };
      throw new Error(`A scratch engine did not answer: ${error.message}`, { cause: error });
    });
  }

  async function* keys(): AsyncGenerator<readonly Buffer[]> {
    for (let cursor = '0'; ; ) {
      const [next, found] = await redis.scanBuffer(cursor, 'COUNT', keysAtOnce);
      yield found;
      cursor = next.toString();
      if (cursor === '0') return;
    }
  }

  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string) =>
        reject(new Error(`A scratch engine of ${build.engine} ${build.version} ${why}.`));
      const timer = setTimeout(() => fail(`did not start within ${startLimitMs} ms`), startLimitMs);
      redis.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
      void exited.then(() => fail('could not be started'));
    });
    connected = true;
    redis.once('close', () => {
      connected = false;
      void end();
    });
    return {
      send,
      keys,
      get alive() {
        return connected && ending === undefined;
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}
