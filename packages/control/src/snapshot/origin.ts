/** What a snapshot is taken of: a replication group or a cache cluster, seen alike. */

import { type CacheCluster, nodeIdOf as clusterNodeId } from '../cache-cluster/cache-cluster.ts';
import { nextStatus as nextClusterStatus } from '../cache-cluster/status.ts';
import { changeStatus as changeClusterStatus, readCacheCluster } from '../cache-cluster/store.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { ServiceIntent } from '../node/service-intent.ts';
import { orderName } from '../placement/node-places.ts';
import { nodeIdOf as memberNodeId, type ReplicationGroup } from '../replication-group/replication-group.ts';
import { nextStatus as nextGroupStatus } from '../replication-group/status.ts';
import { changeStatus as changeGroupStatus, readReplicationGroup } from '../replication-group/store.ts';
import type { Origin, Snapshot, SnapshotSettings, SnapshotShard } from './snapshot.ts';

export interface Source {
  readonly origin: Origin;
  readonly status: string;
  readonly order: { readonly group: string; readonly epoch: number };
  /** The snapshot that its deletion waits for. */
  readonly finalSnapshot?: string;
  readonly retentionDays: number;
  /** Slots move between its shards: files of a moment would not fit together. */
  readonly movesSlots?: boolean;
  readonly settings: SnapshotSettings;
  readonly shards: readonly SourceShard[];
}

export interface SourceShard extends Omit<SnapshotShard, 'saved'> {
  /** Cluster id of the node decided to be the primary. */
  readonly primary: string;
  /** The replication id that the primary was last seen with. */
  readonly lineage?: string;
  readonly nodes: readonly SourceNode[];
}

export interface SourceNode {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly address: string;
  readonly createdAtMs: number;
}

export async function readSource(
  database: Database | DatabaseTransaction,
  { resource, id }: Pick<Origin, 'resource' | 'id'>,
): Promise<Source | undefined> {
  if (resource === 'cache-cluster') {
    const cluster = await readCacheCluster(database, id);
    return cluster && sourceOfCluster(cluster);
  }
  const group = await readReplicationGroup(database, id);
  return group && sourceOfGroup(group);
}

/** What the snapshot is taken of; undefined also when something else has its name by now. */
export async function sourceOfSnapshot(
  database: Database | DatabaseTransaction,
  snapshot: Pick<Snapshot, 'origin' | 'settings'>,
): Promise<Source | undefined> {
  const source = await readSource(database, snapshot.origin);
  return source !== undefined && isOf(snapshot, source) ? source : undefined;
}

/** (pure) Whether it was taken of this very source. */
export function isOf(
  { settings, origin }: Pick<Snapshot, 'origin' | 'settings'>,
  source: Pick<Source, 'origin' | 'settings'>,
): boolean {
  return (
    origin.resource === source.origin.resource &&
    origin.id === source.origin.id &&
    settings.createdAtMs === source.settings.createdAtMs
  );
}

export function sourceOfGroup(group: ReplicationGroup): Source {
  const { intent } = group;
  return {
    origin: { resource: 'replication-group', id: group.id },
    status: group.status,
    order: { group: group.id, epoch: group.epoch },
    ...(group.finalSnapshot !== undefined && { finalSnapshot: group.finalSnapshot }),
    retentionDays: intent.snapshotRetentionDays,
    movesSlots: group.nodeGroups.some(({ resharding }) => resharding !== undefined),
    settings: {
      ...settingsOf(intent, group.createdAtMs),
      clusterEnabled: intent.clusterEnabled,
      group: { description: intent.description, automaticFailover: intent.automaticFailover },
    },
    shards: group.nodeGroups.map(({ id, slots, primary, lineage, members }) => {
      const staying = members.filter(({ status }) => status !== 'deleting');
      // The primary's zone first.
      const ordered = [...staying].sort((a, b) => Number(b.id === primary) - Number(a.id === primary));
      return {
        id,
        slots,
        primary,
        ...(lineage !== undefined && { lineage }),
        zones: ordered.map(({ zone }) => zone),
        nodes: staying.map((member) => ({
          clusterId: member.id,
          nodeId: memberNodeId(member),
          address: member.address,
          createdAtMs: member.createdAtMs,
        })),
      };
    }),
  };
}

export function sourceOfCluster(cluster: CacheCluster): Source {
  const node = cluster.nodes[0]!;
  return {
    origin: { resource: 'cache-cluster', id: cluster.id },
    status: cluster.status,
    order: { group: orderName({ resource: 'cache-cluster', id: cluster.id }), epoch: cluster.epoch },
    ...(cluster.finalSnapshot !== undefined && { finalSnapshot: cluster.finalSnapshot }),
    retentionDays: cluster.intent.snapshotRetentionDays,
    settings: { ...settingsOf(cluster.intent, cluster.createdAtMs), clusterEnabled: false },
    shards: [
      {
        id: '0001',
        slots: [],
        primary: cluster.id,
        zones: [node.zone],
        nodes: [
          {
            clusterId: cluster.id,
            nodeId: clusterNodeId(cluster, node),
            address: node.address,
            createdAtMs: node.createdAtMs,
          },
        ],
      },
    ],
  };
}

function settingsOf(intent: ServiceIntent, createdAtMs: number): Omit<SnapshotSettings, 'clusterEnabled'> {
  return {
    engine: intent.engine,
    engineVersion: intent.engineVersion,
    nodeType: intent.nodeType,
    port: intent.port,
    parameterGroup: intent.parameterGroup,
    ...(intent.subnetGroup !== undefined && { subnetGroup: intent.subnetGroup }),
    autoMinorVersionUpgrade: intent.autoMinorVersionUpgrade,
    preferredMaintenanceWindow: intent.preferredMaintenanceWindow,
    ...(intent.notification !== undefined && { topicArn: intent.notification.topicArn }),
    snapshotRetentionDays: intent.snapshotRetentionDays,
    ...(intent.snapshotWindow !== undefined && { snapshotWindow: intent.snapshotWindow }),
    atRestEncryption: intent.atRestEncryption,
    createdAtMs,
  };
}

/**
 * The source's own status when a snapshot of it begins or ends.
 * @returns false when it takes none now.
 */
export async function changeSource(
  transaction: DatabaseTransaction,
  { resource, id }: Pick<Origin, 'resource' | 'id'>,
  event: 'snapshot-requested' | 'snapshot-ended',
): Promise<boolean> {
  if (resource === 'cache-cluster') {
    const cluster = await readCacheCluster(transaction, id);
    const to = cluster && nextClusterStatus(cluster.status, event);
    if (to === undefined || to === 'refuse' || to === 'stay') return false;
    return changeClusterStatus(transaction, id, { from: cluster!.status, to });
  }
  const group = await readReplicationGroup(transaction, id);
  const to = group && nextGroupStatus(group.status, event);
  if (to === undefined || to === 'refuse' || to === 'stay') return false;
  return changeGroupStatus(transaction, id, { from: group!.status, to });
}
