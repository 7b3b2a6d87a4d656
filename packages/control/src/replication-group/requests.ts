/** Create and delete: check, write the intent, wake the reconciler. No engine is touched here. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { memberClusterId, nodeGroupIdOf, replicationGroupId } from '@larder/contract/ids';
import { engineTraits } from '@larder/engine/engine';
import type { CacheCluster } from '../cache-cluster/cache-cluster.ts';
import { deleteCacheCluster, readCacheCluster } from '../cache-cluster/store.ts';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { serviceIntentOf } from '../node/service-intent.ts';
import { parameterGroupWantsClusterMode } from '../parameter-group/settings.ts';
import { passAddress } from '../placement/addresses.ts';
import { nodeZones } from '../placement/node-zones.ts';
import type { Place, Seat } from '../placement/placement.ts';
import { chooseEngine } from '../request/engine-choice.ts';
import { refuseNotYet } from '../request/not-yet.ts';
import { invalidCombination } from '../request/refusals.ts';
import { readServiceOptions } from '../request/service-options.ts';
import { readTags } from '../request/tags.ts';
import { beginFinalSnapshot, recordGivenUp, waitsForSnapshot } from '../snapshot/final.ts';
import { idleSnapshot } from '../snapshot/find.ts';
import { sourceOfGroup } from '../snapshot/origin.ts';
import { checkRestore, groupRequestOf, snapshotToRestore } from '../snapshot/restore.ts';
import { checkSeed, insertSeed, seedName, seedOf } from '../snapshot/seed.ts';
import { writeTags } from '../tag/store.ts';
import { checkUserGroups } from '../user-group/group-users.ts';
import { type BeginningNodeGroup, beginWith } from './begin-with.ts';
import type { Member, NodeGroup, ReplicationGroup, ReplicationGroupIntent } from './replication-group.ts';
import { planShape, type Shape, type ShapedNodeGroup } from './shape.ts';
import { nextStatus } from './status.ts';
import {
  changeStatus,
  firstEpoch,
  insertReplicationGroup,
  readReplicationGroup,
  retainPrimary,
  setFinalSnapshot,
} from './store.ts';

type CreateRequest = Input<'CreateReplicationGroup'>;

/**
 * Writes down a new group and returns it with status `creating`. No process has started yet; what is promised is
 * that it will be, even if the service is killed now.
 * @throws ServiceError for everything ElastiCache refuses, and for what has no effect here yet.
 */
export async function createReplicationGroup(
  context: ControlContext,
  region: string,
  given: CreateRequest,
): Promise<ReplicationGroup> {
  const id = replicationGroupId(given.ReplicationGroupId);
  refuseUnsupported(given);
  const seed = seedOf(given);
  const snapshot = await snapshotToRestore(context, given);
  const input = snapshot === undefined ? given : groupRequestOf(snapshot, given);
  const tags = readTags(input.Tags);
  const adopted = await clusterToAdopt(context, input);
  const zones = await nodeZones(context, context.database, region, input.CacheSubnetGroupName?.toLowerCase());
  const wantsClusterMode = await parameterGroupWantsClusterMode(
    context.database,
    input.CacheParameterGroupName,
  );
  const shape = planShape(input, zones, { wantsClusterMode });
  const intent =
    adopted === undefined
      ? {
          ...(await newIntent(context, region, input, shape)),
          ...(snapshot !== undefined && { restoreFrom: snapshot.name }),
          ...(seed !== undefined && { restoreFrom: seedName(id, context.nowMs()) }),
        }
      : adoptedIntent(adopted, input, shape);
  if (seed !== undefined) await checkSeed(context, seed, { ...intent, shards: shape.nodeGroups.length });
  if (snapshot !== undefined) {
    checkRestore(snapshot, { ...intent, shards: shape.nodeGroups.length });
  }
  const nodeGroups =
    snapshot !== undefined && shape.clusterEnabled
      ? beginWith(shape.nodeGroups, snapshot.shards, zones)
      : shape.nodeGroups;

  const group = await context.database.transaction().execute(async (transaction) => {
    await refuseTaken(transaction, id, { ...shape, nodeGroups }, adopted?.id);
    // It may have gone since it was looked at.
    if (snapshot !== undefined) await idleSnapshot(transaction, snapshot.name, 'restore-requested');
    const seats = seatsOf(id, nodeGroups, shape.clusterEnabled);
    const places = await context.placement.take(transaction, {
      port: intent.port,
      resource: 'replication-group',
      seats: adopted === undefined ? seats : seatsBeside(adopted, id, seats),
    });
    // The adopted node keeps its place.
    if (adopted !== undefined) places.set(`${id}/${firstMember(id)}`, adopted.nodes[0]!);
    const createdAtMs = context.nowMs();
    const placed = nodeGroups.map((each) =>
      placeNodeGroup(id, each, places, shape.clusterEnabled, createdAtMs),
    );
    const created: ReplicationGroup = {
      id,
      intent,
      status: 'creating',
      retainPrimary: false,
      epoch: await firstEpoch(transaction, id),
      createdAtMs,
      ...(shape.clusterEnabled && { configurationAddress: places.get(`${id}/configuration`)!.address }),
      nodeGroups: adopted === undefined ? placed : [await adopt(transaction, id, placed[0]!, adopted)],
    };
    await insertReplicationGroup(transaction, created);
    if (seed !== undefined) await insertSeed(transaction, intent.restoreFrom!, sourceOfGroup(created), seed);
    await writeTags(transaction, { resourceType: 'replicationgroup', name: id }, tags);
    return created;
  });
  if (seed !== undefined) context.wake('snapshot', intent.restoreFrom!);
  context.wake('replication-group', id);
  return group;
}

/**
 * Begins the deletion; the group reads `deleting` until its nodes are gone. With a final snapshot that comes first;
 * while it can't be taken, the same request without one goes on with the deletion.
 * @throws ServiceError ReplicationGroupNotFoundFault, InvalidReplicationGroupState
 */
export async function deleteReplicationGroup(
  context: ControlContext,
  input: Input<'DeleteReplicationGroup'>,
): Promise<ReplicationGroup> {
  const id = input.ReplicationGroupId.toLowerCase();
  const retain = input.RetainPrimaryCluster === true;
  const group = await context.database.transaction().execute(async (transaction) => {
    const found = await readReplicationGroup(transaction, id);
    if (found === undefined) throw notFound(id);
    const source = sourceOfGroup(found);
    if (input.FinalSnapshotIdentifier === undefined && (await isHeldUp(transaction, found))) {
      await setFinalSnapshot(transaction, id, undefined);
      await recordGivenUp(transaction, source, context.nowMs());
      return { ...found, finalSnapshot: undefined };
    }
    const status = nextStatus(found.status, 'delete-requested');
    if (status === 'refuse' || status === 'stay') throw wrongState(found, "can't be deleted now");
    if (retain && found.intent.clusterEnabled) {
      throw serviceError(
        'InvalidParameterCombinationException',
        'RetainPrimaryCluster needs a group without cluster mode.',
      );
    }
    if (retain && (found.status === 'creating' || found.status === 'migrating'))
      throw wrongState(found, 'has no primary to retain yet');
    const nowMs = context.nowMs();
    const final = await beginFinalSnapshot(transaction, source, input.FinalSnapshotIdentifier, nowMs);
    await setFinalSnapshot(transaction, id, final);
    await changeStatus(transaction, id, { from: found.status, to: status });
    if (retain) await retainPrimary(transaction, id);
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: `Deleting replication group ${id}`,
    });
    return { ...found, status, retainPrimary: retain, finalSnapshot: final };
  });
  if (group.finalSnapshot !== undefined) context.wake('snapshot', group.finalSnapshot);
  context.wake('replication-group', id);
  return group;
}

/** Its deletion waits for a final snapshot. */
async function isHeldUp(transaction: DatabaseTransaction, group: ReplicationGroup): Promise<boolean> {
  return group.status === 'deleting' && waitsForSnapshot(transaction, group.finalSnapshot);
}

export function notFound(id: string) {
  return serviceError('ReplicationGroupNotFoundFault', `Replication group ${id} not found.`);
}

/** @param what follows the status, as in "… is modifying and can't be deleted now." */
export function wrongState({ id, status }: Pick<ReplicationGroup, 'id' | 'status'>, what: string) {
  return serviceError(
    'InvalidReplicationGroupStateFault',
    `Replication group ${id} is ${status} and ${what}.`,
  );
}

async function newIntent(
  context: ControlContext,
  region: string,
  input: CreateRequest,
  shape: Shape,
): Promise<ReplicationGroupIntent> {
  const choice = await chooseEngine(context.engines, input, 'valkey');
  if (!engineTraits[choice.engine].replicates) {
    throw serviceError(
      'InvalidParameterValueException',
      `${engineTraits[choice.engine].title} has no replication; use CreateCacheCluster.`,
    );
  }
  const options = await readServiceOptions(context, region, choice, shape.clusterEnabled, input);
  const userGroupIds = (input.UserGroupIds ?? []).map((each) => each.toLowerCase());
  if (userGroupIds.length > 0) {
    if (options.transit === 'none') {
      throw invalidCombination('User groups need TransitEncryptionEnabled.');
    }
    if (input.AuthToken !== undefined) throw invalidCombination('Give AuthToken or UserGroupIds, not both.');
    await checkUserGroups(context.database, userGroupIds, {
      engine: choice.engine,
      version: choice.engineVersion,
    });
  }
  return { ...options, ...shapeIntent(input, shape), userGroupIds };
}

function shapeIntent(input: CreateRequest, shape: Shape) {
  return {
    description: input.ReplicationGroupDescription,
    clusterMode: shape.clusterEnabled ? ('enabled' as const) : ('disabled' as const),
    clusterEnabled: shape.clusterEnabled,
    automaticFailover: shape.automaticFailover,
    multiAz: shape.multiAz,
  };
}

/** The cluster that PrimaryClusterId names: it becomes the group's primary, with its data. */
async function clusterToAdopt(
  { database }: ControlContext,
  input: CreateRequest,
): Promise<CacheCluster | undefined> {
  if (input.PrimaryClusterId === undefined) return undefined;
  const id = input.PrimaryClusterId.toLowerCase();
  const cluster = await readCacheCluster(database, id);
  if (cluster === undefined)
    throw serviceError('CacheClusterNotFoundFault', `Cache cluster ${id} not found.`);
  if (cluster.status !== 'available') {
    throw serviceError('InvalidCacheClusterStateFault', `Cache cluster ${id} is ${cluster.status}.`);
  }
  if (!engineTraits[cluster.intent.engine].replicates) {
    throw invalidCombination(`${engineTraits[cluster.intent.engine].title} has no replication.`);
  }
  const own = [
    'Engine',
    'EngineVersion',
    'CacheNodeType',
    'Port',
    'NumNodeGroups',
    'NodeGroupConfiguration',
  ] as const;
  const surplus = own.find((name) => input[name] !== undefined);
  if (surplus !== undefined)
    throw invalidCombination(`With PrimaryClusterId, ${surplus} is the cluster's own.`);
  return cluster;
}

function adoptedIntent(cluster: CacheCluster, input: CreateRequest, shape: Shape): ReplicationGroupIntent {
  return { ...serviceIntentOf(cluster.intent), ...shapeIntent(input, shape), userGroupIds: [] };
}

/** The cluster's node becomes the first member; its own records go. */
async function adopt(
  transaction: DatabaseTransaction,
  groupId: string,
  placed: NodeGroup,
  cluster: CacheCluster,
): Promise<NodeGroup> {
  const node = cluster.nodes[0]!;
  await deleteCacheCluster(transaction, cluster.id);
  await passAddress(transaction, node.address, {
    resource: 'replication-group',
    owner: `${groupId}/${cluster.id}`,
  });
  const first: Member = {
    id: cluster.id,
    zone: node.zone,
    host: node.host,
    address: node.address,
    status: 'available',
    generation: node.generation,
    parameterStatus: node.parameterStatus,
    createdAtMs: node.createdAtMs,
    recovering: false,
  };
  return { ...placed, primary: cluster.id, members: [first, ...placed.members.slice(1)] };
}

function refuseUnsupported(input: CreateRequest): void {
  refuseNotYet({
    GlobalReplicationGroupId: input.GlobalReplicationGroupId,
    ServerlessCacheSnapshotName: input.ServerlessCacheSnapshotName,
  });
}

async function refuseTaken(
  transaction: DatabaseTransaction,
  id: string,
  shape: Shape,
  adopted: string | undefined,
): Promise<void> {
  if ((await readReplicationGroup(transaction, id)) !== undefined) {
    throw serviceError(
      'ReplicationGroupAlreadyExistsFault',
      `Replication group with specified id already exists: ${id}.`,
    );
  }
  const members = shape.nodeGroups
    .flatMap(({ memberZones, index: shardIndex }) =>
      memberZones.map((_, index) => memberIdOf(id, shape.clusterEnabled, shardIndex, index)),
    )
    .filter((member) => adopted === undefined || member !== firstMember(id));
  const taken =
    (await transaction
      .selectFrom('cache_cluster')
      .select('id')
      .where('id', 'in', members)
      .executeTakeFirst()) ??
    (await transaction.selectFrom('member').select('id').where('id', 'in', members).executeTakeFirst());
  if (taken === undefined) return;
  throw serviceError(
    'InvalidParameterValueException',
    `The group's members would be named like cache cluster ${taken.id}, which exists.`,
  );
}

function seatsOf(id: string, nodeGroups: readonly ShapedNodeGroup[], clusterEnabled: boolean): Seat[] {
  const endpoints = clusterEnabled ? [`${id}/configuration`] : [`${id}/primary`, `${id}/reader`];
  const members = nodeGroups.flatMap((nodeGroup, shardIndex) =>
    nodeGroup.memberZones.map((zone, index) => ({
      owner: `${id}/${memberIdOf(id, clusterEnabled, shardIndex, index)}`,
      zone,
      copyOf: String(shardIndex),
    })),
  );
  return [...endpoints.map((owner) => ({ owner })), ...members];
}

/** The adopted cluster's node has its place; the others are best elsewhere. */
function seatsBeside(adopted: CacheCluster, id: string, seats: readonly Seat[]): Seat[] {
  const apartFrom = adopted.nodes.map(({ host }) => host);
  return seats
    .filter(({ owner }) => owner !== `${id}/${firstMember(id)}`)
    .map((seat) => (seat.zone === undefined ? seat : { ...seat, apartFrom }));
}

function firstMember(groupId: string): string {
  return memberClusterId(groupId, 1);
}

function memberIdOf(
  groupId: string,
  clusterEnabled: boolean,
  shardIndex: number,
  memberIndex: number,
): string {
  return memberClusterId(
    groupId,
    memberIndex + 1,
    clusterEnabled ? nodeGroupIdOf(shardIndex + 1) : undefined,
  );
}

function placeNodeGroup(
  groupId: string,
  shaped: BeginningNodeGroup,
  places: ReadonlyMap<string, Place>,
  clusterEnabled: boolean,
  createdAtMs: number,
): NodeGroup {
  const members = shaped.memberZones.map((zone, index) => {
    const id = memberIdOf(groupId, clusterEnabled, shaped.index, index);
    return newMember(id, zone, places.get(`${groupId}/${id}`)!, createdAtMs);
  });
  return {
    id: nodeGroupIdOf(shaped.index + 1),
    slots: shaped.slots,
    primary: members[0]!.id,
    formed: false,
    members,
    ...(shaped.resharding !== undefined && { resharding: shaped.resharding }),
    ...(!clusterEnabled && {
      primaryAddress: places.get(`${groupId}/primary`)!.address,
      readerAddress: places.get(`${groupId}/reader`)!.address,
    }),
  };
}

export function newMember(id: string, zone: string, { host, address }: Place, createdAtMs: number): Member {
  return {
    id,
    zone,
    host,
    address,
    status: 'creating',
    generation: 1,
    parameterStatus: 'in-sync',
    createdAtMs,
    recovering: false,
  };
}
