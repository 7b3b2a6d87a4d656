/**
 * Loads a data file into an engine that serves nobody, to see what it really brings back. Bounded in memory and time,
 * and nothing of it is left.
 */
import { freemem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataFile } from '@larder/engine/config-file';
import { engineTraits } from '@larder/engine/engine';
import { listSlots, type SlotRange, slotOfKey } from '@larder/engine/slots';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import type { Rehearsal } from './host.ts';
import { type ScratchProcess, scratchProcess } from './scratch-process.ts';

export interface RehearsalOptions {
  readonly directory: string;
  readonly build: EngineBuild;
  /** Writes the data file. What it throws is thrown. */
  readonly provide: (target: string) => Promise<void>;
  /** Of the engine as it saved; 0 when that is not known. */
  readonly usedMemoryBytes: number;
  readonly stopping: AbortSignal;
  /** Given: each key is looked at, and one of another slot is a failure. */
  readonly slots?: readonly SlotRange[];
  /** Of the machine. */
  readonly freeBytes?: () => number;
  readonly limitMs?: number;
}

const firstPollMs = 5;
const longestPollMs = 100;
/** For data that takes minutes to load there is no hurry: nobody waits for it. */
const defaultLimitMs = 10 * 60_000;
/** What an engine takes of address space when it holds nothing, with the stacks of its threads. */
const emptyEngineBytes = 768 * 2 ** 20;

/** @throws what `provide` does; an Error when `stopping` was aborted. */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const { directory, build, usedMemoryBytes, stopping, freeBytes = freemem } = options;
  const began = performance.now();
  const limitMs = options.limitMs ?? defaultLimitMs;
  const needsBytes = Math.ceil(usedMemoryBytes * 1.25) + 64 * 2 ** 20;
  if (freeBytes() < needsBytes) {
    return { kind: 'skipped', because: `the host has ${freeBytes()} bytes free and it takes ${needsBytes}` };
  }
  stopping.throwIfAborted();
  let provided = false;
  let engine: ScratchProcess;
  try {
    engine = await scratchProcess({
      directory,
      build,
      memoryLimitBytes: usedMemoryBytes * 2 + emptyEngineBytes,
      settings: ['--dbfilename', dataFile],
      async prepare(folder) {
        await options.provide(join(folder, dataFile));
        provided = true;
      },
    });
  } catch (error) {
    if (!provided) throw error;
    return { kind: 'failed', because: (error as Error).message };
  }
  try {
    const loaded = await whenLoaded(engine, began + limitMs, stopping);
    if (typeof loaded === 'string') {
      return { kind: 'failed', because: `${engineTraits[build.engine].title} ${build.version} ${loaded}` };
    }
    const foreign = options.slots && (await foreignSlot(engine, options.slots, began + limitMs, stopping));
    if (foreign !== undefined) return { kind: 'failed', because: foreign };
    return { kind: 'loaded', ...loaded, tookMs: Math.round(performance.now() - began) };
  } finally {
    await engine.end();
  }
}

async function whenLoaded(
  engine: ScratchProcess,
  deadlineMs: number,
  stopping: AbortSignal,
): Promise<{ readonly keys: number; readonly expiredKeys: number } | string> {
  for (let waitMs = firstPollMs; ; waitMs = Math.min(longestPollMs, waitMs * 2)) {
    stopping.throwIfAborted();
    if (!engine.alive) return 'ended while it loaded the data';
    if (performance.now() > deadlineMs) return 'did not load the data in time';
    // Silent while it is busy with one large value: whether it lives is asked above.
    const [info] = await engine.send([['INFO', 'everything']]).catch(() => []);
    if (info?.ok === true) {
      const text = info.value as string;
      if (numberOf(text, 'loading') === 0) {
        const present = [...text.matchAll(/^db\d+:keys=(\d+)/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
        const expiredKeys = numberOf(text, 'rdb_last_load_keys_expired') + numberOf(text, 'expired_keys');
        return { keys: present, expiredKeys };
      }
    }
    await sleep(waitMs);
  }
}

function numberOf(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}

/** What is wrong, undefined when every key belongs there. */
async function foreignSlot(
  engine: ScratchProcess,
  slots: readonly SlotRange[],
  deadlineMs: number,
  stopping: AbortSignal,
): Promise<string | undefined> {
  const own = new Set(listSlots(slots));
  for await (const keys of engine.keys()) {
    stopping.throwIfAborted();
    if (performance.now() > deadlineMs) return 'its keys could not all be looked at in time';
    const foreign = keys.map(slotOfKey).find((slot) => !own.has(slot));
    if (foreign !== undefined) return `it has a key of slot ${foreign}, which belongs to another shard`;
  }
  return undefined;
}
