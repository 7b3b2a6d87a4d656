/** Create, reboot and delete: check, write the intent, wake the reconciler. No engine is touched here. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { cacheClusterId, cacheNodeIdOf } from '@larder/contract/ids';
import { engineTraits } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { nodeZones } from '../placement/node-zones.ts';
import type { Place } from '../placement/placement.ts';
import { spreadZone } from '../placement/zones.ts';
import { chooseEngine } from '../request/engine-choice.ts';
import { refuseNotYet } from '../request/not-yet.ts';
import { readServiceOptions } from '../request/service-options.ts';
import { readTags } from '../request/tags.ts';
import { beginFinalSnapshot, recordGivenUp, waitsForSnapshot } from '../snapshot/final.ts';
import { idleSnapshot } from '../snapshot/find.ts';
import { sourceOfCluster } from '../snapshot/origin.ts';
import { checkRestore, clusterRequestOf, snapshotToRestore } from '../snapshot/restore.ts';
import { checkSeed, insertSeed, seedName, seedOf } from '../snapshot/seed.ts';
import { writeTags } from '../tag/store.ts';
import type { CacheCluster, CacheClusterIntent, CacheNode } from './cache-cluster.ts';
import { nextStatus } from './status.ts';
import {
  changeStatus,
  insertCacheCluster,
  readCacheCluster,
  restartNodes,
  setFinalSnapshot,
} from './store.ts';

type Request = Input<'CreateCacheCluster'>;
type IntentOf<Key extends keyof CacheClusterIntent> = CacheClusterIntent[Key];

export const mostMemcachedNodes = 60;

/**
 * Writes down a new cluster and returns it with status `creating`.
 * @throws ServiceError for everything ElastiCache refuses, and for what has no effect here yet.
 */
export async function createCacheCluster(
  context: ControlContext,
  region: string,
  given: Request,
): Promise<CacheCluster> {
  const id = cacheClusterId(given.CacheClusterId);
  refuseUnsupported(given);
  const seed = seedOf(given);
  const snapshot = await snapshotToRestore(context, given);
  const input = snapshot === undefined ? given : clusterRequestOf(snapshot, given);
  if (input.Engine === undefined) {
    throw serviceError('InvalidParameterValueException', 'The parameter Engine must be provided.');
  }
  const tags = readTags(input.Tags);
  const choice = await chooseEngine(context.engines, input, 'memcached');
  const count = input.NumCacheNodes ?? 1;
  const discovers = !engineTraits[choice.engine].replicates;
  const most = discovers ? mostMemcachedNodes : 1;
  if (count < 1 || count > most) {
    throw serviceError(
      'InvalidParameterValueException',
      `NumCacheNodes must be between 1 and ${most} for ${engineTraits[choice.engine].title}; it is ${count}.`,
    );
  }
  const options = await readServiceOptions(context, region, choice, false, input);
  const known = await nodeZones(context, context.database, region, options.subnetGroup);
  const { zones, azMode } = chooseZones(input, count, known);
  const intent: CacheClusterIntent = {
    ...options,
    azMode,
    ...(snapshot !== undefined && { restoreFrom: snapshot.name }),
    ...(seed !== undefined && { restoreFrom: seedName(id, context.nowMs()) }),
  };
  if (seed !== undefined) await checkSeed(context, seed, { ...intent, shards: 1 });
  if (snapshot !== undefined) checkRestore(snapshot, { ...choice, clusterEnabled: false, shards: 1 });

  const cluster = await context.database.transaction().execute(async (transaction) => {
    if (
      (await readCacheCluster(transaction, id)) !== undefined ||
      (await groupOfMember(transaction, id)) !== undefined
    ) {
      throw serviceError('CacheClusterAlreadyExistsFault', `Cache cluster ${id} already exists.`);
    }
    // It may have gone since it was looked at.
    if (snapshot !== undefined) await idleSnapshot(transaction, snapshot.name, 'restore-requested');
    const nodeIds = Array.from({ length: count }, (_, index) => cacheNodeIdOf(index + 1));
    const seats = nodeIds.map((each, index) => ({ owner: `${id}/${each}`, zone: zones[index]!, copyOf: id }));
    const places = await context.placement.take(transaction, {
      port: choice.port,
      resource: 'cache-cluster',
      seats: discovers ? [...seats, { owner: `${id}/configuration` }] : seats,
    });
    const configuration = places.get(`${id}/configuration`);
    const createdAtMs = context.nowMs();
    const created: CacheCluster = {
      id,
      intent,
      status: 'creating',
      epoch: 1,
      createdAtMs,
      configVersion: 1,
      ...(configuration !== undefined && { configurationAddress: configuration.address }),
      nodes: nodeIds.map((nodeId, index) =>
        newNode(nodeId, zones[index]!, places.get(`${id}/${nodeId}`)!, createdAtMs),
      ),
    };
    await insertCacheCluster(transaction, created);
    if (seed !== undefined)
      await insertSeed(transaction, intent.restoreFrom!, sourceOfCluster(created), seed);
    await writeTags(transaction, { resourceType: 'cluster', name: id }, tags);
    return created;
  });
  if (seed !== undefined) context.wake('snapshot', intent.restoreFrom!);
  context.wake('cache-cluster', id);
  return cluster;
}

/**
 * Begins the deletion. With a final snapshot that comes first; while it can't be taken, the same request without one
 * goes on with the deletion.
 * @throws ServiceError CacheClusterNotFound, InvalidCacheClusterState, SnapshotAlreadyExistsFault, …
 */
export async function deleteCacheCluster(
  context: ControlContext,
  input: Input<'DeleteCacheCluster'>,
): Promise<CacheCluster> {
  const id = input.CacheClusterId.toLowerCase();
  const cluster = await context.database.transaction().execute(async (transaction) => {
    const found = await readCacheCluster(transaction, id);
    if (found === undefined) throw notFound(id);
    const source = sourceOfCluster(found);
    const heldUp = found.status === 'deleting' && (await waitsForSnapshot(transaction, found.finalSnapshot));
    if (heldUp && input.FinalSnapshotIdentifier === undefined) {
      await setFinalSnapshot(transaction, id, undefined);
      await recordGivenUp(transaction, source, context.nowMs());
      return { ...found, finalSnapshot: undefined };
    }
    const status = nextStatus(found.status, 'delete-requested');
    if (status === 'refuse' || status === 'stay') throw wrongState(found, "can't be deleted now");
    const nowMs = context.nowMs();
    const final = await beginFinalSnapshot(transaction, source, input.FinalSnapshotIdentifier, nowMs);
    await setFinalSnapshot(transaction, id, final);
    await changeStatus(transaction, id, { from: found.status, to: status });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'cache-cluster',
      sourceId: id,
      message: `Deleting cache cluster ${id}`,
    });
    return { ...found, status, finalSnapshot: final };
  });
  if (cluster.finalSnapshot !== undefined) context.wake('snapshot', cluster.finalSnapshot);
  context.wake('cache-cluster', id);
  return cluster;
}

/**
 * Starts the named nodes anew. What they hold is lost, as on ElastiCache.
 * @throws ServiceError CacheClusterNotFound, InvalidCacheClusterState, InvalidParameterValue for a node that is not there
 */
export async function rebootCacheCluster(
  context: ControlContext,
  input: Input<'RebootCacheCluster'>,
): Promise<CacheCluster> {
  const id = input.CacheClusterId.toLowerCase();
  const cluster = await context.database.transaction().execute(async (transaction) => {
    const found = await readCacheCluster(transaction, id);
    if (found === undefined) throw notFound(id);
    const nodeIds = checkNodeIds(found, input.CacheNodeIdsToReboot);
    const status = nextStatus(found.status, 'reboot-requested');
    if (status === 'refuse' || status === 'stay') throw wrongState(found, "can't be rebooted now");
    await restartNodes(transaction, id, nodeIds);
    await changeStatus(transaction, id, { from: found.status, to: status });
    return (await readCacheCluster(transaction, id))!;
  });
  context.wake('cache-cluster', id);
  return cluster;
}

/** @returns them, each once. @throws ServiceError InvalidParameterValue for one the cluster has not, or none at all. */
export function checkNodeIds(cluster: CacheCluster, ids: readonly string[]): string[] {
  const known = new Set(cluster.nodes.filter(({ status }) => status !== 'deleting').map((node) => node.id));
  const wrong = ids.find((id) => !known.has(id));
  if (wrong !== undefined || ids.length === 0) {
    throw serviceError(
      'InvalidParameterValueException',
      `Cache cluster ${cluster.id} has the nodes ${[...known].join(', ')}; name some of them.`,
    );
  }
  return [...new Set(ids)];
}

export function newNode(id: string, zone: string, place: Place, createdAtMs: number): CacheNode {
  return { id, zone, ...place, status: 'creating', generation: 1, parameterStatus: 'in-sync', createdAtMs };
}

export function wrongState({ id, status }: Pick<CacheCluster, 'id' | 'status'>, what: string) {
  return serviceError('InvalidCacheClusterStateFault', `Cache cluster ${id} is ${status} and ${what}.`);
}

export function notFound(id: string) {
  return serviceError('CacheClusterNotFoundFault', `Cache cluster ${id} not found.`);
}

/** The replication group that a member of this name is in. */
export async function groupOfMember(
  transaction: Database | DatabaseTransaction,
  id: string,
): Promise<string | undefined> {
  const row = await transaction
    .selectFrom('member')
    .select('group_id')
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.group_id;
}

function chooseZones(
  input: Request,
  count: number,
  known: readonly string[],
): { zones: string[]; azMode: IntentOf<'azMode'> } {
  const wanted = input.PreferredAvailabilityZones ?? [];
  const single = input.PreferredAvailabilityZone;
  for (const zone of single === undefined ? wanted : [...wanted, single]) {
    if (!known.includes(zone)) {
      throw serviceError(
        'InvalidParameterValueException',
        `There is no availability zone ${zone}; there are ${known.join(', ')}.`,
      );
    }
  }
  if (wanted.length > 0 && wanted.length !== count) {
    throw serviceError(
      'InvalidParameterCombinationException',
      `${wanted.length} availability zones were given for ${count} nodes.`,
    );
  }
  if (input.AZMode !== undefined && input.AZMode !== 'single-az' && input.AZMode !== 'cross-az') {
    throw serviceError('InvalidParameterValueException', 'AZMode must be single-az or cross-az.');
  }
  const azMode = input.AZMode ?? (new Set(wanted).size > 1 ? 'cross-az' : 'single-az');
  if (azMode === 'cross-az' && count < 2) {
    throw serviceError('InvalidParameterCombinationException', 'AZMode cross-az needs at least two nodes.');
  }
  if (wanted.length > 0) return { zones: [...wanted], azMode };
  return {
    azMode,
    zones: Array.from({ length: count }, (_, index) =>
      azMode === 'cross-az' ? spreadZone(known, 0, index) : (single ?? spreadZone(known, 0, 0)),
    ),
  };
}

function refuseUnsupported(input: Request): void {
  refuseNotYet({
    OutpostMode: input.OutpostMode,
    PreferredOutpostArn: input.PreferredOutpostArn,
    PreferredOutpostArns: input.PreferredOutpostArns,
  });
}
