/** Begins snapshots: what a request and the daily window have in common. */
import { serviceError } from '@larder/contract/errors';
import { engineTraits } from '@larder/engine/engine';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { Source } from './origin.ts';
import { describeOrigin, type Origin, type Snapshot } from './snapshot.ts';
import { insertSnapshot, readSnapshot, readSnapshots } from './store.ts';

/** ElastiCache's: of one source within a day. */
export const mostManualSnapshots = 20;
const dayMs = 24 * 3_600_000;

/** @throws ServiceError SnapshotFeatureNotSupportedFault */
export function refuseUnsupportedEngine({ settings }: Pick<Source, 'settings'>): void {
  const { title, replicates } = engineTraits[settings.engine];
  if (replicates) return;
  throw serviceError('SnapshotFeatureNotSupportedFault', `${title} has no snapshots.`);
}

/**
 * Writes the snapshot down in the transaction of what it belongs to. Whoever calls wakes it after the commit.
 * @throws ServiceError SnapshotAlreadyExistsFault, SnapshotQuotaExceededFault
 */
export async function beginSnapshot(
  transaction: DatabaseTransaction,
  source: Source,
  request: Pick<Snapshot, 'name' | 'kind' | 'final'> & { readonly member?: string; readonly nowMs: number },
): Promise<Snapshot> {
  const { name, kind, final, member, nowMs } = request;
  await refuseTaken(transaction, name);
  const origin: Origin = { ...source.origin, ...(member !== undefined && { member }) };
  if (kind === 'manual') await refuseTooMany(transaction, origin, nowMs);
  const snapshot: Snapshot = {
    name,
    status: 'creating',
    kind,
    origin,
    final,
    createdAtMs: nowMs,
    progressAtMs: nowMs,
    attempts: 0,
    settings: source.settings,
    shards: source.shards.map(({ id, slots, zones }) => ({ id, slots, zones })),
  };
  await insertSnapshot(transaction, snapshot);
  await recordEvent(transaction, {
    atMs: nowMs,
    ...eventSource(origin),
    message: `Snapshot with ID '${name}' of ${describeOrigin(origin)} was begun`,
  });
  return snapshot;
}

/** @throws ServiceError SnapshotAlreadyExistsFault */
export async function refuseTaken(transaction: DatabaseTransaction, name: string): Promise<void> {
  if ((await readSnapshot(transaction, name)) === undefined) return;
  throw serviceError('SnapshotAlreadyExistsFault', `Snapshot with specified name already exists: ${name}.`);
}

/** @throws ServiceError SnapshotQuotaExceededFault */
export async function refuseTooMany(
  transaction: DatabaseTransaction,
  origin: Origin,
  nowMs: number,
): Promise<void> {
  const recent = (await readSnapshots(transaction, { origin })).filter(
    ({ kind, createdAtMs }) => kind === 'manual' && createdAtMs > nowMs - dayMs,
  );
  if (recent.length < mostManualSnapshots) return;
  throw serviceError(
    'SnapshotQuotaExceededFault',
    `There are ${mostManualSnapshots} manual snapshots of ${describeOrigin(origin)} from the last 24 hours, the most there can be.`,
  );
}

export function eventSource({ resource, id, member }: Origin) {
  return member === undefined
    ? { sourceType: resource, sourceId: id }
    : { sourceType: 'cache-cluster' as const, sourceId: member };
}
