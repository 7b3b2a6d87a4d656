/** ModifyReplicationGroupShardConfiguration: more shards, fewer, or the same with slots spread anew. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { memberClusterId, nodeGroupId, nodeGroupIdOf } from '@larder/contract/ids';
import { movesWholeSlots } from '@larder/engine/engine';
import { nodeTypes } from '@larder/engine/node-type';
import { countSlots, withoutSlots } from '@larder/engine/slots';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { nodeZones } from '../placement/node-zones.ts';
import { spreadZone } from '../placement/zones.ts';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import { memberOf, membersOf, type NodeGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import { newMember, notFound, wrongState } from './requests.ts';
import { setResharding } from './reshard-store.ts';
import { targetSlots } from './reshard-targets.ts';
import { checkZones, mostNodes } from './shape.ts';
import { nextStatus } from './status.ts';
import { changeStatus, insertNodeGroup, readReplicationGroup } from './store.ts';

type Request = Input<'ModifyReplicationGroupShardConfiguration'>;

/** What stays when shards go must have room for what they hold, and for writes meanwhile. */
const roomFactor = 1.5;

/**
 * Writes down which slots every shard is to have. Shards that are to go stay until they have none.
 * @throws ServiceError ReplicationGroupNotFoundFault, InvalidReplicationGroupState,
 *   NodeGroupsPerReplicationGroupQuotaExceededFault, InsufficientCacheClusterCapacityFault, …
 */
export async function modifyShardConfiguration(
  context: ControlContext,
  region: string,
  input: Request,
): Promise<ReplicationGroup> {
  const id = input.ReplicationGroupId.toLowerCase();
  if (input.ApplyImmediately !== true)
    throw invalidValue('ApplyImmediately must be true: shards change at once.');
  const current = await readReplicationGroup(context.database, id);
  if (current === undefined) throw notFound(id);
  refuseUnmovable(current);
  await refuseTooFull(context, current, leavingShards(current, input));

  const after = await context.database.transaction().execute(async (transaction) => {
    const group = (await readReplicationGroup(transaction, id)) ?? current;
    const status = nextStatus(group.status, 'modify-requested');
    if (status === 'refuse' || status === 'stay') throw wrongState(group, "can't change its shards now");
    const leaving = leavingShards(group, input);
    const added = await addedShards(context, transaction, region, group, input);
    const staying = [...group.nodeGroups.filter((each) => !leaving.includes(each.id)), ...added];
    const targets = targetSlots(
      new Map(group.nodeGroups.map((each) => [each.id, each.slots])),
      staying.map((each) => each.id),
    );
    for (const nodeGroup of added) await insertNodeGroup(transaction, id, nodeGroup);
    for (const nodeGroup of [...group.nodeGroups, ...added]) {
      const slots = targets.get(nodeGroup.id)!;
      await setResharding(transaction, id, nodeGroup.id, {
        slots,
        gains: countSlots(withoutSlots(slots, nodeGroup.slots)),
        leaving: leaving.includes(nodeGroup.id),
      });
    }
    await changeStatus(transaction, id, { from: group.status, to: status });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: `Resharding replication group ${id} from ${group.nodeGroups.length} to ${staying.length} node groups`,
    });
    return (await readReplicationGroup(transaction, id))!;
  });
  context.wake('replication-group', id);
  return after;
}

/** Key by key the nodes talk as they do among themselves; after some changes of encryption they no longer can. */
function refuseUnmovable({ id, intent }: ReplicationGroup): void {
  if (!intent.clusterEnabled) {
    throw invalidCombination(
      `Replication group ${id} has no cluster mode, so it has one shard and no slots to move.`,
    );
  }
  const { transit, busEncrypted, engine, engineVersion } = intent;
  const reachable = busEncrypted ? transit !== 'none' : transit !== 'required';
  if (reachable || movesWholeSlots(engine, engineVersion)) return;
  throw invalidCombination(
    `The shards of ${id} can't move slots since its encryption in transit was changed after it was made; set TransitEncryptionMode preferred first.`,
  );
}

/** @returns ids of the shards that are to go. */
function leavingShards(group: ReplicationGroup, input: Request): string[] {
  const { NodeGroupCount: count, NodeGroupsToRemove: remove, NodeGroupsToRetain: retain } = input;
  const present = group.nodeGroups.map(({ id }) => id);
  if (count < 1) throw invalidValue(`NodeGroupCount must be at least 1; it is ${count}.`);
  const removes = (remove ?? []).length > 0;
  const retains = (retain ?? []).length > 0;
  if (count >= present.length) {
    if (removes || retains) {
      throw invalidCombination(
        `NodeGroupsToRemove and NodeGroupsToRetain need a NodeGroupCount below that of today, ${present.length}.`,
      );
    }
    return [];
  }
  if (removes === retains) {
    throw invalidCombination('Fewer shards need NodeGroupsToRemove or NodeGroupsToRetain, and not both.');
  }
  const named = (removes ? remove! : retain!).map(nodeGroupId);
  if (new Set(named).size !== named.length) throw invalidCombination('A node group is named twice.');
  const stranger = named.find((id) => !present.includes(id));
  if (stranger !== undefined)
    throw invalidValue(`Replication group ${group.id} has no node group ${stranger}.`);
  const leaving = present.filter((id) => named.includes(id) === removes);
  if (present.length - leaving.length === count) return leaving;
  throw invalidCombination(
    `NodeGroupCount is ${count}, but ${present.length - leaving.length} of ${present.length} node groups would stay.`,
  );
}

async function refuseTooFull(
  { host }: Pick<ControlContext, 'host'>,
  group: ReplicationGroup,
  leaving: readonly string[],
): Promise<void> {
  if (leaving.length === 0) return;
  const primaries = group.nodeGroups.map((each) => ({
    nodeId: nodeIdOf(memberOf(each, each.primary)),
    leaves: leaving.includes(each.id),
  }));
  const seen = await host.observe(primaries.map(({ nodeId }) => nodeId));
  const room = nodeTypes.get(group.intent.nodeType)!.maxmemoryBytes;
  let leavingBytes = 0;
  let freeBytes = 0;
  for (const { nodeId, leaves } of primaries) {
    const used = seen.get(nodeId)?.engine?.info.usedMemoryBytes;
    if (used === undefined)
      throw wrongState(group, `can't change its shards while ${nodeId} does not answer`);
    if (leaves) leavingBytes += used;
    else freeBytes += Math.max(0, room - used);
  }
  if (freeBytes >= roomFactor * leavingBytes) return;
  throw invalidCombination(
    `The shards that stay have ${freeBytes} bytes free; those that go hold ${leavingBytes}, and ${roomFactor} times as much is needed.`,
  );
}

async function addedShards(
  context: ControlContext,
  transaction: DatabaseTransaction,
  region: string,
  group: ReplicationGroup,
  input: Request,
): Promise<NodeGroup[]> {
  const count = input.NodeGroupCount - group.nodeGroups.length;
  if (count <= 0) {
    if ((input.ReshardingConfiguration ?? []).length > 0) {
      throw invalidCombination('ReshardingConfiguration needs a NodeGroupCount above that of today.');
    }
    return [];
  }
  const size = Math.min(...group.nodeGroups.map(({ members }) => members.length));
  if (count > mostNodes || membersOf(group).length + count * size > mostNodes) {
    throw serviceError(
      'NodeGroupsPerReplicationGroupQuotaExceededFault',
      `${count} more shards of ${size} nodes are too many; a group may have at most ${mostNodes} nodes.`,
    );
  }
  const last = Math.max(...group.nodeGroups.map(({ id }) => Number(id)));
  const ids = Array.from({ length: count }, (_, index) => nodeGroupIdOf(last + 1 + index));
  const known = await nodeZones(context, transaction, region, group.intent.subnetGroup);
  const zones = zonesByShard(group, ids, size, known, input);
  const members = new Map(
    ids.map((shard) => [shard, zones.get(shard)!.map((_, at) => memberClusterId(group.id, at + 1, shard))]),
  );
  await refuseTaken(transaction, [...members.values()].flat());
  const places = await context.placement.take(transaction, {
    port: group.intent.port,
    resource: 'replication-group',
    seats: ids.flatMap((shard) =>
      members.get(shard)!.map((member, at) => ({
        owner: `${group.id}/${member}`,
        zone: zones.get(shard)![at]!,
        copyOf: shard,
      })),
    ),
  });
  const atMs = context.nowMs();
  return ids.map((shard) => {
    const own = members.get(shard)!;
    return {
      id: shard,
      slots: [],
      primary: own[0]!,
      formed: false,
      members: own.map((member, at) =>
        newMember(member, zones.get(shard)![at]!, places.get(`${group.id}/${member}`)!, atMs),
      ),
    };
  });
}

/** A list for every new shard, the primary's zone first. Shards that exist may be named, with the zones they have. */
function zonesByShard(
  group: ReplicationGroup,
  added: readonly string[],
  size: number,
  known: readonly string[],
  input: Request,
): Map<string, readonly string[]> {
  const given = new Map<string, readonly string[]>();
  const unnamed = [...added];
  for (const {
    NodeGroupId: named,
    PreferredAvailabilityZones: zones = [],
  } of input.ReshardingConfiguration ?? []) {
    const shard = named === undefined ? unnamed.find((id) => !given.has(id)) : nodeGroupId(named);
    if (shard === undefined || given.has(shard)) {
      throw invalidCombination(
        'ReshardingConfiguration describes a node group twice, or more than there are to be.',
      );
    }
    const present = group.nodeGroups.find(({ id }) => id === shard);
    if (present === undefined && !added.includes(shard)) {
      throw invalidValue(
        `ReshardingConfiguration names ${shard}; the new node groups are ${added.join(', ')}.`,
      );
    }
    checkZones(zones, known);
    const its = present?.members.map(({ zone }) => zone);
    if (its !== undefined && [...zones].sort().join() !== its.sort().join()) {
      throw invalidCombination(
        `Node group ${shard} is in ${its.join(', ')} and is not moved to other zones.`,
      );
    }
    if (its === undefined && zones.length !== size) {
      throw invalidCombination(
        `${zones.length} availability zones were given for the ${size} nodes of ${shard}.`,
      );
    }
    given.set(shard, zones);
  }
  return new Map(
    added.map((shard) => [
      shard,
      given.get(shard) ?? Array.from({ length: size }, (_, at) => spreadZone(known, Number(shard) - 1, at)),
    ]),
  );
}

async function refuseTaken(transaction: DatabaseTransaction, members: readonly string[]): Promise<void> {
  const find = (table: 'cache_cluster' | 'member') =>
    transaction.selectFrom(table).select('id').where('id', 'in', members).executeTakeFirst();
  const taken = (await find('cache_cluster')) ?? (await find('member'));
  if (taken === undefined) return;
  throw invalidValue(`A new member would be named like cache cluster ${taken.id}, which exists.`);
}
