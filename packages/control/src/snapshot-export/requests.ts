/** CopySnapshot to a bucket: check, write down, wake the reconciler. */
import type { Input } from '@larder/contract/elasticache/model';
import { snapshotName } from '@larder/contract/ids';
import { bucketName, withBuckets } from '../bucket/bucket.ts';
import type { ControlContext } from '../control-context.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import { idleSnapshot } from '../snapshot/find.ts';
import { describeOrigin, type Snapshot } from '../snapshot/snapshot.ts';
import { eventSource } from '../snapshot/take.ts';
import { objectOf, type SnapshotExport } from './snapshot-export.ts';
import { insertExport, readExports } from './store.ts';

/**
 * Begins the export; its source reads `copying` until it has ended, which an event tells.
 * @returns the source under the target's name, which is never listed: what is in a bucket is no snapshot of this service.
 * @throws ServiceError InvalidParameterValue for a bucket that can't be used or already has such objects,
 *   SnapshotNotFoundFault, InvalidSnapshotState
 */
export async function exportSnapshot(
  context: ControlContext,
  input: Input<'CopySnapshot'> & { readonly TargetBucket: string },
): Promise<Snapshot> {
  const name = snapshotName(input.TargetSnapshotName);
  const bucket = bucketName('TargetBucket', input.TargetBucket);
  if ((input.Tags ?? []).length > 0) {
    throw invalidCombination('Tags are of snapshots here; leave them out with TargetBucket.');
  }
  const seen = await idleSnapshot(context.database, input.SourceSnapshotName, 'copy-requested');
  const made: SnapshotExport = {
    id: `${bucket}/${name}`,
    bucket,
    name,
    source: seen.name,
    status: 'exporting',
    attempts: 0,
    retryAtMs: 0,
    shards: [],
  };
  await withBuckets(context.buckets, async (store) => {
    await store.checkBucket(bucket);
    for (const { id } of seen.shards) {
      const place = objectOf(made, id);
      if ((await store.sizeOf(place)) === undefined) continue;
      throw invalidValue(
        `Bucket ${bucket} already has an object ${place.key}; choose another TargetSnapshotName.`,
      );
    }
  });
  const snapshot = await context.database.transaction().execute(async (transaction) => {
    const source = await idleSnapshot(transaction, seen.name, 'copy-requested');
    if ((await readExports(transaction, { id: made.id })).length > 0) {
      throw invalidValue(
        `An export to ${name} in bucket ${bucket} is under way; choose another TargetSnapshotName.`,
      );
    }
    await insertExport(transaction, made);
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      ...eventSource(source.origin),
      message: `Exporting snapshot with ID '${source.name}' of ${describeOrigin(source.origin)} to bucket ${bucket} as '${name}'`,
    });
    return source;
  });
  context.wake('snapshot-export', made.id);
  return { ...snapshot, name, status: 'copying', kind: 'manual' };
}
