/** The built service for tests, in a folder of its own, seen from outside: its API, its log, the process table. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElastiCacheClient } from '@aws-sdk/client-elasticache';
import { rootFolder } from '../bench/root-folder.ts';
import { recordAnswers } from './api-coverage.ts';
import { environmentWith, withCrashPoint } from './config.ts';
import { type EngineProcess, endProcess, engineProcesses } from './engine-processes.ts';
import { waitFor } from './wait-for.ts';

const program = join(rootFolder, 'apps', 'larder', 'dist', 'main.js');

export interface Access {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line to its end. */
export function larderCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { timeout: 60_000, env: environmentWith(environment) },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

export interface LarderOptions {
  readonly logLevel?: 'debug' | 'info' | 'warn';
  /** Where its folder is made. */
  readonly parentFolder?: string;
  /** More for the service's command line, also when it is started again. */
  readonly flags?: readonly string[];
  /** More for its environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Puts something into its data directory before the first start. */
  readonly prepare?: (dataDirectory: string) => Promise<void>;
}

export interface TestLarder {
  readonly dataDirectory: string;
  /** For the service as it runs now: a restarted one has another port. */
  readonly client: ElastiCacheClient;
  readonly access: Access;
  readonly pid: number;
  /** Everything the service printed since the first start. */
  readonly log: string;
  /** What it printed on standard output since the first start. */
  readonly output: string;
  /** Called with each line of the log, from the next one on. Returns the way to stop. */
  onLogLine(listener: (line: string) => void): () => void;
  /** SIGKILL of the service alone. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Resolves with the exit code. */
  terminate(): Promise<number | null>;
  /** Whether the service was killed or ended. */
  readonly ended: boolean;
  /** @param crashPoint `before:3`: it kills itself right before the third thing it does to the world outside. */
  start(crashPoint?: string): Promise<void>;
  /** `kill` and `start`. */
  restart(): Promise<void>;
  /** The engines of this data directory as the process table has them. */
  processes(): EngineProcess[];
  /** Names of the nodes' folders. */
  nodeFolders(): Promise<string[]>;
  /** Ends the service and every engine and removes the folder. */
  remove(): Promise<void>;
}

export async function startLarder({
  logLevel = 'warn',
  parentFolder = tmpdir(),
  flags = [],
  environment = {},
  prepare,
}: LarderOptions = {}): Promise<TestLarder> {
  const dataDirectory = await realpath(await mkdtemp(join(parentFolder, 'larder-e2e-')));
  const listeners = new Set<(line: string) => void>();
  let log = '';
  let output = '';
  let child: ChildProcess | undefined;
  let ended: Promise<number | null> = Promise.resolve(null);
  let access: Access | undefined;
  let removed = false;
  let client: ElastiCacheClient | undefined;

  function takeLines(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) for (const listener of listeners) listener(line);
    });
  }

  async function start(crashPoint?: string): Promise<void> {
    // A test that ran out of time may still be at work when its file ends.
    if (removed) throw new Error('This service was removed.');
    const started = spawn(
      process.execPath,
      [program, 'server', '--data-dir', dataDirectory, '--port', '0', '--log-level', logLevel].concat(
        // By itself it is one port for all services of a machine, and tests run side by side.
        ['--sentinel-port', '0'],
        flags,
      ),
      { stdio: ['ignore', 'pipe', 'pipe'], env: withCrashPoint(crashPoint, environment) },
    );
    child = started;
    ended = new Promise((resolve) => started.once('exit', resolve));
    started.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const serves = new Promise<string>((resolve) => {
      let text = '';
      started.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const endpoint = /on (http:\S+)\n/.exec(text)?.[1];
        if (endpoint !== undefined) resolve(endpoint);
      });
    });
    takeLines(started.stderr);
    const first = await Promise.race([serves, ended.then(() => undefined)]);
    if (first === undefined) {
      // Killed on purpose by a listener of the log, or failed: the log tells which.
      if (started.signalCode === 'SIGKILL') return;
      throw new Error(`The service ended with ${started.exitCode} as it started: ${log.slice(-2_000)}`);
    }
    // Only the port is new after a restart; asking the command line each time would be slow.
    access =
      access === undefined
        ? (JSON.parse((await larderCommand(['env', '--data-dir', dataDirectory, '--json'])).stdout) as Access)
        : { ...access, endpoint: first };
    client?.destroy();
    client = elastiCacheClient(access);
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    child?.kill(signal);
    return ended;
  }

  const processes = () => engineProcesses(dataDirectory);
  const larder: TestLarder = {
    dataDirectory,
    get client() {
      return client!;
    },
    get access() {
      return access!;
    },
    get pid() {
      return child!.pid!;
    },
    get log() {
      return log;
    },
    get output() {
      return output;
    },
    get ended() {
      return child!.exitCode !== null || child!.signalCode !== null;
    },
    onLogLine(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async kill() {
      await end('SIGKILL');
    },
    terminate: () => end('SIGTERM'),
    start,
    async restart() {
      await end('SIGKILL');
      await start();
    },
    processes,
    async nodeFolders() {
      return (await readdir(join(dataDirectory, 'nodes')).catch(() => [])).sort();
    },
    async remove() {
      removed = true;
      client?.destroy();
      await end('SIGKILL');
      for (const { pid } of processes()) endProcess(pid);
      await waitFor(processes, (left) => left.length === 0, { what: 'every engine to be gone' });
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
  try {
    await prepare?.(dataDirectory);
    await start();
  } catch (error) {
    await larder.remove();
    throw error;
  }
  return larder;
}

/** One attempt a request, so that a test sees each answer. */
export function elastiCacheClient(access: Access, change: Partial<Access> = {}): ElastiCacheClient {
  const { endpoint, region, accessKeyId, secretAccessKey } = { ...access, ...change };
  const client = new ElastiCacheClient({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
  recordAnswers(client);
  return client;
}
