/** The parent's end of a forked process: calls, events, and its end. `worker-service.ts` is the other end. */
import { fork } from 'node:child_process';
import { builtFile } from './root-folder.ts';

export type ToWorker =
  | { readonly kind: 'start'; readonly value: unknown }
  | { readonly kind: 'call'; readonly number: number; readonly method: string; readonly value: unknown };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly number: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly number: number; readonly message: string }
  | { readonly kind: 'event'; readonly name: string; readonly value: unknown };

export interface WorkerProcess {
  readonly pid: number;
  /** Rejects with what the worker threw, or when it ends. */
  call<T>(method: string, value?: unknown): Promise<T>;
  onEvent(name: string, listener: (value: never) => void): void;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL; resolves when it is gone. Safe to repeat. */
  kill(): Promise<void>;
}

export interface WorkerOptions {
  /** In the build: `bench/consistency/app-worker.js`. */
  readonly file: string;
  /** Handed to the worker's `serve`. Typed arrays and bigints survive. */
  readonly start: unknown;
  readonly execArgv?: readonly string[];
  /** Put before the program: `ip netns exec NAME` runs it on another of a test's machines. */
  readonly prefix?: readonly string[];
}

/** Resolves when the worker is ready; rejects when its start fails. */
export async function startWorker({
  file,
  start,
  execArgv = [],
  prefix = [],
}: WorkerOptions): Promise<WorkerProcess> {
  const [execPath = process.execPath, ...words] = [...prefix, process.execPath];
  const child = fork(builtFile(file), [], {
    serialization: 'advanced',
    execPath,
    execArgv: [...words, ...execArgv],
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const listeners = new Map<string, (value: never) => void>();
  let counter = 0;
  let ended: Error | undefined;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const send = (message: ToWorker): void => {
    if (child.connected) child.send(message, () => {});
  };
  const pending = (number: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (ended === undefined) waiting.set(number, { resolve, reject });
      else reject(ended);
    });
  child.once('exit', (code, signal) => {
    ended = new Error(`${file} ended with ${signal ?? code}.`);
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  });
  child.on('message', (message: FromWorker) => {
    if (message.kind === 'event') {
      listeners.get(message.name)?.(message.value as never);
      return;
    }
    const number = message.kind === 'ready' ? 0 : message.number;
    const waiter = waiting.get(number);
    waiting.delete(number);
    if (message.kind === 'error') waiter?.reject(new Error(`${file}: ${message.message}`));
    else waiter?.resolve(message.kind === 'result' ? message.value : undefined);
  });
  const ready = pending(0);
  send({ kind: 'start', value: start });
  const kill = (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    return gone;
  };
  try {
    await ready;
  } catch (error) {
    await kill();
    throw error;
  }
  return {
    pid: child.pid!,
    call<T>(method: string, value?: unknown) {
      counter += 1;
      const answer = pending(counter);
      send({ kind: 'call', number: counter, method, value });
      return answer as Promise<T>;
    },
    onEvent: (name, listener) => listeners.set(name, listener),
    signal: (name) => child.kill(name),
    kill,
  };
}
