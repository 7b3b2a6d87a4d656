/**
 * One pass over a snapshot: a shard is saved, or files are copied or removed, and that is written down. Files are
 * made before the record says so and removed before it is: a service that was killed in between does it again.
 */
import { type Host, SaveFailed } from '@larder/fleet/host';
import type { Buckets } from '../bucket/bucket.ts';
import type { ControlContext } from '../control-context.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import { exportingNames } from '../snapshot-export/store.ts';
import { deleteTags } from '../tag/store.ts';
import { hasExpired } from './automatic.ts';
import { forgetSeed, importSeed } from './import-seed.ts';
import { changeSource, type Source, sourceOfSnapshot } from './origin.ts';
import { planSave, type SaveStep } from './plan.ts';
import { describeOrigin, fileOf, type Snapshot } from './snapshot.ts';
import { nextStatus } from './status.ts';
import {
  changeStatus,
  readSnapshot,
  removeSnapshot,
  restoringNames,
  writeShards,
  writeTrouble,
} from './store.ts';
import { eventSource } from './take.ts';

export interface ReconcileDeps {
  readonly database: Database;
  readonly host: Pick<
    Host,
    'observe' | 'saveSnapshot' | 'copySnapshot' | 'removeSnapshot' | 'importSnapshot'
  >;
  readonly buckets: Buckets | undefined;
  readonly nowMs: () => number;
  readonly wake: ControlContext['wake'];
  readonly logger: Logger;
  /** Aborted when the service ends: it does not wait for a save, which is done again later. */
  readonly stopping: AbortSignal;
}

export async function reconcileSnapshot(deps: ReconcileDeps, name: string): Promise<PassOutcome> {
  const snapshot = await readSnapshot(deps.database, name);
  if (snapshot === undefined) return 'gone';
  switch (snapshot.status) {
    case 'creating':
      return take(deps, snapshot);
    case 'copying':
      return copy(deps, snapshot);
    case 'importing':
      return importSeed(deps, snapshot);
    case 'available':
      return snapshot.kind === 'seed' ? forgetSeed(deps, snapshot) : expire(deps, snapshot);
    case 'deleting':
      return remove(deps, snapshot);
    case 'failed':
      return snapshot.kind === 'seed' ? forgetSeed(deps, snapshot) : 'settled';
  }
}

async function take(deps: ReconcileDeps, snapshot: Snapshot): Promise<PassOutcome> {
  const { database, host, logger, nowMs } = deps;
  const source = await sourceOfSnapshot(database, snapshot);
  const nodeIds = source?.shards.flatMap(({ nodes }) => nodes.map(({ nodeId }) => nodeId)) ?? [];
  const step = planSave({ snapshot, source, observations: await host.observe(nodeIds), nowMs: nowMs() });
  switch (step.kind) {
    case 'save':
      logger.info(
        { snapshot: snapshot.name, step: 'save-shard' },
        `save-shard ${step.shard} at ${step.node.clusterId}: ${step.because}`,
      );
      return save(deps, snapshot, source!, step);
    case 'wait':
      await reportTrouble(deps, snapshot, step.because, snapshot.attempts);
      return 'waiting';
    case 'give-up':
      await giveUp(deps, snapshot, step.because);
      return 'again';
    case 'finish':
      logger.info({ snapshot: snapshot.name, step: 'finish' }, 'finish: every shard is saved');
      await keep(deps, snapshot, 'succeeded');
      return 'again';
  }
}

async function save(
  deps: ReconcileDeps,
  snapshot: Snapshot,
  source: Source,
  { shard, node }: SaveStep & { kind: 'save' },
): Promise<PassOutcome> {
  const savedAtMs = deps.nowMs();
  try {
    const file = fileOf(snapshot, { id: shard });
    const saved = await deps.host.saveSnapshot(node.nodeId, source.order, file, deps.stopping);
    const shards = snapshot.shards.map((each) =>
      each.id === shard
        ? {
            ...each,
            saved: { ...saved, savedAtMs, clusterId: node.clusterId, nodeCreatedAtMs: node.createdAtMs },
          }
        : each,
    );
    await writeShards(deps.database, snapshot.name, shards, deps.nowMs());
    return 'again';
  } catch (error) {
    if (deps.stopping.aborted) return 'waiting';
    deps.logger.warn({ snapshot: snapshot.name, error }, 'A node could not save its data.');
    const because =
      error instanceof SaveFailed ? error.message : `${node.clusterId} ended or did not answer as it saved`;
    await reportTrouble(deps, snapshot, because, snapshot.attempts + 1);
    return 'waiting';
  }
}

/** A deletion that waits for its final snapshot says why; of others it is told when they are given up. */
async function reportTrouble(
  { database, nowMs }: ReconcileDeps,
  snapshot: Snapshot,
  trouble: string,
  attempts: number,
): Promise<void> {
  if (snapshot.trouble === trouble && snapshot.attempts === attempts) return;
  await database.transaction().execute(async (transaction) => {
    await writeTrouble(transaction, snapshot.name, { trouble, attempts });
    if (!snapshot.final || snapshot.trouble === trouble) return;
    await recordEvent(transaction, {
      atMs: nowMs(),
      ...eventSource(snapshot.origin),
      message:
        `The deletion waits for the final snapshot '${snapshot.name}', which can't be taken: ${trouble}. ` +
        'Delete again without FinalSnapshotIdentifier to go on without it',
    });
  });
}

async function copy(deps: ReconcileDeps, snapshot: Snapshot): Promise<PassOutcome> {
  deps.logger.info({ snapshot: snapshot.name, step: 'copy' }, `copy from ${snapshot.copiedFrom}`);
  try {
    await deps.host.copySnapshot(snapshot.copiedFrom!, snapshot.name);
  } catch (error) {
    deps.logger.warn({ snapshot: snapshot.name, error }, 'A snapshot could not be copied.');
    await giveUp(deps, snapshot, `the files of ${snapshot.copiedFrom} can't be copied`);
    return 'again';
  }
  await keep(deps, snapshot, 'copied');
  return 'again';
}

async function keep(
  { database, nowMs, wake }: ReconcileDeps,
  snapshot: Snapshot,
  verb: 'succeeded' | 'copied',
): Promise<void> {
  const { name, status, origin } = snapshot;
  const kept = await database.transaction().execute(async (transaction) => {
    if (!(await changeStatus(transaction, name, { from: status, to: 'available' }))) return false;
    if (verb === 'succeeded') await releaseSource(transaction, snapshot);
    const event = {
      atMs: nowMs(),
      ...eventSource(origin),
      message:
        verb === 'succeeded'
          ? `Snapshot succeeded for snapshot with ID '${name}' of ${describeOrigin(origin)}`
          : `Snapshot with ID '${name}' of ${describeOrigin(origin)} was copied`,
    };
    await recordEvent(transaction, event, verb === 'succeeded' ? 'SnapshotComplete' : undefined);
    return true;
  });
  if (kept) wake(origin.resource, origin.id);
}

/** Files go first: a failed snapshot leaves none. */
async function giveUp(
  { database, host, nowMs, wake }: ReconcileDeps,
  snapshot: Snapshot,
  because: string,
): Promise<void> {
  const { name, status, origin, attempts } = snapshot;
  const to = nextStatus(status, 'given-up');
  if (to === 'stay' || to === 'refuse') return;
  await host.removeSnapshot(name);
  await database.transaction().execute(async (transaction) => {
    if (!(await changeStatus(transaction, name, { from: status, to }))) return;
    await writeTrouble(transaction, name, { trouble: because, attempts });
    if (status === 'creating') await releaseSource(transaction, snapshot);
    const event = {
      atMs: nowMs(),
      ...eventSource(origin),
      message: `Snapshot failed for snapshot with ID '${name}' of ${describeOrigin(origin)}: ${because}`,
    };
    await recordEvent(transaction, event, status === 'creating' ? 'SnapshotFailed' : undefined);
  });
  wake(origin.resource, origin.id);
}

/** Its source goes back to `available`, if it still is there. */
async function releaseSource(transaction: DatabaseTransaction, snapshot: Snapshot): Promise<void> {
  const source = await sourceOfSnapshot(transaction, snapshot);
  if (source !== undefined) await changeSource(transaction, source.origin, 'snapshot-ended');
}

async function expire({ database, nowMs }: ReconcileDeps, snapshot: Snapshot): Promise<PassOutcome> {
  if (snapshot.kind === 'manual') return 'settled';
  const source = await sourceOfSnapshot(database, snapshot);
  if (!hasExpired(snapshot, source, nowMs())) return 'settled';
  if ((await restoringNames(database)).has(snapshot.name)) return 'waiting';
  if ((await exportingNames(database)).has(snapshot.name)) return 'waiting';
  await database
    .transaction()
    .execute((transaction) =>
      changeStatus(transaction, snapshot.name, { from: 'available', to: 'deleting' }),
    );
  return 'again';
}

async function remove(
  { database, host, nowMs }: ReconcileDeps,
  { name, origin, kind }: Snapshot,
): Promise<PassOutcome> {
  await host.removeSnapshot(name);
  await database.transaction().execute(async (transaction) => {
    await removeSnapshot(transaction, name);
    await deleteTags(transaction, { resourceType: 'snapshot', name });
    if (kind === 'seed') return;
    await recordEvent(transaction, {
      atMs: nowMs(),
      ...eventSource(origin),
      message: `${kind === 'automated' ? 'Automatic snapshot' : 'Snapshot'} with ID '${name}' was deleted`,
    });
  });
  return 'gone';
}
