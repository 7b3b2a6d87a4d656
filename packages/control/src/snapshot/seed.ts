/** Seeds: data files in a bucket that something new begins with. They are fetched first, and are then as a snapshot's. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { type EngineName, engineTraits } from '@larder/engine/engine';
import { nodeTypes } from '@larder/engine/node-type';
import type { ObjectPlace } from '@larder/fleet/object-store/object-store';
import { placeOfArn, withBuckets } from '../bucket/bucket.ts';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import type { Source } from './origin.ts';
import { insertSnapshot } from './store.ts';

type Request = Pick<Input<'CreateReplicationGroup'>, 'SnapshotArns' | 'SnapshotName' | 'PrimaryClusterId'>;

const mostFiles = 500;
const namePrefix = 'seed.';

/**
 * The files that a request names.
 * @throws ServiceError InvalidParameterValue, InvalidParameterCombination
 */
export function seedOf(request: Request): readonly ObjectPlace[] | undefined {
  const arns = request.SnapshotArns ?? [];
  if (arns.length === 0) return undefined;
  if (request.SnapshotName !== undefined) {
    throw invalidCombination('Give SnapshotName or SnapshotArns: data comes from one of them.');
  }
  if (request.PrimaryClusterId !== undefined) {
    throw invalidCombination("With PrimaryClusterId the data is the cluster's own; leave SnapshotArns out.");
  }
  if (arns.length > mostFiles) throw invalidValue(`SnapshotArns may have at most ${mostFiles} files.`);
  return arns.map(placeOfArn);
}

export interface SeedTarget {
  readonly engine: EngineName;
  readonly nodeType: string;
  readonly shards: number;
}

/**
 * That there is one file for each shard, and each is there and not too large.
 * @throws ServiceError InvalidParameterCombination, InvalidParameterValue
 */
export async function checkSeed(
  { buckets }: Pick<ControlContext, 'buckets'>,
  places: readonly ObjectPlace[],
  { engine, nodeType, shards }: SeedTarget,
): Promise<void> {
  if (!engineTraits[engine].replicates) {
    throw invalidCombination(`${engineTraits[engine].title} can't begin with files; leave SnapshotArns out.`);
  }
  if (places.length !== shards) {
    throw invalidCombination(
      `SnapshotArns has ${places.length} files for ${shards} ${shards === 1 ? 'node' : 'node groups'}; give one for each.`,
    );
  }
  const most = largestFileBytes(nodeType);
  await withBuckets(buckets, async (store) => {
    for (const { bucket, key } of places) {
      const sizeBytes = await store.sizeOf({ bucket, key });
      if (sizeBytes === undefined) {
        await store.checkBucket(bucket);
        throw invalidValue(`There is no ${key} in bucket ${bucket}.`);
      }
      if (sizeBytes === 0 || sizeBytes > most) {
        throw invalidValue(
          `${key} in bucket ${bucket} has ${sizeBytes} bytes; for ${nodeType} it may have 1 to ${most}.`,
        );
      }
    }
  });
}

/** A data file is seldom larger than what it becomes in memory; more would not fit anyway. */
export function largestFileBytes(nodeType: string): number {
  const type = nodeTypes.get(nodeType);
  if (type === undefined) throw serviceError('InvalidParameterValueException', `There is no ${nodeType}.`);
  return type.maxmemoryBytes + 16 * 2 ** 20;
}

/** No snapshot of a user's has a dot in its name. */
export function seedName(id: string, nowMs: number): string {
  return `${namePrefix}${id}-${nowMs}`;
}

/** Writes it down in the transaction of what begins with it. Whoever calls wakes it after the commit. */
export function insertSeed(
  transaction: DatabaseTransaction,
  name: string,
  { origin, settings, shards }: Source,
  places: readonly ObjectPlace[],
): Promise<void> {
  const nowMs = settings.createdAtMs;
  return insertSnapshot(transaction, {
    name,
    status: 'importing',
    kind: 'seed',
    origin,
    final: false,
    createdAtMs: nowMs,
    progressAtMs: nowMs,
    attempts: 0,
    settings,
    shards: shards.map(({ id, slots, zones }, index) => ({ id, slots, zones, object: places[index]! })),
  });
}

/** For events: what something was made with. */
export function describeData(restoreFrom: string): string {
  return restoreFrom.startsWith(namePrefix) ? 'the files of SnapshotArns' : `snapshot ${restoreFrom}`;
}
