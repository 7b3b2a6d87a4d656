/** Create, copy and delete: check, write down, wake the reconciler. No engine and no file is touched here. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { snapshotName } from '@larder/contract/ids';
import { groupOfMember } from '../cache-cluster/requests.ts';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { invalidCombination } from '../request/refusals.ts';
import { readTags } from '../request/tags.ts';
import { exportSnapshot } from '../snapshot-export/requests.ts';
import { writeTags } from '../tag/store.ts';
import { idleSnapshot } from './find.ts';
import { changeSource, readSource, type Source } from './origin.ts';
import { describeOrigin, type Snapshot } from './snapshot.ts';
import { changeStatus, insertSnapshot } from './store.ts';
import { beginSnapshot, eventSource, refuseTaken, refuseTooMany, refuseUnsupportedEngine } from './take.ts';

/**
 * Writes a snapshot down with status `creating`; its source reads `snapshotting` until it is taken.
 * @throws ServiceError for everything ElastiCache refuses.
 */
export async function createSnapshot(
  context: ControlContext,
  input: Input<'CreateSnapshot'>,
): Promise<Snapshot> {
  const name = snapshotName(input.SnapshotName);
  const tags = readTags(input.Tags);
  refuseKey(input.KmsKeyId);
  const snapshot = await context.database.transaction().execute(async (transaction) => {
    const { source, member } = await askedSource(transaction, input);
    refuseUnsupportedEngine(source);
    await refuseTaken(transaction, name);
    if (!(await changeSource(transaction, source.origin, 'snapshot-requested'))) throw wrongState(source);
    const nowMs = context.nowMs();
    const request = { name, kind: 'manual', final: false, nowMs } as const;
    const begun = await beginSnapshot(transaction, source, { ...request, ...(member && { member }) });
    await writeTags(transaction, { resourceType: 'snapshot', name }, tags);
    return begun;
  });
  context.wake('snapshot', name);
  context.wake(snapshot.origin.resource, snapshot.origin.id);
  return snapshot;
}

/**
 * Begins a copy here, or in TargetBucket.
 * @throws ServiceError SnapshotNotFoundFault, SnapshotAlreadyExistsFault, InvalidSnapshotState, …
 */
export async function copySnapshot(context: ControlContext, input: Input<'CopySnapshot'>): Promise<Snapshot> {
  const name = snapshotName(input.TargetSnapshotName);
  const tags = readTags(input.Tags);
  refuseKey(input.KmsKeyId);
  const { TargetBucket } = input;
  if (TargetBucket !== undefined) return exportSnapshot(context, { ...input, TargetBucket });
  const snapshot = await context.database.transaction().execute(async (transaction) => {
    const source = await idleSnapshot(transaction, input.SourceSnapshotName, 'copy-requested');
    await refuseTaken(transaction, name);
    const nowMs = context.nowMs();
    await refuseTooMany(transaction, source.origin, nowMs);
    const { trouble: _, ...kept } = source;
    const copy: Snapshot = {
      ...kept,
      name,
      status: 'copying',
      kind: 'manual',
      final: false,
      createdAtMs: nowMs,
      progressAtMs: nowMs,
      attempts: 0,
      copiedFrom: source.name,
    };
    await insertSnapshot(transaction, copy);
    await writeTags(transaction, { resourceType: 'snapshot', name }, tags);
    return copy;
  });
  context.wake('snapshot', name);
  return snapshot;
}

/** @throws ServiceError SnapshotNotFoundFault, InvalidSnapshotState */
export async function deleteSnapshot(
  context: ControlContext,
  input: Input<'DeleteSnapshot'>,
): Promise<Snapshot> {
  const snapshot = await context.database.transaction().execute(async (transaction) => {
    const found = await idleSnapshot(transaction, input.SnapshotName, 'delete-requested');
    await changeStatus(transaction, found.name, { from: found.status, to: 'deleting' });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      ...eventSource(found.origin),
      message: `Deleting snapshot with ID '${found.name}' of ${describeOrigin(found.origin)}`,
    });
    return { ...found, status: 'deleting' as const };
  });
  context.wake('snapshot', snapshot.name);
  return snapshot;
}

async function askedSource(
  transaction: DatabaseTransaction,
  { ReplicationGroupId: groupId, CacheClusterId: clusterId }: Input<'CreateSnapshot'>,
): Promise<{ readonly source: Source; readonly member?: string }> {
  if ((groupId === undefined) === (clusterId === undefined)) {
    throw invalidCombination('Give ReplicationGroupId or CacheClusterId.');
  }
  if (groupId !== undefined) {
    const id = groupId.toLowerCase();
    const source = await readSource(transaction, { resource: 'replication-group', id });
    if (source !== undefined) return { source };
    throw serviceError('ReplicationGroupNotFoundFault', `Replication group ${id} not found.`);
  }
  const id = clusterId!.toLowerCase();
  const own = await readSource(transaction, { resource: 'cache-cluster', id });
  if (own !== undefined) return { source: own };
  const owner = await groupOfMember(transaction, id);
  const source =
    owner === undefined
      ? undefined
      : await readSource(transaction, { resource: 'replication-group', id: owner });
  if (source === undefined) {
    throw serviceError('CacheClusterNotFoundFault', `Cache cluster ${id} not found.`);
  }
  if (source.settings.clusterEnabled) {
    throw invalidCombination(`${id} is a part of ${owner}; with cluster mode give ReplicationGroupId.`);
  }
  return { source, member: id };
}

function wrongState({ origin, status }: Source) {
  const what = `${origin.id} is ${status} and a snapshot can't be taken of it now.`;
  return origin.resource === 'replication-group'
    ? serviceError('InvalidReplicationGroupStateFault', `Replication group ${what}`)
    : serviceError('InvalidCacheClusterStateFault', `Cache cluster ${what}`);
}

function refuseKey(keyId: string | undefined): void {
  if (keyId === undefined) return;
  throw serviceError(
    'InvalidParameterValueException',
    'There is no key management service here; leave KmsKeyId out.',
    { hint: 'Snapshots of what is encrypted at rest are encrypted with a key of this service.' },
  );
}
