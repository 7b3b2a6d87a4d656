/**
 * Restore drills: each source's newest snapshot is loaded into an engine that serves nobody, now and then, and its keys
 * are counted. What nobody ever restored is no backup.
 */
import { type Host, NodeUnreachable, type Rehearsal, SnapshotDamaged } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { Logger } from '../reconciler/logger.ts';
import { sourceOfSnapshot } from '../snapshot/origin.ts';
import { describeOrigin, fileOf, type Snapshot } from '../snapshot/snapshot.ts';
import { readSnapshot, readSnapshots } from '../snapshot/store.ts';
import { eventSource } from '../snapshot/take.ts';
import { type DrillResult, dueSnapshots, judge, latestSnapshots, sourceKey } from './due.ts';
import { forgetDrillResult, readDrillResults, writeDrillResult } from './store.ts';

export interface RestoreDrillsDeps {
  readonly database: Database;
  readonly host: Pick<Host, 'rehearseSnapshot'>;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** 0: only when it is asked for. */
  readonly everyMs: number;
  /** Aborted when the service ends. */
  readonly stopping: AbortSignal;
}

export interface RestoreDrills {
  /**
   * Drills every source's newest snapshot now, one after the other, or that of the group or cluster with the id.
   * @returns what was found; nothing for sources without a snapshot.
   */
  run(id?: string): Promise<readonly DrillResult[]>;
  /** Resolves when the one under way has ended; it is cut short. */
  stop(): Promise<void>;
}

const lookEveryMs = 60_000;

export function restoreDrills(deps: RestoreDrillsDeps): RestoreDrills {
  const { database, logger, nowMs, everyMs, stopping } = deps;
  /** One at a time, whoever asks. */
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  }

  async function look(): Promise<void> {
    const [snapshots, results] = [await readSnapshots(database), await readDrillResults(database)];
    const latest = latestSnapshots(snapshots);
    for (const { origin } of results) {
      if (!latest.has(sourceKey(origin))) await forgetDrillResult(database, origin);
    }
    for (const snapshot of dueSnapshots(snapshots, results, { nowMs: nowMs(), everyMs })) {
      if (stopping.aborted) return;
      await drill(deps, snapshot);
    }
  }

  let looking = false;
  async function lookOnce(): Promise<void> {
    if (looking) return;
    looking = true;
    await inTurn(look).catch((error: Error) => {
      if (!stopping.aborted) logger.error({ error }, 'Restore drills could not be made.');
    });
    looking = false;
  }
  const timer =
    everyMs === 0 ? undefined : setInterval(() => void lookOnce(), Math.min(lookEveryMs, everyMs));

  return {
    run: (id) =>
      inTurn(async () => {
        const results: DrillResult[] = [];
        for (const snapshot of latestSnapshots(await readSnapshots(database)).values()) {
          if (id !== undefined && snapshot.origin.id !== id && snapshot.origin.member !== id) continue;
          const result = await drill(deps, snapshot);
          if (result !== undefined) results.push(result);
        }
        return results;
      }),
    async stop() {
      clearInterval(timer);
      await last;
    },
  };
}

/** @returns undefined when the snapshot went meanwhile, or the service ends. */
async function drill(deps: RestoreDrillsDeps, snapshot: Snapshot): Promise<DrillResult | undefined> {
  const { database, logger, nowMs, stopping } = deps;
  const began = performance.now();
  // What would be restored today runs what its source runs today.
  const source = await sourceOfSnapshot(database, snapshot);
  const { engine, engineVersion: version } = source?.settings ?? snapshot.settings;
  const rehearsals: Rehearsal[] = [];
  for (const shard of snapshot.shards) {
    const found = await rehearse(deps, snapshot, shard, { engine, version });
    rehearsals.push(found);
    if (found.kind !== 'loaded') break;
  }
  const stillThere = (await readSnapshot(database, snapshot.name))?.status === 'available';
  if (stopping.aborted || !stillThere) return undefined;
  const { resource, id } = snapshot.origin;
  const result: DrillResult = {
    origin: { resource, id },
    snapshot: snapshot.name,
    endedAtMs: nowMs(),
    tookMs: Math.round(performance.now() - began),
    ...judge(snapshot, rehearsals),
  };
  logger.info({ drill: snapshot.name, outcome: result.outcome }, `restore drill ${result.outcome}`);
  await database.transaction().execute(async (transaction) => {
    await writeDrillResult(transaction, result);
    const event = {
      atMs: result.endedAtMs,
      ...eventSource(snapshot.origin),
      message: messageOf(snapshot, result),
    };
    await recordEvent(transaction, event);
  });
  return result;
}

async function rehearse(
  { host, logger, stopping }: RestoreDrillsDeps,
  snapshot: Snapshot,
  shard: Snapshot['shards'][number],
  loader: Parameters<Host['rehearseSnapshot']>[2],
): Promise<Rehearsal> {
  if (shard.saved === undefined) return { kind: 'failed', because: 'it was never saved' };
  try {
    return await host.rehearseSnapshot(fileOf(snapshot, shard), shard.saved, loader, stopping);
  } catch (error) {
    if (error instanceof SnapshotDamaged)
      return { kind: 'failed', because: error.message.replace(/\.$/, '') };
    if (error instanceof NodeUnreachable) return { kind: 'skipped', because: 'its host does not answer' };
    if (!stopping.aborted) logger.warn({ drill: snapshot.name, error }, 'A snapshot could not be loaded.');
    const { code } = error as NodeJS.ErrnoException;
    return { kind: 'skipped', because: code === 'ENOSPC' ? 'the disk is full' : 'it could not be tried' };
  }
}

function messageOf({ name, origin }: Snapshot, { outcome, keysFound, tookMs, because }: DrillResult): string {
  const what = `snapshot with ID '${name}' of ${describeOrigin(origin)}`;
  if (outcome === 'passed')
    return `Restore drill passed: ${what} was loaded, ${keysFound} keys in ${tookMs} ms`;
  return `Restore drill ${outcome} for ${what}: ${because}`;
}
