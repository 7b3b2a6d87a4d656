/** The nouns of a replication group: what was asked, what was decided. What is seen is fleet's NodeObservation. */
import type { EngineName } from '@larder/engine/engine';
import type { SlotRange } from '@larder/engine/slots';
import type { NodeSpec } from '@larder/fleet/node-spec';

/** What the user asked for, as checked and completed. Written by requests only; read back as it was sent. */
export interface ReplicationGroupIntent {
  readonly description: string;
  readonly engine: EngineName;
  /** A whole version of the engine store. */
  readonly engineVersion: string;
  readonly nodeType: string;
  readonly port: number;
  readonly clusterEnabled: boolean;
  readonly automaticFailover: boolean;
  readonly multiAz: boolean;
  readonly autoMinorVersionUpgrade: boolean;
  readonly preferredMaintenanceWindow: string;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
}

export const replicationGroupStatuses = ['creating', 'available', 'deleting', 'create-failed'] as const;
export type ReplicationGroupStatus = (typeof replicationGroupStatuses)[number];
export type MemberStatus = 'creating' | 'available' | 'deleting';

export interface ReplicationGroup {
  readonly id: string;
  readonly intent: ReplicationGroupIntent;
  readonly status: ReplicationGroupStatus;
  readonly epoch: number;
  readonly createdAtMs: number;
  /** Only with cluster mode. */
  readonly configurationAddress?: string;
  readonly nodeGroups: readonly NodeGroup[];
}

export interface NodeGroup {
  /** `0001`, ... */
  readonly id: string;
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
  readonly members: readonly Member[];
}

export interface Member {
  /** Its cache cluster id, `shop-001`. */
  readonly id: string;
  readonly zone: string;
  readonly address: string;
  readonly status: MemberStatus;
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

/** Everything a host needs to run the member. */
export function nodeSpec(
  group: ReplicationGroup,
  member: Member,
  maxmemoryBytes: number,
  start: { readonly replicaOf?: Member; readonly endpointAddresses: readonly string[] },
): NodeSpec {
  const { intent } = group;
  return {
    nodeId: nodeIdOf(member),
    version: intent.engineVersion,
    settings: {
      engine: intent.engine,
      address: member.address,
      port: intent.port,
      endpointAddresses: start.endpointAddresses,
      maxmemoryBytes,
      clusterEnabled: intent.clusterEnabled,
      ...(start.replicaOf !== undefined && {
        replicaOf: { address: start.replicaOf.address, port: intent.port },
      }),
    },
  };
}
