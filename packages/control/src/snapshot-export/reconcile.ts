/**
 * One pass over an export: a shard is uploaded, or what a failed one left is taken away, and that is written down. What
 * is about to be put into the bucket is written down first: a service that was killed in between knows of it.
 */
import { type Host, NodeUnreachable, SnapshotDamaged } from '@larder/fleet/host';
import {
  type ObjectStoreAccess,
  ObjectStoreRefused,
  ObjectStoreUnavailable,
} from '@larder/fleet/object-store/object-store';
import type { Buckets } from '../bucket/bucket.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import { describeOrigin, fileOf, type Snapshot } from '../snapshot/snapshot.ts';
import { readSnapshot } from '../snapshot/store.ts';
import { eventSource } from '../snapshot/take.ts';
import { mostAttempts, objectOf, retryDelayMs, type SnapshotExport } from './snapshot-export.ts';
import { readExports, removeExport, updateExport } from './store.ts';

export interface ReconcileDeps {
  readonly database: Database;
  readonly host: Pick<Host, 'exportSnapshot' | 'abandonExport'>;
  readonly buckets: Buckets | undefined;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** Aborted when the service ends: an upload is done again later. */
  readonly stopping: AbortSignal;
}

export async function reconcileExport(deps: ReconcileDeps, id: string): Promise<PassOutcome> {
  const [found] = await readExports(deps.database, { id });
  if (found === undefined) return 'gone';
  if (deps.nowMs() < found.retryAtMs) return 'waiting';
  const source = await readSnapshot(deps.database, found.source);
  return found.status === 'exporting' ? upload(deps, found, source) : clean(deps, found, source);
}

async function upload(
  deps: ReconcileDeps,
  made: SnapshotExport,
  source: Snapshot | undefined,
): Promise<PassOutcome> {
  const { database, host, logger, nowMs, stopping } = deps;
  if (source === undefined) return fail(deps, made, source, 'the snapshot is gone');
  const isWhole = (id: string) => made.shards.some((each) => each.id === id && each.whole);
  const shard = source.shards.find(({ id }) => !isWhole(id));
  if (shard === undefined) return finish(deps, made, source);
  const { id, saved } = shard;
  if (saved === undefined) return fail(deps, made, source, `shard ${id} was never saved`);
  const others = made.shards.filter((each) => each.id !== id);
  try {
    const access = await accessTo(deps);
    await updateExport(database, made.id, { shards: [...others, { id, whole: false }] });
    logger.info({ export: made.id, step: 'upload-shard' }, `upload-shard ${id} of ${source.name}`);
    await host.exportSnapshot(fileOf(source, shard), saved, objectOf(made, id), access, stopping);
    await updateExport(database, made.id, { shards: [...others, { id, whole: true }], attempts: 0 });
    return 'again';
  } catch (error) {
    if (stopping.aborted) return 'waiting';
    logger.warn({ export: made.id, error }, 'A shard could not be uploaded.');
    const attempts = made.attempts + 1;
    const hopeless = error instanceof ObjectStoreRefused || error instanceof SnapshotDamaged;
    if (hopeless || attempts >= mostAttempts) return fail(deps, made, source, reasonOf(error));
    await updateExport(database, made.id, { attempts, retryAtMs: nowMs() + retryDelayMs(attempts) });
    return 'waiting';
  }
}

function accessTo({ buckets }: ReconcileDeps): Promise<ObjectStoreAccess> {
  if (buckets !== undefined) return buckets.access();
  throw new ObjectStoreRefused('The service was started without an object store.');
}

/** Others than these may name what is nobody's business. */
function reasonOf(error: unknown): string {
  const known = [ObjectStoreRefused, ObjectStoreUnavailable, SnapshotDamaged, NodeUnreachable];
  return known.some((kind) => error instanceof kind)
    ? (error as Error).message.replace(/\.$/, '')
    : 'its files can not be read';
}

async function finish(deps: ReconcileDeps, made: SnapshotExport, source: Snapshot): Promise<PassOutcome> {
  const { database } = deps;
  await database.transaction().execute(async (transaction) => {
    await removeExport(transaction, made.id);
    await tell(deps, transaction, source, `Export succeeded for ${describe(made, source)}`);
  });
  return 'gone';
}

async function fail(
  deps: ReconcileDeps,
  made: SnapshotExport,
  source: Snapshot | undefined,
  because: string,
): Promise<PassOutcome> {
  await deps.database.transaction().execute(async (transaction) => {
    await updateExport(transaction, made.id, { status: 'cleaning', attempts: 0, retryAtMs: 0 });
    await tell(deps, transaction, source, `Export failed for ${describe(made, source)}: ${because}`);
  });
  return 'again';
}

async function clean(
  deps: ReconcileDeps,
  made: SnapshotExport,
  source: Snapshot | undefined,
): Promise<PassOutcome> {
  const { database, host, buckets, logger, nowMs, stopping } = deps;
  try {
    const access = await accessTo(deps);
    const store = await buckets!.open(access);
    try {
      for (const { id, whole } of made.shards) {
        const place = objectOf(made, id);
        if (!whole) await host.abandonExport(place, access);
        await store.remove(place);
      }
    } finally {
      store.close();
    }
    await removeExport(database, made.id);
    return 'gone';
  } catch (error) {
    if (stopping.aborted) return 'waiting';
    logger.warn({ export: made.id, error }, 'The rest of a failed export could not be taken away.');
    const attempts = made.attempts + 1;
    if (attempts < mostAttempts) {
      await updateExport(database, made.id, { attempts, retryAtMs: nowMs() + retryDelayMs(attempts) });
      return 'waiting';
    }
    const left = made.shards.map(({ id }) => objectOf(made, id).key).join(', ');
    await database.transaction().execute(async (transaction) => {
      await removeExport(transaction, made.id);
      const message = `What may be left of a failed export in bucket ${made.bucket} could not be removed (${left}): ${reasonOf(error)}`;
      await tell(deps, transaction, source, message);
    });
    return 'gone';
  }
}

function describe({ bucket, name, source: id }: SnapshotExport, source: Snapshot | undefined): string {
  const whose = source === undefined ? '' : ` of ${describeOrigin(source.origin)}`;
  return `snapshot with ID '${id}'${whose} to bucket ${bucket} as '${name}'`;
}

async function tell(
  { nowMs }: ReconcileDeps,
  transaction: DatabaseTransaction,
  source: Snapshot | undefined,
  message: string,
): Promise<void> {
  if (source === undefined) return;
  await recordEvent(transaction, { atMs: nowMs(), ...eventSource(source.origin), message });
}
