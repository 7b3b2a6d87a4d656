/**
 * One of the scenario's own processes: started with a log file, told its configuration, awaited until it says
 * that it is ready, and ended in bounded time. Each leads a process group of its own, so that Ctrl-C in a
 * terminal reaches the scenario alone, which then stops everything in the right order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processStartTime } from './run-record.ts';

export interface ScenarioProcess {
  readonly name: string;
  readonly pid: number;
  /** As the system tells it, so that the pid is never mistaken for a later process's. */
  readonly startTime: string | undefined;
  /** Fields of its ready message. */
  readonly ready: Readonly<Record<string, unknown>>;
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** SIGTERM, after `graceMs` SIGKILL; waits until it is gone. */
  stop(graceMs?: number): Promise<void>;
  readonly stopping: boolean;
  readonly ended: Promise<void>;
  /** With the end of its log; resolves only when it ended without being told to. */
  readonly diedUnexpectedly: Promise<string>;
}

export interface ProcessToStart {
  readonly name: string;
  readonly logDirectory: string;
  /** A module of this package's build, for example `shop/main`; or the path of any program's script. */
  readonly module?: string;
  readonly script?: string;
  readonly args?: readonly string[];
  /** Sent as the first message; never part of the arguments, which every user of the machine can read. */
  readonly configuration?: object;
  /** What it may see of the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** How it says that it is ready: by a message (the default), or not at all. */
  readonly readyBy?: 'message' | 'nothing';
  readonly serialization?: 'json' | 'advanced';
}

const readyTimeoutMs = 20_000;
const logTailBytes = 1_500;

/** @throws with the end of its log when it does not become ready within 20 s. */
export async function startProcess(options: ProcessToStart): Promise<ScenarioProcess> {
  const { name } = options;
  const logPath = join(options.logDirectory, `${name}.log`);
  const log = await open(logPath, 'w');
  const script = options.script ?? fileURLToPath(new URL(`../../dist/${options.module}.js`, import.meta.url));
  const withMessages = (options.readyBy ?? 'message') === 'message';
  const child = spawn(process.execPath, ['--enable-source-maps', script, ...(options.args ?? [])], {
    detached: true,
    env: options.environment,
    stdio: withMessages ? ['ignore', log.fd, log.fd, 'ipc'] : ['ignore', log.fd, log.fd],
    serialization: options.serialization ?? 'json',
  });
  await log.close();

  let stopping = false;
  const gone = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
  const tail = async (how: string): Promise<string> => {
    const text = await readFile(logPath, 'utf8').catch(() => '');
    const end = text.slice(-logTailBytes).trim();
    return `${name} ended (${how}). ${end === '' ? 'Its log is empty' : `Its log ends with:\n${end}`}\n(${logPath})`;
  };
  // Messages to a process that is just dying: its exit says all there is to say.
  child.on('error', () => {});

  let ready: Readonly<Record<string, unknown>> = {};
  if (withMessages) {
    const answer = firstReady(child);
    if (options.configuration !== undefined) child.send(options.configuration);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`not ready within ${readyTimeoutMs / 1000} s`)),
        readyTimeoutMs,
      );
    });
    try {
      ready = await Promise.race([answer, late, gone.then((how) => Promise.reject(new Error(how)))]);
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(await tail((error as Error).message), { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    name,
    pid: child.pid!,
    startTime: await processStartTime(child.pid!),
    ready,
    get stopping() {
      return stopping;
    },
    send: (message) => {
      if (child.connected) child.send(message);
    },
    onMessage: (listener) => child.on('message', listener),
    async stop(graceMs = 8_000) {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await gone;
      clearTimeout(timer);
    },
    ended: gone.then(() => {}),
    diedUnexpectedly: new Promise((resolve) => {
      void gone.then(async (how) => {
        if (!stopping) resolve(await tail(how));
      });
    }),
  };
}

function firstReady(child: ChildProcess): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve) => {
    child.on('message', function listen(message: { type?: unknown }) {
      if (message.type !== 'ready') return;
      child.off('message', listen);
      resolve(message as Readonly<Record<string, unknown>>);
    });
  });
}
