/** Groups and observations by the sentence, for tests of the planner. */
import type { ClusterPeer } from '@larder/engine/info';
import { splitEvenly } from '@larder/engine/slots';
import type { EngineObservation, Hang, NodeObservation, NodeProcess } from '@larder/fleet/host';
import { noTokens } from '../node/service-intent.ts';
import { asAddress } from '../placement/endpoint-names.ts';
import { membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { PlanInput } from './seen-member.ts';

export const lineage = 'a'.repeat(40);

const settled = {
  status: 'available',
  host: 'local',
  generation: 1,
  parameterStatus: 'in-sync',
  createdAtMs: 0,
  recovering: false,
} as const;

/** A group without cluster mode whose first member is the primary. */
export function replicatedGroup(members = 3, change: Partial<ReplicationGroup> = {}): ReplicationGroup {
  return {
    id: 'shop',
    intent: {
      description: 'a shop',
      engine: 'valkey',
      engineVersion: '9.1.2',
      nodeType: 'cache.t4g.micro',
      port: 6379,
      parameterGroup: 'default.valkey9',
      securityGroupIds: [],
      autoMinorVersionUpgrade: true,
      preferredMaintenanceWindow: 'sun:05:00-sun:06:00',
      snapshotRetentionDays: 0,
      transit: 'none',
      busEncrypted: false,
      atRestEncryption: true,
      auth: noTokens,
      logDelivery: [],
      clusterMode: 'disabled',
      clusterEnabled: false,
      automaticFailover: true,
      multiAz: false,
      userGroupIds: [],
    },
    status: 'available',
    retainPrimary: false,
    epoch: 1,
    createdAtMs: 0,
    nodeGroups: [
      {
        id: '0001',
        slots: splitEvenly(1),
        primary: 'shop-001',
        primaryAddress: '127.64.0.1',
        readerAddress: '127.64.0.2',
        formed: true,
        lineage,
        members: Array.from({ length: members }, (_, index) => ({
          id: `shop-00${index + 1}`,
          zone: `us-east-1${'abc'[index % 3]}`,
          address: `127.64.0.${index + 10}`,
          ...settled,
        })),
      },
    ],
    ...change,
  };
}

/** One that is being made with a snapshot's data. */
export function restoredGroup(base = replicatedGroup()): ReplicationGroup {
  return {
    ...base,
    status: 'creating',
    intent: { ...base.intent, restoreFrom: 'kept' },
    nodeGroups: base.nodeGroups.map(({ lineage: _, ...each }) => ({ ...each, formed: false })),
  };
}

/** A group with cluster mode, `replicas` in each shard. */
export function clusterGroup(shards = 3, replicas = 1, formed = true): ReplicationGroup {
  const base = replicatedGroup();
  const slots = splitEvenly(shards);
  return {
    ...base,
    intent: { ...base.intent, clusterMode: 'enabled', clusterEnabled: true },
    configurationAddress: '127.64.0.1',
    nodeGroups: slots.map((range, shard) => ({
      id: `000${shard + 1}`,
      slots: [range],
      primary: `shop-000${shard + 1}-001`,
      formed,
      lineage,
      members: Array.from({ length: replicas + 1 }, (_, index) => ({
        id: `shop-000${shard + 1}-00${index + 1}`,
        zone: `us-east-1${'abc'[(shard + index) % 3]}`,
        address: `127.64.${shard + 1}.${index + 10}`,
        ...settled,
      })),
    })),
  };
}

export type Change = (seen: NodeObservation) => NodeObservation;

/** What is seen of a healthy group, with single members changed. */
export function observe(
  group: ReplicationGroup,
  changes: Readonly<Record<string, Change>> = {},
): Map<string, NodeObservation> {
  const observations = new Map<string, NodeObservation>();
  for (const nodeGroup of group.nodeGroups) {
    for (const [index, member] of nodeGroup.members.entries()) {
      const isPrimary = member.id === nodeGroup.primary;
      const primary = nodeGroup.members.find(({ id }) => id === nodeGroup.primary)!;
      const firstReplica = nodeGroup.members.find(({ id }) => id !== nodeGroup.primary);
      const holdsReader = firstReplica === undefined ? isPrimary : firstReplica.id === member.id;
      const holdsConfiguration =
        group.configurationAddress !== undefined && nodeGroup.id === '0001' && isPrimary;
      const engine: EngineObservation = {
        info: {
          runId: member.id,
          version: '9.1.2',
          pid: 100 + index,
          loading: false,
          keys: 5,
          usedMemoryBytes: 1_000_000,
          replication: {
            role: isPrimary ? 'primary' : 'replica',
            replicationId: lineage,
            previousReplicationId: '0'.repeat(40),
            previousReplicationOffset: -1,
            offset: 1_000,
            syncInProgress: false,
            replicas: isPrimary
              ? nodeGroup.members
                  .filter(({ id }) => id !== nodeGroup.primary)
                  .map(({ address }) => ({ address, port: 6379, online: true, acknowledgedOffset: 1_000 }))
              : [],
            ...(!isPrimary && { primary: { address: primary.address, port: 6379, linkUp: true } }),
          },
        },
        writesFenced: false,
        boundAddresses: [
          member.address,
          ...(isPrimary && nodeGroup.primaryAddress !== undefined ? [nodeGroup.primaryAddress] : []),
          ...(holdsReader && nodeGroup.readerAddress !== undefined ? [nodeGroup.readerAddress] : []),
          ...(holdsConfiguration ? [group.configurationAddress!] : []),
        ].flatMap(asAddress),
        ...(group.intent.clusterEnabled && {
          cluster: { state: 'ok', peers: peersSeenBy(group, member.id) },
        }),
      };
      const nodeId = nodeIdOf(member);
      const seen: NodeObservation = {
        nodeId,
        process: { kind: 'running', incarnation: { pid: 100 + index, startTicks: 1 } },
        started: { version: '9.1.2', generation: 1, ports: { plainPort: 6379, tlsPort: 0 } },
        engine,
      };
      observations.set(nodeId, (changes[member.id] ?? ((same) => same))(seen));
    }
  }
  return observations;
}

function peersSeenBy(group: ReplicationGroup, viewer: string): ClusterPeer[] {
  return group.nodeGroups.flatMap((nodeGroup) =>
    nodeGroup.members.map((member, index) => ({
      id: `id-${member.id}`,
      address: member.address,
      port: 6379,
      myself: member.id === viewer,
      role: member.id === nodeGroup.primary ? ('primary' as const) : ('replica' as const),
      ...(member.id !== nodeGroup.primary && { primaryId: `id-${nodeGroup.primary}` }),
      health: 'ok' as const,
      handshake: false,
      configEpoch: index + 1,
      linkUp: true,
      slots: member.id === nodeGroup.primary ? nodeGroup.slots : [],
    })),
  );
}

export const dead: Change = ({ nodeId }) => ({
  nodeId,
  process: { kind: 'dead', incarnation: { pid: 1, startTicks: 1 }, how: 'reaped' },
});
export const exiting: Change = ({ nodeId }) => ({
  nodeId,
  process: { kind: 'dead', incarnation: { pid: 1, startTicks: 1 }, how: 'exiting' },
});
export const absent: Change = ({ nodeId }) => ({ nodeId, process: { kind: 'absent' } });
export const unreachable: Change = ({ nodeId }) => ({
  nodeId,
  process: { kind: 'unreachable', host: 'b' },
});
export const hostFenced: Change = ({ nodeId }) => ({ nodeId, process: { kind: 'fenced', host: 'b' } });
export const writesFenced: Change = (seen) => ({
  ...seen,
  engine: { ...seen.engine!, writesFenced: true },
});
export const silent: Change = ({ nodeId, process }) => ({ nodeId, process });

/** It runs, and was silent for so long that it counts as hung. */
export function hung(how: Hang['how'] = 'stopped', silentMs = 600): Change {
  return ({ nodeId, process, started }) => ({
    nodeId,
    process: { ...(process as NodeProcess & { kind: 'running' }), hang: { how, silentMs } },
    ...(started && { started }),
  });
}

/** Changes what INFO says of replication. */
export function replication(change: Partial<EngineObservation['info']['replication']>): Change {
  return (seen) => ({
    ...seen,
    engine: {
      ...seen.engine!,
      info: { ...seen.engine!.info, replication: { ...seen.engine!.info.replication, ...change } },
    },
  });
}

export function keys(count: number): Change {
  return (seen) => ({ ...seen, engine: { ...seen.engine!, info: { ...seen.engine!.info, keys: count } } });
}

export function input(
  group: ReplicationGroup,
  changes: Readonly<Record<string, Change>> = {},
  more: Partial<PlanInput> = {},
): PlanInput {
  return {
    group,
    observations: observe(group, changes),
    earliestStartMs: new Map(),
    nowMs: 1_000_000,
    front: { routes: [] },
    ...more,
  };
}

export const loading: Change = (seen) => ({
  ...seen,
  engine: { ...seen.engine!, info: { ...seen.engine!.info, loading: true, keys: 0 } },
});

export function allAbsent(group: ReplicationGroup): Record<string, Change> {
  return Object.fromEntries(membersOf(group).map(({ id }) => [id, absent]));
}
