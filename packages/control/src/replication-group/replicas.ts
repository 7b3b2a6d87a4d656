/** IncreaseReplicaCount, DecreaseReplicaCount, and single members that come and go as cache clusters. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { memberClusterId, nodeGroupId } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { nodeZones } from '../placement/node-zones.ts';
import { emptiestZone } from '../placement/zones.ts';
import { invalidCombination } from '../request/refusals.ts';
import { type Member, membersOf, type NodeGroup, type ReplicationGroup } from './replication-group.ts';
import { newMember, notFound, wrongState } from './requests.ts';
import { checkZones, mostNodes, mostReplicas } from './shape.ts';
import { nextStatus } from './status.ts';
import {
  changeStatus,
  insertMembers,
  readReplicationGroup,
  restartMembers,
  setMemberStatus,
} from './store.ts';

type Increase = Input<'IncreaseReplicaCount'>;
type Decrease = Input<'DecreaseReplicaCount'>;
type ShardRequest = NonNullable<Increase['ReplicaConfiguration']>[number];

/** A shard and how many replicas it is to have. */
interface ShardTarget {
  readonly nodeGroup: NodeGroup;
  readonly replicas: number;
  /** One for each member, the primary's among them; empty when Larder chooses. */
  readonly zones: readonly string[];
}

/** @throws ServiceError ReplicationGroupNotFoundFault, InvalidReplicationGroupState, NoOperationFault, … */
export async function increaseReplicaCount(
  context: ControlContext,
  region: string,
  input: Increase,
): Promise<ReplicationGroup> {
  refuseLater(input.ApplyImmediately);
  return changeMembers(context, input.ReplicationGroupId, 'Increasing', async (transaction, group) => {
    const targets = readTargets(group, input);
    if (targets.some(({ nodeGroup, replicas }) => replicas < replicasOf(nodeGroup).length)) {
      throw invalidCombination(
        'IncreaseReplicaCount needs a count above that of today; use DecreaseReplicaCount.',
      );
    }
    const wanted = targets.reduce(
      (sum, { nodeGroup, replicas }) => sum + replicas - replicasOf(nodeGroup).length,
      0,
    );
    if (wanted === 0) throw noOperation();
    if (membersOf(group).length + wanted > mostNodes) {
      throw serviceError('NodeQuotaForClusterExceededFault', `A group may have at most ${mostNodes} nodes.`);
    }
    const known = await nodeZones(context, transaction, region, group.intent.subnetGroup);
    for (const target of targets) {
      checkZones(target.zones, known);
      const additions = chooseAdditions(group, target, known);
      if (additions.length > 0) await addMembers(context, transaction, group, target.nodeGroup, additions);
    }
  });
}

/** As increaseReplicaCount. Primaries never go; with AutomaticFailover or MultiAZ one replica stays. */
export async function decreaseReplicaCount(
  context: ControlContext,
  input: Decrease,
): Promise<ReplicationGroup> {
  refuseLater(input.ApplyImmediately);
  return changeMembers(context, input.ReplicationGroupId, 'Decreasing', async (transaction, group) => {
    const leaving = leavingMembers(group, input);
    if (leaving.length === 0) throw noOperation();
    for (const nodeGroup of group.nodeGroups) {
      const left = replicasOf(nodeGroup).filter(({ id }) => !leaving.includes(id)).length;
      if (left < fewestReplicas(group)) {
        throw invalidCombination(
          `AutomaticFailover and MultiAZ need a replica in every shard; ${nodeGroup.id} would have none.`,
        );
      }
    }
    await setMemberStatus(transaction, leaving, 'deleting');
  });
}

/** CreateCacheCluster with a ReplicationGroupId: one more replica, under the name asked for. */
export async function addReplica(
  context: ControlContext,
  region: string,
  input: Input<'CreateCacheCluster'>,
  id: string,
): Promise<ReplicationGroup> {
  return changeMembers(context, input.ReplicationGroupId!, 'Increasing', async (transaction, group) => {
    if (group.intent.clusterEnabled) {
      throw invalidCombination('With cluster mode replicas are added with IncreaseReplicaCount.');
    }
    const nodeGroup = group.nodeGroups[0]!;
    if (replicasOf(nodeGroup).length >= mostReplicas) throw tooManyReplicas();
    const known = await nodeZones(context, transaction, region, group.intent.subnetGroup);
    const zone =
      input.PreferredAvailabilityZone ??
      emptiestZone(
        known,
        nodeGroup.members.map((each) => each.zone),
      );
    checkZones([zone], known);
    await addMembers(context, transaction, group, nodeGroup, [{ id, zone }]);
  });
}

/** DeleteCacheCluster of a member. */
export async function removeReplica(
  context: ControlContext,
  groupId: string,
  id: string,
): Promise<ReplicationGroup> {
  return changeMembers(context, groupId, 'Decreasing', async (transaction, group) => {
    if (group.intent.clusterEnabled) {
      throw invalidCombination('With cluster mode replicas are removed with DecreaseReplicaCount.');
    }
    const nodeGroup = group.nodeGroups[0]!;
    if (nodeGroup.members.length === 1) {
      throw wrongCluster(id, `it is the only member of a replication group, ${groupId}`);
    }
    if (nodeGroup.primary === id) throw wrongCluster(id, `it is serving as primary for ${groupId}`);
    if (replicasOf(nodeGroup).length <= fewestReplicas(group)) {
      throw invalidCombination('AutomaticFailover and MultiAZ need a replica; turn them off first.');
    }
    await setMemberStatus(transaction, [id], 'deleting');
  });
}

/**
 * RebootCacheCluster of a member. A primary with a replica in sync hands its role over first, so that nothing is
 * lost; one without loses what it holds, as on ElastiCache.
 */
export async function rebootMember(
  context: ControlContext,
  groupId: string,
  id: string,
): Promise<ReplicationGroup> {
  return changeMembers(context, groupId, 'Rebooting', async (transaction, group) => {
    if (group.intent.clusterEnabled)
      throw invalidCombination("Nodes with cluster mode can't be rebooted one by one.");
    await restartMembers(transaction, [id]);
  });
}

async function changeMembers(
  context: ControlContext,
  groupId: string,
  verb: 'Increasing' | 'Decreasing' | 'Rebooting',
  change: (transaction: DatabaseTransaction, group: ReplicationGroup) => Promise<void>,
): Promise<ReplicationGroup> {
  const id = groupId.toLowerCase();
  const after = await context.database.transaction().execute(async (transaction) => {
    const group = await readReplicationGroup(transaction, id);
    if (group === undefined) throw notFound(id);
    const status = nextStatus(group.status, 'modify-requested');
    if (status === 'refuse' || status === 'stay') throw wrongState(group, "can't change its replicas now");
    await change(transaction, group);
    await changeStatus(transaction, id, { from: group.status, to: status });
    const event = {
      atMs: context.nowMs(),
      sourceType: 'replication-group' as const,
      sourceId: id,
      message:
        verb === 'Rebooting'
          ? `Rebooting a node of replication group ${id}`
          : `${verb} number of replicas of replication group ${id}`,
    };
    const notice = verb === 'Increasing' ? 'ReplicationGroupIncreaseReplicaCountStarted' : undefined;
    await recordEvent(transaction, event, notice);
    return (await readReplicationGroup(transaction, id))!;
  });
  context.wake('replication-group', id);
  return after;
}

function readTargets(group: ReplicationGroup, input: Increase | Decrease): ShardTarget[] {
  const { NewReplicaCount: count, ReplicaConfiguration: perShard } = input;
  if ((count === undefined) === (perShard === undefined || perShard.length === 0)) {
    throw invalidCombination('Give NewReplicaCount or ReplicaConfiguration, and not both.');
  }
  const targets =
    count === undefined
      ? perShard!.map((each) => readShardTarget(group, each))
      : group.nodeGroups.map((nodeGroup) => ({ nodeGroup, replicas: count, zones: [] }));
  const ids = targets.map(({ nodeGroup }) => nodeGroup.id);
  if (new Set(ids).size !== ids.length) throw invalidCombination('A node group is configured twice.');
  for (const { replicas } of targets) {
    if (replicas < 0 || replicas > mostReplicas) throw tooManyReplicas();
  }
  return targets;
}

function readShardTarget(group: ReplicationGroup, request: ShardRequest): ShardTarget {
  const id = nodeGroupId(request.NodeGroupId);
  const nodeGroup = group.nodeGroups.find((each) => each.id === id);
  if (nodeGroup === undefined) {
    throw serviceError(
      'InvalidParameterValueException',
      `Replication group ${group.id} has no node group ${id}.`,
    );
  }
  const zones = request.PreferredAvailabilityZones ?? [];
  if (zones.length > 0 && zones.length !== request.NewReplicaCount + 1) {
    throw invalidCombination(
      `PreferredAvailabilityZones needs ${request.NewReplicaCount + 1} zones, the primary's among them; got ${zones.length}.`,
    );
  }
  return { nodeGroup, replicas: request.NewReplicaCount, zones };
}

function chooseAdditions(
  group: ReplicationGroup,
  { nodeGroup, replicas, zones }: ShardTarget,
  known: readonly string[],
): { readonly id: string; readonly zone: string }[] {
  const taken = nodeGroup.members.map(({ zone }) => zone);
  // Of the zones asked for, those the present members don't fill.
  const open = [...zones];
  for (const zone of taken) {
    const at = open.indexOf(zone);
    if (at >= 0) open.splice(at, 1);
  }
  const ids = new Set(nodeGroup.members.map(({ id }) => id));
  return Array.from({ length: replicas - replicasOf(nodeGroup).length }, () => {
    const zone = open.shift() ?? emptiestZone(known, taken);
    taken.push(zone);
    const id = freeMemberId(group, nodeGroup, ids);
    ids.add(id);
    return { id, zone };
  });
}

function freeMemberId(group: ReplicationGroup, nodeGroup: NodeGroup, taken: ReadonlySet<string>): string {
  for (let ordinal = 1; ; ordinal += 1) {
    const id = memberClusterId(group.id, ordinal, group.intent.clusterEnabled ? nodeGroup.id : undefined);
    if (!taken.has(id)) return id;
  }
}

async function addMembers(
  context: ControlContext,
  transaction: DatabaseTransaction,
  group: ReplicationGroup,
  nodeGroup: NodeGroup,
  additions: readonly { readonly id: string; readonly zone: string }[],
): Promise<void> {
  const ids = additions.map(({ id }) => id);
  const taken =
    (await transaction.selectFrom('cache_cluster').select('id').where('id', 'in', ids).executeTakeFirst()) ??
    (await transaction.selectFrom('member').select('id').where('id', 'in', ids).executeTakeFirst());
  if (taken !== undefined) {
    throw serviceError('CacheClusterAlreadyExistsFault', `Cache cluster ${taken.id} already exists.`);
  }
  const places = await context.placement.take(transaction, {
    port: group.intent.port,
    resource: 'replication-group',
    seats: additions.map(({ id, zone }) => ({
      owner: `${group.id}/${id}`,
      zone,
      copyOf: nodeGroup.id,
      apartFrom: nodeGroup.members.map(({ host }) => host),
    })),
  });
  const members = additions.map(({ id, zone }) =>
    newMember(id, zone, places.get(`${group.id}/${id}`)!, context.nowMs()),
  );
  await insertMembers(transaction, group.id, nodeGroup.id, members);
  for (const { id, zone } of members) {
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'cache-cluster',
      sourceId: id,
      message: `Added cache node 0001 in availability zone ${zone}`,
    });
  }
}

function leavingMembers(group: ReplicationGroup, input: Decrease): string[] {
  const named = (input.ReplicasToRemove ?? []).map((id) => id.toLowerCase());
  if (named.length > 0) {
    for (const id of named) {
      const nodeGroup = group.nodeGroups.find(({ members }) => members.some((member) => member.id === id));
      if (nodeGroup === undefined) {
        throw serviceError(
          'InvalidParameterValueException',
          `${id} is not a member of replication group ${group.id}.`,
        );
      }
      if (nodeGroup.primary === id) throw wrongCluster(id, `it is serving as primary for ${group.id}`);
    }
    return [...new Set(named)];
  }
  return readTargets(group, input).flatMap(({ nodeGroup, replicas, zones }) => {
    const present = replicasOf(nodeGroup);
    if (replicas > present.length) {
      throw invalidCombination(
        'DecreaseReplicaCount needs a count below that of today; use IncreaseReplicaCount.',
      );
    }
    // Those in zones that are not to be kept go first, then the newest.
    const ranked = [...present].sort(
      (a, b) => Number(zones.includes(a.zone)) - Number(zones.includes(b.zone)) || (a.id < b.id ? 1 : -1),
    );
    return ranked.slice(0, present.length - replicas).map(({ id }) => id);
  });
}

function replicasOf(nodeGroup: NodeGroup): Member[] {
  return nodeGroup.members.filter(({ id, status }) => id !== nodeGroup.primary && status !== 'deleting');
}

function fewestReplicas({ intent }: ReplicationGroup): number {
  return !intent.clusterEnabled && (intent.automaticFailover || intent.multiAz) ? 1 : 0;
}

function refuseLater(applyImmediately: boolean): void {
  if (applyImmediately) return;
  throw serviceError(
    'InvalidParameterValueException',
    'ApplyImmediately=false is not supported for replica counts.',
  );
}

function wrongCluster(id: string, why: string) {
  return serviceError('InvalidCacheClusterStateFault', `Cache cluster ${id} can't be deleted: ${why}.`);
}

function tooManyReplicas() {
  return serviceError('InvalidParameterValueException', `A shard has 0 to ${mostReplicas} replicas.`);
}

function noOperation() {
  return serviceError('NoOperationFault', 'The replica counts are what they are asked to be already.');
}
