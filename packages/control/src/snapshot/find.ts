/** Snapshots that requests name. */
import { serviceError } from '@larder/contract/errors';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { exportingNames } from '../snapshot-export/store.ts';
import type { Snapshot } from './snapshot.ts';
import { nextStatus, type StatusEvent } from './status.ts';
import { readSnapshot, readSnapshots, restoringNames } from './store.ts';

export function notFound(name: string) {
  return serviceError('SnapshotNotFoundFault', `Snapshot ${name.slice(0, 120)} not found.`);
}

/**
 * A snapshot with which that may be done now.
 * @throws ServiceError SnapshotNotFoundFault, InvalidSnapshotState
 */
export async function idleSnapshot(
  transaction: Database | DatabaseTransaction,
  given: string,
  event: StatusEvent,
): Promise<Snapshot> {
  const name = given.toLowerCase();
  const found = await readSnapshot(transaction, name);
  if (found === undefined || found.kind === 'seed') throw notFound(name);
  if (nextStatus(found.status, event) === 'refuse') throw busy(name, `is ${found.status}`);
  if (event === 'restore-requested') return found;
  if ((await exportingNames(transaction)).has(name)) throw busy(name, 'is being exported');
  if ((await restoringNames(transaction)).has(name)) throw busy(name, 'is restoring');
  if (event === 'delete-requested') {
    const copies = (await readSnapshots(transaction)).filter(
      ({ status, copiedFrom }) => status === 'copying' && copiedFrom === name,
    );
    if (copies.length > 0) throw busy(name, `is being copied to ${copies[0]!.name}`);
  }
  return found;
}

function busy(name: string, why: string) {
  return serviceError('InvalidSnapshotStateFault', `Snapshot ${name} ${why}.`);
}
