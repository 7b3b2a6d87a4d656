/**
 * Engines that hold nothing and serve nobody, to ask whether a version would take a setting or an access rule.
 * No engine's grammar is written down twice: the engine is the oracle.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type EngineName, engineTraits } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { Redis, ReplyError } from 'ioredis';

export type ScratchReply =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string };

export interface ScratchEngines {
  /**
   * Sends commands to a scratch engine of that version, in order, nobody else's in between. It starts when it is
   * first needed, is kept for a while, and ends with the service, also when that is killed. What the commands change
   * of configuration, users and keys is undone before the next ask: there is nothing to clean up.
   * @returns one reply for each command; an engine's refusal is a reply, `error` is its text.
   * @throws when no engine of that version can be started or it does not answer in time, and for Memcached.
   */
  ask(engine: EngineName, version: string, commands: readonly (readonly string[])[]): Promise<ScratchReply[]>;
  /** Ends every engine. An ask that is under way fails. */
  close(): Promise<void>;
}

export interface ScratchEngineOptions {
  /** For the engines' working folders. What a killed service left there is removed. */
  readonly directory: string;
  /** @throws when it is not there. */
  readonly findBuild: (engine: EngineName, version: string) => Promise<EngineBuild>;
  /** How long an engine without work is kept. */
  readonly idleMs?: number;
}

const defaultIdleMs = 30_000;
const startLimitMs = 10_000;
const answerLimitMs = 2_000;
const reconnectMs = 10;

/**
 * The shell waits for the end of its input, which comes when the service closes it or is gone, however that went;
 * then it takes the engine with it.
 */
const guard = 'ulimit -c 0; "$0" "$@" </dev/null & read -r _; kill -9 $! 2>/dev/null';

const socketName = 's';
const settings: readonly string[] = [
  ...['--port', '0', '--unixsocket', socketName, '--unixsocketperm', '700'],
  ...['--save', '', '--appendonly', 'no', '--daemonize', 'no', '--set-proc-title', 'no'],
  ...['--loglevel', 'warning', '--maxclients', '100'],
];

interface Running {
  send(commands: readonly (readonly string[])[]): Promise<ScratchReply[]>;
  /** As it was when it had just started. */
  readonly fresh: State;
  readonly alive: boolean;
  end(): Promise<void>;
}

interface State {
  readonly config: ReadonlyMap<string, string>;
  readonly users: readonly string[];
}

interface Slot {
  running: Running | undefined;
  /** Settles when the last ask is done. */
  tail: Promise<unknown>;
  idleTimer: NodeJS.Timeout | undefined;
}

export function scratchEngines({
  directory,
  findBuild,
  idleMs = defaultIdleMs,
}: ScratchEngineOptions): ScratchEngines {
  const slots = new Map<string, Slot>();
  let emptied: Promise<void> | undefined;
  let closed = false;

  async function startAnew(slot: Slot, engine: EngineName, version: string): Promise<Running> {
    await slot.running?.end();
    emptied ??= rm(directory, { recursive: true, force: true });
    await emptied;
    if (closed) throw new Error('The scratch engines are closed.');
    slot.running = await startScratch(directory, await findBuild(engine, version));
    return slot.running;
  }

  async function askNow(
    slot: Slot,
    engine: EngineName,
    version: string,
    commands: readonly (readonly string[])[],
  ): Promise<ScratchReply[]> {
    clearTimeout(slot.idleTimer);
    const kept = slot.running?.alive === true ? slot.running : undefined;
    const running = kept ?? (await startAnew(slot, engine, version));
    try {
      const replies = await running.send(commands);
      if (!(await restore(running))) await running.end();
      return replies;
    } catch (error) {
      await running.end();
      // It may have gone away since the last ask; a fresh one has no such excuse.
      if (kept === undefined) throw error;
      return await askNow(slot, engine, version, commands);
    } finally {
      clearTimeout(slot.idleTimer);
      slot.idleTimer = setTimeout(() => void slot.running?.end(), idleMs);
      slot.idleTimer.unref();
      if (closed) await slot.running?.end();
    }
  }

  return {
    ask(engine, version, commands) {
      if (!engineTraits[engine].replicates) {
        return Promise.reject(new Error(`${engineTraits[engine].title} can't be asked about its settings.`));
      }
      const key = `${engine} ${version}`;
      const slot = slots.get(key) ?? { running: undefined, tail: Promise.resolve(), idleTimer: undefined };
      slots.set(key, slot);
      const answer = slot.tail.then(() => askNow(slot, engine, version, commands));
      slot.tail = answer.catch(() => {});
      return answer;
    },
    async close() {
      closed = true;
      await Promise.all(
        [...slots.values()].map(async (slot) => {
          clearTimeout(slot.idleTimer);
          await slot.running?.end();
          await slot.tail;
        }),
      );
    },
  };
}

async function startScratch(directory: string, build: EngineBuild): Promise<Running> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(directory, `${build.engine}-`));
  const child = spawn('/bin/sh', ['-c', guard, build.command.file, ...build.command.args, ...settings], {
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
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
    const fresh = await readState(send);
    return {
      send,
      fresh,
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

async function readState(send: Running['send']): Promise<State> {
  const [config, users] = await send([
    ['CONFIG', 'GET', '*'],
    ['ACL', 'LIST'],
  ]);
  if (!config?.ok || !users?.ok) throw new Error('A scratch engine does not tell its state.');
  const words = config.value as string[];
  return {
    config: new Map(words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1]!]] : []))),
    users: users.value as string[],
  };
}

/** Makes it what it was when it started. @returns false when it can't be: then it has to go. */
async function restore({ send, fresh }: Running): Promise<boolean> {
  const changed = await readState(send).catch(() => undefined);
  if (changed === undefined) return false;
  const differs = [...fresh.config].filter(([name, value]) => changed.config.get(name) !== value);
  // "user NAME on …"
  const names = changed.users.map((line) => line.split(' ')[1]!).filter((name) => name !== 'default');
  if (differs.length > 0) await send([['CONFIG', 'SET', ...differs.flat()]]);
  if (names.length > 0) await send([['ACL', 'DELUSER', ...names]]);
  await send([['FLUSHALL']]);
  return sameState(fresh, await readState(send));
}

function sameState(one: State, other: State): boolean {
  return (
    JSON.stringify([...one.config]) === JSON.stringify([...other.config]) &&
    JSON.stringify(one.users) === JSON.stringify(other.users)
  );
}
