/** Snapshots and their sources by the sentence, for tests. */
import { splitEvenly } from '@larder/engine/slots';
import { lineage } from '../replication-group/group.test-support.ts';
import type { Source } from './origin.ts';
import type { SavedShard, Snapshot, SnapshotSettings } from './snapshot.ts';

export const settings: SnapshotSettings = {
  engine: 'valkey',
  engineVersion: '9.1.2',
  nodeType: 'cache.t4g.micro',
  port: 6379,
  parameterGroup: 'default.valkey9',
  autoMinorVersionUpgrade: true,
  preferredMaintenanceWindow: 'sun:05:00-sun:06:00',
  snapshotRetentionDays: 0,
  atRestEncryption: true,
  clusterEnabled: false,
  group: { description: 'a shop', automaticFailover: true },
  createdAtMs: 0,
};

export const saved: SavedShard = {
  sizeBytes: 3 * 2 ** 20 + 1,
  sha256: 'f'.repeat(64),
  keys: 5,
  databases: [0],
  usedMemoryBytes: 1_000_000,
  savedAtMs: 1_000,
  clusterId: 'shop-002',
  nodeCreatedAtMs: 0,
};

/** One shard, nothing of it saved. */
export function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    name: 'kept',
    status: 'creating',
    kind: 'manual',
    origin: { resource: 'replication-group', id: 'shop' },
    final: false,
    createdAtMs: 1_000_000,
    progressAtMs: 1_000_000,
    attempts: 0,
    settings,
    shards: [{ id: '0001', slots: splitEvenly(1), zones: ['us-east-1a', 'us-east-1b'] }],
    ...change,
  };
}

/** Of `replicatedGroup`. */
export function source(change: Partial<Source> = {}): Source {
  return {
    origin: { resource: 'replication-group', id: 'shop' },
    status: 'snapshotting',
    order: { group: 'shop', epoch: 1 },
    retentionDays: 0,
    settings,
    shards: [
      {
        id: '0001',
        slots: splitEvenly(1),
        zones: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
        primary: 'shop-001',
        lineage,
        nodes: [1, 2, 3].map((ordinal) => ({
          clusterId: `shop-00${ordinal}`,
          nodeId: `shop-00${ordinal}.0001`,
          address: `127.64.0.${ordinal + 9}`,
          createdAtMs: 0,
        })),
      },
    ],
    ...change,
  };
}
