/** Final snapshots: taken of what is being deleted, before it is. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { snapshotName } from '@larder/contract/ids';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { Source } from './origin.ts';
import { describeOrigin } from './snapshot.ts';
import { readSnapshot } from './store.ts';
import { beginSnapshot, eventSource, refuseUnsupportedEngine } from './take.ts';

/**
 * Writes the final snapshot down, in the transaction that begins the deletion.
 * @returns its name, undefined when none is asked for.
 * @throws ServiceError SnapshotAlreadyExistsFault, SnapshotFeatureNotSupportedFault, SnapshotQuotaExceededFault, and
 *   the source's own for a state in which it has no data yet
 */
export async function beginFinalSnapshot(
  transaction: DatabaseTransaction,
  source: Source,
  asked: Input<'DeleteReplicationGroup'>['FinalSnapshotIdentifier'],
  nowMs: number,
): Promise<string | undefined> {
  if (asked === undefined) return undefined;
  const name = snapshotName(asked);
  refuseUnsupportedEngine(source);
  if (['creating', 'create-failed', 'restore-failed'].includes(source.status)) {
    const message = `${source.origin.id} is ${source.status}: there is nothing to take a final snapshot of.`;
    throw source.origin.resource === 'replication-group'
      ? serviceError('InvalidReplicationGroupStateFault', `Replication group ${message}`)
      : serviceError('InvalidCacheClusterStateFault', `Cache cluster ${message}`);
  }
  if (source.movesSlots === true) {
    throw serviceError(
      'InvalidReplicationGroupStateFault',
      `Slots of replication group ${source.origin.id} are being moved; ask again when it is available, or leave FinalSnapshotIdentifier out.`,
    );
  }
  await beginSnapshot(transaction, source, { name, kind: 'manual', final: true, nowMs });
  return name;
}

/**
 * Whether a deletion is not to go on yet. One whose final snapshot can't be taken, for want of a node that lives,
 * waits until it is asked for again without one: nobody but its owner gives the data up.
 */
export async function waitsForSnapshot(
  database: Database | DatabaseTransaction,
  name: string | undefined,
): Promise<boolean> {
  return name !== undefined && (await readSnapshot(database, name))?.status === 'creating';
}

export async function recordGivenUp(
  transaction: DatabaseTransaction,
  { origin, finalSnapshot }: Source,
  nowMs: number,
): Promise<void> {
  await recordEvent(transaction, {
    atMs: nowMs,
    ...eventSource(origin),
    message: `The deletion of ${describeOrigin(origin)} goes on without its final snapshot '${finalSnapshot}'`,
  });
}
