/** The nouns of a snapshot: whose it is, what was set there, and what was saved of each shard. */
import type { EngineName } from '@larder/engine/engine';
import type { SlotRange } from '@larder/engine/slots';
import type { SavedData, SnapshotFile } from '@larder/fleet/host';
import type { ObjectPlace } from '@larder/fleet/object-store/object-store';

export const snapshotStatuses = [
  'creating',
  'available',
  'copying',
  /** Of a seed, whose files are fetched. */
  'importing',
  'deleting',
  'failed',
] as const;
/** `restoring` and `copying` are shown of one that is available, while something is made from it, or it is exported. */
export type SnapshotStatus = (typeof snapshotStatuses)[number];

export interface Snapshot {
  readonly name: string;
  readonly status: SnapshotStatus;
  /** `seed`: files from a bucket for what is its origin, which begins with them. It is shown to nobody, and goes then. */
  readonly kind: 'manual' | 'automated' | 'seed';
  readonly origin: Origin;
  /** Taken because its origin is being deleted, which waits for it. */
  readonly final: boolean;
  readonly createdAtMs: number;
  /** When a shard was last saved, or the snapshot asked for. */
  readonly progressAtMs: number;
  /** Saves that failed. */
  readonly attempts: number;
  /** What keeps it from being taken, or kept. */
  readonly trouble?: string;
  readonly copiedFrom?: string;
  readonly settings: SnapshotSettings;
  readonly shards: readonly SnapshotShard[];
}

export interface Origin {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
  /** The member of a replication group that was asked for by its own name. */
  readonly member?: string;
}

/** What was asked of the origin when the snapshot was taken: what a restored one begins with. */
export interface SnapshotSettings {
  readonly engine: EngineName;
  readonly engineVersion: string;
  readonly nodeType: string;
  readonly port: number;
  readonly parameterGroup: string;
  readonly subnetGroup?: string;
  readonly autoMinorVersionUpgrade: boolean;
  readonly preferredMaintenanceWindow: string;
  readonly topicArn?: string;
  readonly snapshotRetentionDays: number;
  readonly snapshotWindow?: string;
  readonly atRestEncryption: boolean;
  readonly clusterEnabled: boolean;
  /** Only of replication groups. */
  readonly group?: { readonly description: string; readonly automaticFailover: boolean };
  /** Of the origin. */
  readonly createdAtMs: number;
}

export interface SnapshotShard {
  /** `0001`, ... */
  readonly id: string;
  readonly slots: readonly SlotRange[];
  readonly zones: readonly string[];
  /** Of a seed: where its file comes from. */
  readonly object?: ObjectPlace;
  /** Missing until it was saved. */
  readonly saved?: SavedShard;
}

export interface SavedShard extends SavedData {
  /** The moment whose data it is. */
  readonly savedAtMs: number;
  readonly clusterId: string;
  readonly nodeCreatedAtMs: number;
}

export function fileOf(
  { name, settings }: Pick<Snapshot, 'name' | 'settings'>,
  shard: Pick<SnapshotShard, 'id'>,
): SnapshotFile {
  return { snapshot: name, shard: shard.id, sealed: settings.atRestEncryption };
}

/** For events: `replication group shop`. */
export function describeOrigin({ resource, id, member }: Origin): string {
  if (member !== undefined) return `cache cluster with ID '${member}'`;
  return `${resource === 'replication-group' ? 'replication group' : 'cache cluster'} with ID '${id}'`;
}
