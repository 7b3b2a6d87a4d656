/** The nouns of a replication group: what was asked, what was decided. What is seen is fleet's NodeObservation. */
import type { SlotRange } from '@larder/engine/slots';
import type { Ports } from '@larder/fleet/host';
import type { NodeSpec } from '@larder/fleet/node-spec';
import type { PendingChange, ServiceIntent } from '../node/service-intent.ts';
import type { ParameterStatus, WantedNode } from '../node/wanted-node.ts';

/** What the user asked for, as checked and completed. Written by requests only; read back as it was sent. */
export interface ReplicationGroupIntent extends ServiceIntent {
  readonly description: string;
  readonly clusterMode: ClusterMode;
  /** The engines run with cluster mode: `compatible` or `enabled`. */
  readonly clusterEnabled: boolean;
  readonly automaticFailover: boolean;
  readonly multiAz: boolean;
  readonly userGroupIds: readonly string[];
  /** A rollout of a version was stopped: nodes stay what they are. */
  readonly holdsVersions?: boolean;
  /** The member whose automatic snapshots are taken; only without cluster mode. */
  readonly snapshottingClusterId?: string;
}

export type ClusterMode = 'disabled' | 'compatible' | 'enabled';

export const replicationGroupStatuses = [
  'creating',
  'available',
  'modifying',
  'snapshotting',
  'migrating',
  'deleting',
  'create-failed',
] as const;
export type ReplicationGroupStatus = (typeof replicationGroupStatuses)[number];
export type MemberStatus = 'creating' | 'available' | 'deleting';

export interface ReplicationGroup {
  readonly id: string;
  readonly intent: ReplicationGroupIntent;
  /** Accepted changes that wait for the maintenance window. */
  readonly pending?: PendingChange;
  readonly status: ReplicationGroupStatus;
  readonly epoch: number;
  readonly createdAtMs: number;
  /** Deleted, but for its primary, which lives on as a cache cluster. */
  readonly retainPrimary: boolean;
  /** The snapshot that its deletion waits for. */
  readonly finalSnapshot?: string | undefined;
  /** `digestUsers` of the user groups' users that every node was last seen with. */
  readonly usersDigest?: string;
  /** Its data comes from a node that is not ours; only while it is `migrating`. */
  readonly migration?: Migration;
  /** Only with cluster mode. */
  readonly configurationAddress?: string;
  readonly nodeGroups: readonly NodeGroup[];
}

export interface NodeGroup {
  /** `0001`, ... */
  readonly id: string;
  /** Those it was last seen with; before it was formed, those it is to get. */
  readonly slots: readonly SlotRange[];
  /** Id of the member decided to be the primary. */
  readonly primary: string;
  /** The primary endpoint; only without cluster mode. */
  readonly primaryAddress?: string;
  readonly readerAddress?: string;
  /** Every member was in sync once. Before that, a node without a process was simply not started yet. */
  readonly formed: boolean;
  /** The replication id the primary was last seen with: copies of another history are not promoted. */
  readonly lineage?: string;
  /** The primary is to hand its role over: to this member, or when none is named to the best one. */
  readonly handover?: Handover;
  /** The group's slots are on their way: set for all of its shards, or for none. */
  readonly resharding?: Resharding;
  readonly members: readonly Member[];
}

export interface Resharding {
  /** What the shard is to have at the end; nothing when it is to go. */
  readonly slots: readonly SlotRange[];
  /** How many of them it did not have when it was asked for. */
  readonly gains: number;
  /** It is removed once it has no slots. */
  readonly leaving: boolean;
}

/** The group's primary is a replica of a node of somebody else's. */
export interface Migration {
  readonly source: { readonly address: string; readonly port: number };
  /** It is to end: when everything has arrived, or with what there is. */
  readonly completing?: 'in-sync' | 'at-once';
  /** The primary was last seen with a whole copy, and following. */
  readonly inSync: boolean;
}

export interface Handover {
  readonly from: string;
  readonly to?: string;
}

export interface Member {
  /** Its cache cluster id, `shop-001`. */
  readonly id: string;
  readonly zone: string;
  /** The name of the host it stands on. */
  readonly host: string;
  readonly address: string;
  readonly status: MemberStatus;
  /** Its process is to be of this generation; an older one is started anew. */
  readonly generation: number;
  readonly parameterStatus: ParameterStatus;
  readonly createdAtMs: number;
  /** Its process was started anew after it served, and it is not in sync again yet. */
  readonly recovering: boolean;
}

/** A replication group's members are clusters of one node, numbered `0001`. */
export function nodeIdOf(member: Pick<Member, 'id'>): string {
  return `${member.id}.0001`;
}

export function membersOf(group: ReplicationGroup): Member[] {
  return group.nodeGroups.flatMap((nodeGroup) => nodeGroup.members);
}

export function memberOf(nodeGroup: NodeGroup, id: string): Member {
  const member = nodeGroup.members.find((each) => each.id === id);
  if (member === undefined) throw new Error(`Node group ${nodeGroup.id} has no member ${id}.`);
  return member;
}

export function memberOfGroup(group: ReplicationGroup, id: string): Member {
  const member = membersOf(group).find((each) => each.id === id);
  if (member === undefined) throw new Error(`${group.id} has no member ${id}.`);
  return member;
}

/** Everything a host needs to run the member. */
export function nodeSpec(
  group: ReplicationGroup,
  member: Member,
  wanted: WantedNode,
  start: { readonly replicaOf?: Member; readonly endpointAddresses: readonly string[] },
): NodeSpec {
  const { intent } = group;
  return {
    nodeId: nodeIdOf(member),
    version: intent.engineVersion,
    generation: member.generation,
    certificateAddresses: certificateAddresses(group),
    settings: {
      engine: intent.engine,
      address: member.address,
      port: intent.port,
      plainPort: wanted.plainPort,
      tlsPort: wanted.tlsPort,
      busEncrypted: intent.busEncrypted,
      endpointAddresses: start.endpointAddresses,
      maxmemoryBytes: wanted.maxmemoryBytes,
      maxConnections: wanted.maxConnections,
      clusterEnabled: intent.clusterEnabled,
      forming: group.nodeGroups.some(({ formed }) => !formed),
      encryptedAtRest: intent.atRestEncryption,
      parameters: wanted.parameters,
      users: wanted.users,
      replication: wanted.replication,
      ...(start.replicaOf !== undefined && {
        replicaOf: { address: start.replicaOf.address, port: replicationPort(wanted) },
      }),
    },
  };
}

/** Where a replica reaches its primary. */
export function replicationPort({ plainPort, tlsPort }: Ports): number {
  return plainPort === 0 ? tlsPort : plainPort;
}

/** Any member may come to hold an endpoint, so each one's certificate names them all. */
export function certificateAddresses(group: ReplicationGroup): string[] {
  const endpoints = group.nodeGroups.flatMap(({ primaryAddress, readerAddress }) => [
    primaryAddress,
    readerAddress,
  ]);
  return [group.configurationAddress, ...endpoints].filter((each) => each !== undefined);
}
