/** Fetches a seed's files to where they will be loaded, a shard a pass, and forgets it when it was. */
import { NodeUnreachable, SaveFailed, SnapshotDamaged } from '@larder/fleet/host';
import { ObjectStoreRefused, ObjectStoreUnavailable } from '@larder/fleet/object-store/object-store';
import type { PassOutcome } from '../reconciler/driver.ts';
import { sourceOfSnapshot } from './origin.ts';
import type { ReconcileDeps } from './reconcile.ts';
import { largestFileBytes } from './seed.ts';
import { fileOf, type Snapshot } from './snapshot.ts';
import { changeStatus, writeShards, writeTrouble } from './store.ts';

const mostAttempts = 6;
const firstDelayMs = 500;

export async function importSeed(deps: ReconcileDeps, seed: Snapshot): Promise<PassOutcome> {
  const { database, host, buckets, logger, nowMs, stopping, wake } = deps;
  const { name, attempts, settings } = seed;
  const target = await sourceOfSnapshot(database, seed);
  if (target?.status !== 'creating') return remove(deps, seed);
  if (attempts > 0 && nowMs() < seed.progressAtMs + firstDelayMs * 2 ** (attempts - 1)) return 'waiting';
  const shard = seed.shards.find(({ saved }) => saved === undefined);
  if (shard === undefined) {
    await database
      .transaction()
      .execute((transaction) => changeStatus(transaction, name, { from: 'importing', to: 'available' }));
    wake(seed.origin.resource, seed.origin.id);
    return 'again';
  }
  const { nodes, primary } = target.shards.find(({ id }) => id === shard.id)!;
  const node = nodes.find(({ clusterId }) => clusterId === primary)!;
  try {
    if (buckets === undefined)
      throw new ObjectStoreRefused('The service was started without an object store.');
    logger.info(
      { snapshot: name, step: 'import-shard' },
      `import-shard ${shard.id} from ${shard.object!.bucket}`,
    );
    const saved = await host.importSnapshot(
      node.nodeId,
      fileOf(seed, shard),
      { place: shard.object!, maxBytes: largestFileBytes(settings.nodeType) },
      {
        engine: settings.engine,
        version: settings.engineVersion,
        ...(settings.clusterEnabled && seed.shards.length > 1 && { slots: shard.slots }),
      },
      await buckets.access(),
      stopping,
    );
    const [number] = saved.databases.filter((each) => each > 0);
    if (settings.clusterEnabled && number !== undefined) {
      const because = `shard ${shard.id} has keys in database ${number}; cluster mode has database 0 only`;
      return fail(deps, seed, because);
    }
    const about = { savedAtMs: nowMs(), clusterId: node.clusterId, nodeCreatedAtMs: node.createdAtMs };
    const shards = seed.shards.map((each) =>
      each.id === shard.id ? { ...each, saved: { ...saved, ...about } } : each,
    );
    await writeShards(database, name, shards, nowMs());
    return 'again';
  } catch (error) {
    if (stopping.aborted) return 'waiting';
    logger.warn({ snapshot: name, error }, 'A file could not be fetched from a bucket.');
    const hopeless = error instanceof ObjectStoreRefused || error instanceof SnapshotDamaged;
    const trouble = reasonOf(error);
    if (hopeless || attempts + 1 >= mostAttempts) return fail(deps, seed, trouble);
    await writeTrouble(database, name, { trouble, attempts: attempts + 1 });
    await writeShards(database, name, seed.shards, nowMs());
    return 'waiting';
  }
}

/** Others than these may name what is nobody's business. */
function reasonOf(error: unknown): string {
  const known = [SaveFailed, ObjectStoreRefused, ObjectStoreUnavailable, SnapshotDamaged, NodeUnreachable];
  if (known.some((kind) => error instanceof kind)) return (error as Error).message.replace(/\.$/, '');
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' ? 'the disk is full' : 'its files can not be kept';
}

/** Its target reads the reason and fails with it. */
async function fail(
  { database, host, wake }: ReconcileDeps,
  { name, attempts, origin }: Snapshot,
  trouble: string,
): Promise<PassOutcome> {
  await host.removeSnapshot(name);
  await database.transaction().execute(async (transaction) => {
    if (!(await changeStatus(transaction, name, { from: 'importing', to: 'failed' }))) return;
    await writeTrouble(transaction, name, { trouble, attempts });
  });
  wake(origin.resource, origin.id);
  return 'again';
}

/** When its target has loaded it, or never will. */
export async function forgetSeed(deps: ReconcileDeps, seed: Snapshot): Promise<PassOutcome> {
  const target = await sourceOfSnapshot(deps.database, seed);
  return target?.status === 'creating' ? 'waiting' : remove(deps, seed);
}

async function remove({ database }: ReconcileDeps, { name, status }: Snapshot): Promise<PassOutcome> {
  await database
    .transaction()
    .execute((transaction) => changeStatus(transaction, name, { from: status, to: 'deleting' }));
  return 'again';
}
