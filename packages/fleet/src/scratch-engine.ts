/**
 * Engines that hold nothing and serve nobody, to ask whether a version would take a setting or an access rule.
 * No engine's grammar is written down twice: the engine is the oracle.
 */
import { rm } from 'node:fs/promises';
import { type EngineName, engineTraits } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { type ScratchProcess, type ScratchReply, scratchProcess } from './scratch-process.ts';

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

interface Running extends ScratchProcess {
  /** As it was when it had just started. */
  readonly fresh: State;
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
  const started = await scratchProcess({ directory, build });
  try {
    const fresh = await readState(started.send);
    return Object.assign(started, { fresh });
  } catch (error) {
    await started.end();
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
