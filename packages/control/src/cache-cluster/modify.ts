/** ModifyCacheCluster: what may change, and what it makes of the intent and of the nodes. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { cacheNodeIdOf } from '@larder/contract/ids';
import { engineTraits } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { mergeChange, type PendingChange } from '../node/service-intent.ts';
import { markApplying } from '../parameter-group/store.ts';
import { nodeZones } from '../placement/node-zones.ts';
import { emptiestZone } from '../placement/zones.ts';
import { changeAuth } from '../request/auth-change.ts';
import { refuseNotYet } from '../request/not-yet.ts';
import { invalidCombination } from '../request/refusals.ts';
import { changeService, refuseSmallerThanData } from '../request/service-change.ts';
import { type CacheCluster, type CacheClusterIntent, nodeIdOf } from './cache-cluster.ts';
import { checkNodeIds, mostMemcachedNodes, newNode, notFound, wrongState } from './requests.ts';
import { nextStatus } from './status.ts';
import {
  changeStatus,
  insertNodes,
  raiseConfigVersion,
  readCacheCluster,
  setNodeStatus,
  writeIntent,
} from './store.ts';

type Request = Input<'ModifyCacheCluster'>;

/**
 * Writes down what is asked for. Engine version, node type and fewer nodes wait for the maintenance window unless
 * `ApplyImmediately` is set; new nodes and everything else are asked for at once.
 * @throws ServiceError CacheClusterNotFound, InvalidCacheClusterState, and for every wrong or idle change.
 */
export async function modifyCacheCluster(
  context: ControlContext,
  region: string,
  input: Request,
): Promise<CacheCluster> {
  const id = input.CacheClusterId.toLowerCase();
  refuseNotYet({ ScaleConfig: input.ScaleConfig });
  const current = await readCacheCluster(context.database, id);
  if (current === undefined) throw notFound(id);
  const change = await changeService(context, current.intent, false, input);
  if (change.deferrable.nodeType !== undefined) {
    const nodeIds = current.nodes.map((node) => nodeIdOf(current, node));
    await refuseSmallerThanData(context, nodeIds, current.intent, change.deferrable.nodeType);
  }

  const cluster = await context.database.transaction().execute(async (transaction) => {
    const found = await readCacheCluster(transaction, id);
    if (found === undefined) throw notFound(id);
    const wanted = nextStatus(found.status, 'modify-requested');
    if (wanted === 'refuse' || wanted === 'stay') throw wrongState(found, "can't be modified now");
    const now = input.ApplyImmediately === true;
    const removal = nodesToRemove(found, input);
    const waiting: PendingChange = now ? {} : { ...change.deferrable, ...removal };
    const none = { before: [], after: [] };
    const changed: CacheClusterIntent = {
      ...mergeChange(found.intent, now ? change.deferrable : {}),
      ...change.immediate,
      azMode: chosenAzMode(found, input),
    };
    const auth = changeAuth(changed, none, input, context.nowMs());
    if (changed.transit === 'none' && auth.hashes.length > 0) {
      throw invalidCombination('Encryption in transit stays on while there are AUTH tokens.');
    }
    const intent = { ...changed, auth };
    const added = await addNodes(context, transaction, region, found, input);
    if (now && removal !== undefined) {
      await setNodeStatus(transaction, id, removal.nodeIdsToRemove, 'deleting');
    }
    const nodesChange = added > 0 || (now && removal !== undefined);
    if (nodesChange) await raiseConfigVersion(transaction, id);
    const idle = JSON.stringify(intent) === JSON.stringify(found.intent) && !nodesChange;
    const deferred = Object.keys(waiting).length > 0;
    if (idle && !deferred) throw invalidCombination('No modifications were requested.');
    const pending = { ...found.pending, ...waiting };
    const { pending: _, ...rest } = { ...found, intent };
    await writeIntent(transaction, Object.keys(pending).length > 0 ? { ...rest, pending } : rest);
    if (intent.parameterGroup !== found.intent.parameterGroup) {
      await markApplying(transaction, [{ resource: 'cache-cluster', id }]);
    }
    if (!idle) await changeStatus(transaction, id, { from: found.status, to: wanted });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'cache-cluster',
      sourceId: id,
      message: eventMessage(found, added, deferred),
    });
    return (await readCacheCluster(transaction, id))!;
  });
  context.wake('cache-cluster', id);
  return cluster;
}

/** Makes what waited for the maintenance window part of what is asked for now. */
export async function applyPending(
  { database, nowMs }: { readonly database: Database; readonly nowMs: () => number },
  id: string,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const cluster = await readCacheCluster(transaction, id);
    if (cluster?.pending === undefined) return;
    const status = nextStatus(cluster.status, 'modify-requested');
    // Something else began meanwhile: they wait for its end.
    if (status === 'refuse' || status === 'stay') return;
    const { pending, ...rest } = cluster;
    await writeIntent(transaction, { ...rest, intent: mergeChange(cluster.intent, pending) });
    const leaving = (pending.nodeIdsToRemove ?? []).filter((each) =>
      cluster.nodes.some((node) => node.id === each),
    );
    if (leaving.length > 0 && leaving.length < cluster.nodes.length) {
      await setNodeStatus(transaction, id, leaving, 'deleting');
      await raiseConfigVersion(transaction, id);
    }
    await changeStatus(transaction, id, { from: cluster.status, to: status });
    await recordEvent(transaction, {
      atMs: nowMs(),
      sourceType: 'cache-cluster',
      sourceId: id,
      message: `The maintenance window of cache cluster ${id} began: its pending changes are applied`,
    });
  });
}

function stayingNodes(cluster: CacheCluster) {
  return cluster.nodes.filter(({ status }) => status !== 'deleting');
}

function nodesToRemove(
  cluster: CacheCluster,
  { NumCacheNodes: count, CacheNodeIdsToRemove: ids }: Request,
): { readonly nodeCount: number; readonly nodeIdsToRemove: readonly string[] } | undefined {
  const present = stayingNodes(cluster).length;
  if (count === undefined || count >= present) {
    if ((ids ?? []).length > 0)
      throw invalidCombination('CacheNodeIdsToRemove needs a NumCacheNodes below that of today.');
    return undefined;
  }
  checkCount(cluster, count);
  const removed = checkNodeIds(cluster, ids ?? []);
  if (removed.length !== present - count) {
    throw invalidCombination(
      `From ${present} to ${count} nodes CacheNodeIdsToRemove must name ${present - count}.`,
    );
  }
  return { nodeCount: count, nodeIdsToRemove: removed };
}

function checkCount(cluster: CacheCluster, count: number): void {
  const most = engineTraits[cluster.intent.engine].replicates ? 1 : mostMemcachedNodes;
  if (count >= 1 && count <= most) return;
  throw serviceError(
    'InvalidParameterValueException',
    `NumCacheNodes must be between 1 and ${most} for ${engineTraits[cluster.intent.engine].title}; it is ${count}.`,
  );
}

/** @returns how many. */
async function addNodes(
  context: ControlContext,
  transaction: DatabaseTransaction,
  region: string,
  cluster: CacheCluster,
  input: Request,
): Promise<number> {
  const present = stayingNodes(cluster);
  const zones = input.NewAvailabilityZones ?? [];
  const count = (input.NumCacheNodes ?? present.length) - present.length;
  if (count <= 0) {
    if (zones.length > 0)
      throw invalidCombination('NewAvailabilityZones needs a NumCacheNodes above that of today.');
    return 0;
  }
  checkCount(cluster, input.NumCacheNodes!);
  if (zones.length > 0 && zones.length !== count) {
    throw invalidCombination(`${zones.length} availability zones were given for ${count} new nodes.`);
  }
  const known = await nodeZones(context, transaction, region, cluster.intent.subnetGroup);
  const unknown = zones.find((zone) => !known.includes(zone));
  if (unknown !== undefined) {
    throw serviceError(
      'InvalidParameterValueException',
      `There is no availability zone ${unknown.slice(0, 60)}; there are ${known.join(', ')}.`,
    );
  }
  const taken = present.map(({ zone }) => zone);
  const last = Math.max(...cluster.nodes.map((node) => Number(node.id)));
  const ids = Array.from({ length: count }, (_, index) => cacheNodeIdOf(last + 1 + index));
  const seats = ids.map((each, index) => {
    const zone =
      zones[index] ?? (chosenAzMode(cluster, input) === 'cross-az' ? emptiestZone(known, taken) : taken[0]!);
    taken.push(zone);
    return {
      owner: `${cluster.id}/${each}`,
      zone,
      copyOf: cluster.id,
      apartFrom: present.map(({ host }) => host),
    };
  });
  const places = await context.placement.take(transaction, {
    port: cluster.intent.port,
    resource: 'cache-cluster',
    seats,
  });
  const nodes = ids.map((each, index) =>
    newNode(each, seats[index]!.zone, places.get(`${cluster.id}/${each}`)!, context.nowMs()),
  );
  await insertNodes(transaction, cluster.id, nodes);
  for (const { id: nodeId, zone } of nodes) {
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'cache-cluster',
      sourceId: cluster.id,
      message: `Added cache node ${nodeId} in availability zone ${zone}`,
    });
  }
  return count;
}

function chosenAzMode(cluster: CacheCluster, { AZMode: mode }: Request): CacheClusterIntent['azMode'] {
  if (mode === undefined) return cluster.intent.azMode;
  if (mode !== 'single-az' && mode !== 'cross-az') {
    throw serviceError('InvalidParameterValueException', 'AZMode must be single-az or cross-az.');
  }
  return mode;
}

function eventMessage({ id }: CacheCluster, added: number, deferred: boolean): string {
  if (added > 0) return 'Increasing number of requested nodes';
  return deferred
    ? `Modification of cache cluster ${id} waits for its maintenance window`
    : `Modifying cache cluster ${id}`;
}
