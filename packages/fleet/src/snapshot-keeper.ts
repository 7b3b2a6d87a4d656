/**
 * What a host does about snapshots: has engines save, checks what they wrote, keeps it, and gives it to nodes that
 * begin with it.
 *
 * Engines run without persistence: a data file in a node's folder is there because it is being saved or loaded, and
 * is taken away after that. A service that was killed between the two takes it away when it is back (`tidy`).
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataFile } from '@larder/engine/config-file';
import { engineTraits } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { checkDataFile } from './check-data-file.ts';
import {
  type Host,
  NodeUnreachable,
  type SavedData,
  SaveFailed,
  SnapshotDamaged,
  type SnapshotFile,
  type StartData,
} from './host.ts';
import type { SnapshotFolders } from './snapshot-folders.ts';

/** A node as the keeper asks about it. */
export interface KeptNode {
  readonly folder: string;
  readonly build: EngineBuild;
  /** @throws NodeUnreachable */
  send(commands: readonly (readonly string[])[]): Promise<unknown[]>;
  readonly runs: () => boolean;
}

export interface SnapshotKeeper extends Pick<Host, 'copySnapshot' | 'removeSnapshot'> {
  save(nodeId: string, node: KeptNode, file: SnapshotFile): Promise<SavedData>;
  /** Has the engine save, and leaves what it wrote where the engine finds it at its next start. @throws SaveFailed */
  saveInPlace(nodeId: string, node: Omit<KeptNode, 'build'>): Promise<void>;
  /** Puts the data where the engine finds it at its start. @throws SnapshotDamaged */
  provide(folder: string, build: EngineBuild, data: StartData): Promise<void>;
  /** Runs the work when no engine saves. Its signal is aborted when one is to: that waits until the work has ended. */
  betweenSaves<T>(work: (aSaveWaits: AbortSignal) => Promise<T>): Promise<T>;
  /** Takes a data file away that nobody saves or loads. Returns when that is so, or the node has ended. */
  tidy(nodeId: string, node: Pick<KeptNode, 'folder' | 'send' | 'runs'>): Promise<void>;
}

const firstPollMs = 5;
const longestPollMs = 200;
/** An engine that does not answer for so long is no longer waited for: others want to save too. */
const silenceLimitMs = 30_000;
/** Of waiting for another child process of the engine to end, such as a replica's synchronisation. */
const busyLimitMs = 10 * 60_000;

export function snapshotKeeper(folders: SnapshotFolders): SnapshotKeeper {
  const saving = new Set<string>();
  /** Nodes whose data lies ready for their next start. */
  const inPlace = new Set<string>();
  /** Two forks at once would cost the machine twice the memory: the next save begins when the last one ended. */
  let last: Promise<unknown> = Promise.resolve();

  async function write(nodeId: string, node: Omit<KeptNode, 'build'>): Promise<string> {
    const written = join(node.folder, dataFile);
    if (!node.runs()) throw new NodeUnreachable(`Node ${nodeId} is not running.`);
    await beginSave(node, written);
    await childEnded(node);
    if (existsSync(written)) return written;
    throw new SaveFailed(`The engine of ${nodeId} could not save; its engine.log says why.`);
  }

  /** Saves that wait or run. */
  let saves = 0;
  let yielding: AbortController | undefined;

  function queue<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  }

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    saves += 1;
    yielding?.abort();
    try {
      return await queue(work);
    } finally {
      saves -= 1;
    }
  }

  async function saveNow(nodeId: string, node: KeptNode, file: SnapshotFile): Promise<SavedData> {
    saving.add(nodeId);
    try {
      const written = await write(nodeId, node);
      const received = await folders.receive(file, written);
      const report = await checkDataFile(node.build, received);
      if (report === undefined) {
        throw new SaveFailed(
          `What the engine of ${nodeId} saved is refused by ${engineTraits[node.build.engine].title}'s checker.`,
        );
      }
      return { ...(await folders.keep(file)), ...report };
    } finally {
      saving.delete(nodeId);
      await rm(join(node.folder, dataFile), { force: true });
    }
  }

  return {
    save: (nodeId, node, file) => inTurn(() => saveNow(nodeId, node, file)),
    saveInPlace: (nodeId, node) =>
      inTurn(async () => {
        inPlace.add(nodeId);
        await write(nodeId, node);
      }),
    betweenSaves: (work) =>
      queue(async () => {
        yielding = new AbortController();
        if (saves > 0) yielding.abort();
        try {
          return await work(yielding.signal);
        } finally {
          yielding = undefined;
        }
      }),
    async provide(folder, build, { file, sha256 }) {
      const target = join(folder, dataFile);
      try {
        await folders.extract(file, sha256, target);
        if ((await checkDataFile(build, target)) === undefined) {
          throw new SnapshotDamaged(
            `${engineTraits[build.engine].title} ${build.version} can't read shard ${file.shard} of snapshot ${file.snapshot}.`,
          );
        }
      } catch (error) {
        await rm(target, { force: true });
        throw error;
      }
    },
    async tidy(nodeId, node) {
      inPlace.delete(nodeId);
      const leftover = join(node.folder, dataFile);
      for (let waitMs = firstPollMs; node.runs(); waitMs = Math.min(longestPollMs, waitMs * 2)) {
        const info = await readPersistence(node).catch(ignoreUnreachable);
        if (info !== undefined && !info.loading && !info.saving) {
          if (!saving.has(nodeId) && !inPlace.has(nodeId)) await rm(leftover, { force: true });
          return;
        }
        await sleep(waitMs);
      }
    },
    copySnapshot: (from, to) => folders.copy(from, to),
    removeSnapshot: (name) => folders.remove(name),
  };
}

/** Begins a save of now; one that is under way, perhaps from before a restart of the service, is waited for first. */
async function beginSave(node: Pick<KeptNode, 'send' | 'runs' | 'folder'>, written: string): Promise<void> {
  const deadline = performance.now() + busyLimitMs;
  for (;;) {
    await childEnded(node);
    await rm(written, { force: true });
    try {
      await node.send([['BGSAVE']]);
      return;
    } catch (error) {
      // Another child of the engine may have begun since we looked.
      const busy = /in progress|child process|can't BGSAVE/i.test((error as Error).message);
      if (!busy || performance.now() > deadline) throw error;
      await sleep(longestPollMs);
    }
  }
}

/** Until no child of the engine writes data. @throws NodeUnreachable when the process ended or is silent */
async function childEnded(node: Pick<KeptNode, 'send' | 'runs' | 'folder'>): Promise<void> {
  let answeredMs = performance.now();
  for (let waitMs = firstPollMs; ; waitMs = Math.min(longestPollMs, waitMs * 2)) {
    const info = await readPersistence(node).catch(ignoreUnreachable);
    if (info !== undefined && !info.saving && !info.loading) return;
    if (info !== undefined) answeredMs = performance.now();
    const silent = performance.now() - answeredMs > silenceLimitMs;
    if (silent || !node.runs()) {
      throw new NodeUnreachable(`The engine in ${node.folder} ended or did not answer while it was to save.`);
    }
    await sleep(waitMs);
  }
}

/** One that does not answer in time may be busy: whether its process runs is asked elsewhere. */
function ignoreUnreachable(error: Error): undefined {
  if (error instanceof NodeUnreachable) return undefined;
  throw error;
}

async function readPersistence({ send }: Pick<KeptNode, 'send'>) {
  const [text] = (await send([['INFO', 'persistence']])) as [string];
  return { saving: /^rdb_bgsave_in_progress:1/m.test(text), loading: /^(async_)?loading:1/m.test(text) };
}
