/** (pure) How many shards and members a request asks for, which slots and zones they get, and what is refused. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { nodeGroupId, nodeGroupIdOf } from '@larder/contract/ids';
import { parseSlots, type SlotRange, splitEvenly, tileAllSlots } from '@larder/engine/slots';
import { spreadZone } from '../placement/zones.ts';
import { refuseNotYet } from '../request/not-yet.ts';
import { invalidCombination, invalidValue } from '../request/refusals.ts';

export interface ShapedNodeGroup {
  /** From 0. */
  readonly index: number;
  readonly slots: readonly SlotRange[];
  /** One per member, the primary's first. */
  readonly memberZones: readonly string[];
}

export interface Shape {
  readonly clusterEnabled: boolean;
  readonly automaticFailover: boolean;
  readonly multiAz: boolean;
  readonly nodeGroups: readonly ShapedNodeGroup[];
}

export const mostReplicas = 5;
export const mostMembers = 6;
/** ElastiCache's default quota of nodes for one cluster. */
export const mostNodes = 90;

type Request = Input<'CreateReplicationGroup'>;
type Configuration = NonNullable<Request['NodeGroupConfiguration']>[number];

/**
 * @param zones where members may be placed.
 * @param options.wantsClusterMode the parameter group of the request is one for cluster mode.
 * @throws ServiceError
 */
export function planShape(
  input: Request,
  zones: readonly string[],
  { wantsClusterMode = false } = {},
): Shape {
  const configurations = input.NodeGroupConfiguration ?? [];
  for (const configuration of configurations) refuseHalfPlaced(configuration);
  const clusterEnabled = isClusterEnabled(input, configurations, wantsClusterMode);
  const nodeGroups = clusterEnabled
    ? shapeCluster(input, configurations, zones)
    : [shapeReplicated(input, configurations, zones)];
  refuseManyNodes(nodeGroups);
  const replicas = Math.min(...nodeGroups.map(({ memberZones }) => memberZones.length - 1));
  return { clusterEnabled, nodeGroups, ...failoverFlags(input, clusterEnabled, replicas) };
}

/** @throws ServiceError NodeQuotaForClusterExceededFault */
export function refuseManyNodes(nodeGroups: readonly Pick<ShapedNodeGroup, 'memberZones'>[]): void {
  const nodes = nodeGroups.reduce((sum, { memberZones }) => sum + memberZones.length, 0);
  if (nodes <= mostNodes) return;
  throw serviceError(
    'NodeQuotaForClusterExceededFault',
    `The group would have ${nodes} nodes; at most ${mostNodes} are allowed.`,
  );
}

/** With several shards, or when asked for; `compatible` is for groups on their way. */
function isClusterEnabled(
  input: Request,
  configurations: readonly Configuration[],
  wantsClusterMode: boolean,
): boolean {
  if (!['disabled', 'enabled', undefined].includes(input.ClusterMode)) {
    throw invalidCombination(
      'A new group has ClusterMode disabled or enabled; compatible is for groups on their way.',
    );
  }
  const shards = input.NumNodeGroups ?? Math.max(1, configurations.length);
  if (shards < 1) throw invalidValue(`NumNodeGroups must be between 1 and ${mostNodes}; it is ${shards}.`);
  const wanted = input.ClusterMode === 'enabled' || wantsClusterMode || shards > 1;
  if (wanted && input.ClusterMode === 'disabled') {
    throw invalidCombination('Several node groups need cluster mode; ClusterMode says disabled.');
  }
  return wanted;
}

function failoverFlags(
  input: Request,
  clusterEnabled: boolean,
  replicas: number,
): Pick<Shape, 'automaticFailover' | 'multiAz'> {
  if (clusterEnabled && input.AutomaticFailoverEnabled === false) {
    throw invalidCombination('Cluster mode needs AutomaticFailoverEnabled.');
  }
  const automaticFailover = clusterEnabled || (input.AutomaticFailoverEnabled ?? false);
  if (!clusterEnabled && automaticFailover && replicas < 1) {
    throw invalidCombination('AutomaticFailoverEnabled needs at least one replica.');
  }
  const multiAz = input.MultiAZEnabled ?? false;
  if (multiAz && (!automaticFailover || replicas < 1)) {
    throw invalidCombination(
      'MultiAZEnabled needs AutomaticFailoverEnabled and at least one replica in every shard.',
    );
  }
  return { automaticFailover, multiAz };
}

function shapeReplicated(
  input: Request,
  configurations: readonly Configuration[],
  known: readonly string[],
): ShapedNodeGroup {
  if (configurations.length > 1) {
    throw invalidCombination(
      `NumNodeGroups is 1 but NodeGroupConfiguration describes ${configurations.length} node groups.`,
    );
  }
  const configuration = orderByNodeGroupId(configurations)[0];
  if (configuration?.Slots !== undefined) throw invalidCombination('Slots need cluster mode.');
  if (input.NumCacheClusters !== undefined && input.ReplicasPerNodeGroup !== undefined) {
    throw invalidCombination('Give NumCacheClusters or ReplicasPerNodeGroup, not both.');
  }
  if (input.NumCacheClusters !== undefined && configuration?.ReplicaCount !== undefined) {
    throw invalidCombination('Give NumCacheClusters or a ReplicaCount, not both.');
  }
  const count =
    input.NumCacheClusters ??
    1 +
      (configuration?.ReplicaCount ??
        input.ReplicasPerNodeGroup ??
        zonesFromConfiguration(configuration) ??
        0);
  if (count < 1 || count > mostMembers) {
    throw invalidValue(
      `A group has 1 primary and at most ${mostReplicas} replicas; ${count} cache clusters were asked for.`,
    );
  }
  const zones = input.PreferredCacheClusterAZs ?? configuredZones(configuration);
  return { index: 0, slots: splitEvenly(1), memberZones: placeZones(zones, count, 0, known) };
}

function shapeCluster(
  input: Request,
  configurations: readonly Configuration[],
  known: readonly string[],
): ShapedNodeGroup[] {
  if (input.NumCacheClusters !== undefined) {
    throw invalidCombination(
      'With cluster mode use NumNodeGroups and ReplicasPerNodeGroup instead of NumCacheClusters.',
    );
  }
  if (input.PreferredCacheClusterAZs !== undefined && input.PreferredCacheClusterAZs.length > 0) {
    throw invalidCombination('With cluster mode zones belong in NodeGroupConfiguration.');
  }
  const count = input.NumNodeGroups ?? Math.max(1, configurations.length);
  if (count < 1 || count > mostNodes)
    throw invalidValue(`NumNodeGroups must be between 1 and ${mostNodes}; it is ${count}.`);
  if (configurations.length > 0 && configurations.length !== count) {
    throw invalidCombination(
      `NumNodeGroups is ${count} but NodeGroupConfiguration describes ${configurations.length}.`,
    );
  }
  const ordered = orderByNodeGroupId(configurations);
  const slots = chosenSlots(ordered, count);
  return Array.from({ length: count }, (_, index) => {
    const configuration = ordered[index];
    const replicas =
      configuration?.ReplicaCount ?? zonesFromConfiguration(configuration) ?? input.ReplicasPerNodeGroup ?? 0;
    if (replicas < 0 || replicas > mostReplicas) {
      throw invalidValue(`A shard has 0 to ${mostReplicas} replicas; ${replicas} were asked for.`);
    }
    return {
      index,
      slots: slots[index]!,
      memberZones: placeZones(configuredZones(configuration), replicas + 1, index, known),
    };
  });
}

function orderByNodeGroupId(configurations: readonly Configuration[]): readonly Configuration[] {
  if (configurations.every(({ NodeGroupId }) => NodeGroupId === undefined)) return configurations;
  const byId = new Map(
    configurations.map((each) => [each.NodeGroupId === undefined ? '' : nodeGroupId(each.NodeGroupId), each]),
  );
  return configurations.map((_, index) => {
    const found = byId.get(nodeGroupIdOf(index + 1));
    if (found === undefined)
      throw invalidValue('NodeGroupIds must be 0001, 0002 and so on, each given once.');
    return found;
  });
}

function chosenSlots(
  configurations: readonly Configuration[],
  count: number,
): readonly (readonly SlotRange[])[] {
  const given = configurations.filter(({ Slots }) => Slots !== undefined);
  if (given.length === 0) return splitEvenly(count).map((range) => [range]);
  const shards = configurations.map(({ Slots }) => {
    const parsed = Slots === undefined ? undefined : parseSlots(Slots);
    if (parsed === undefined) {
      throw invalidValue('Slots must be given for every node group, as in "0-5460,8000", from 0 to 16383.');
    }
    return parsed;
  });
  if (!tileAllSlots(shards))
    throw invalidValue('The Slots of all node groups must cover 0 to 16383, each slot once.');
  return shards;
}

function zonesFromConfiguration(configuration: Configuration | undefined): number | undefined {
  const zones = configuration?.ReplicaAvailabilityZones;
  return zones === undefined || zones.length === 0 ? undefined : zones.length;
}

/** What would be taken and not followed. */
function refuseHalfPlaced(configuration: Configuration): void {
  refuseNotYet({
    PrimaryOutpostArn: configuration.PrimaryOutpostArn,
    ReplicaOutpostArns: configuration.ReplicaOutpostArns,
  });
  if (
    configuration.PrimaryAvailabilityZone === undefined &&
    (configuration.ReplicaAvailabilityZones ?? []).length > 0
  ) {
    throw invalidCombination('ReplicaAvailabilityZones need a PrimaryAvailabilityZone beside them.');
  }
}

function configuredZones(configuration: Configuration | undefined): string[] | undefined {
  if (configuration?.PrimaryAvailabilityZone === undefined) return undefined;
  return [configuration.PrimaryAvailabilityZone, ...(configuration.ReplicaAvailabilityZones ?? [])];
}

function placeZones(
  wanted: readonly string[] | undefined,
  count: number,
  shardIndex: number,
  known: readonly string[],
): string[] {
  if (wanted === undefined || wanted.length === 0) {
    return Array.from({ length: count }, (_, index) => spreadZone(known, shardIndex, index));
  }
  if (wanted.length !== count) {
    throw invalidCombination(`${wanted.length} availability zones were given for ${count} members.`);
  }
  checkZones(wanted, known);
  return [...wanted];
}

/** @throws ServiceError InvalidParameterValue for a zone that is none of `known`. */
export function checkZones(wanted: readonly string[], known: readonly string[]): void {
  const wrong = wanted.find((zone) => !known.includes(zone));
  if (wrong === undefined) return;
  throw invalidValue(
    `Nothing can be placed in availability zone ${wrong.slice(0, 60)}; there are ${known.join(', ')}.`,
  );
}
