/** Forks processes that run the built library (node can't run the sources). */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { PostgresConnection } from '../feed/postgres.ts';

const root = fileURLToPath(new URL('../../../..', import.meta.url));

/** Compiles what changed; a second or two when everything did. */
export async function buildLibrary(): Promise<void> {
  await promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'packages/cache'], {
    cwd: root,
  });
}

export interface CacheProcess {
  readonly child: ChildProcess;
  /** `callers` concurrent reads of one key. */
  read(id: number, callers: number): Promise<readonly unknown[]>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

export interface CacheProcessOptions {
  readonly name: string;
  readonly engine: { readonly host: string; readonly port: number };
  /** Default a Valkey. */
  readonly kind?: 'memcached';
  readonly table?: string;
  /** Given: it runs the invalidator. */
  readonly postgres?: PostgresConnection;
  readonly load: (id: number) => Promise<unknown>;
}

export async function forkCache({ load, ...options }: CacheProcessOptions): Promise<CacheProcess> {
  const { host, port } = options.engine;
  const script = fileURLToPath(new URL('./cache-process.mjs', import.meta.url));
  const child = fork(script, [JSON.stringify({ ...options, engine: { host, port } })], { execArgv: [] });
  const waiting: ((values: readonly unknown[]) => void)[] = [];
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The process ended with ${code}.`)));
    child.on(
      'message',
      (message: { kind: string; number: number; id: number; values: readonly unknown[] }) => {
        if (message.kind === 'ready') resolve();
        else if (message.kind === 'values') waiting.shift()?.(message.values);
        else void load(message.id).then((row) => child.send({ kind: 'row', number: message.number, row }));
      },
    );
  });
  return {
    child,
    read(id, callers) {
      child.send({ kind: 'read', id, callers });
      return new Promise((resolve) => waiting.push(resolve));
    },
    kill() {
      if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGKILL');
      return gone;
    },
  };
}
