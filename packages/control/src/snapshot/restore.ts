/** Making something with a snapshot's data: what it takes over of the snapshot, what fits, and the data itself. */

import type { Input } from '@larder/contract/elasticache/model';
import { compareVersions, type EngineName, engineTraits, versionLine } from '@larder/engine/engine';
import { formatSlots, type SlotRange } from '@larder/engine/slots';
import type { StartData } from '@larder/fleet/host';
import type { ControlContext } from '../control-context.ts';
import type { Database } from '../database/connect.ts';
import { invalidCombination } from '../request/refusals.ts';
import { idleSnapshot } from './find.ts';
import { fileOf, type Snapshot } from './snapshot.ts';
import { readSnapshot } from './store.ts';

type GroupRequest = Input<'CreateReplicationGroup'>;
type ClusterRequest = Input<'CreateCacheCluster'>;

/** @throws ServiceError SnapshotNotFoundFault, InvalidSnapshotState */
export async function snapshotToRestore(
  { database }: Pick<ControlContext, 'database'>,
  { SnapshotName: name }: Pick<GroupRequest, 'SnapshotName'>,
): Promise<Snapshot | undefined> {
  return name === undefined ? undefined : idleSnapshot(database, name, 'restore-requested');
}

/** What the request leaves out is as it was. @throws ServiceError InvalidParameterCombination */
export function groupRequestOf(snapshot: Snapshot, input: GroupRequest): GroupRequest {
  if (input.PrimaryClusterId !== undefined) {
    throw invalidCombination("With PrimaryClusterId the data is the cluster's own; leave SnapshotName out.");
  }
  const { settings, shards } = snapshot;
  const request = { ...input, ...commonDefaults(snapshot, input) };
  if (!settings.clusterEnabled) return request;
  const given = input.NodeGroupConfiguration ?? [];
  const count = input.NumNodeGroups ?? (given.length > 0 ? given.length : shards.length);
  if (count !== shards.length) throw otherShards(snapshot, count);
  return {
    ...request,
    NumNodeGroups: count,
    NodeGroupConfiguration: shards.map(({ id, slots, zones }, index) => {
      const asked =
        given.find(({ NodeGroupId }) => NodeGroupId?.padStart(4, '0') === id) ?? given[index] ?? {};
      const replicas = asked.ReplicaCount ?? input.ReplicasPerNodeGroup ?? zones.length - 1;
      const placed = (asked.ReplicaAvailabilityZones ?? []).length > 0;
      return {
        ...asked,
        NodeGroupId: id,
        Slots: asked.Slots ?? formatSlots(slots),
        ...(!placed && { ReplicaCount: Math.max(0, replicas) }),
      };
    }),
  };
}

/** @throws ServiceError InvalidParameterCombination for a snapshot of a group with cluster mode */
export function clusterRequestOf(snapshot: Snapshot, input: ClusterRequest): ClusterRequest {
  if (snapshot.settings.clusterEnabled) {
    throw invalidCombination(
      `Snapshot ${snapshot.name} is of a group with cluster mode; use CreateReplicationGroup.`,
    );
  }
  return { ...input, ...commonDefaults(snapshot, input) };
}

function commonDefaults({ settings }: Snapshot, input: GroupRequest | ClusterRequest) {
  const sameEngine = input.Engine === undefined || input.Engine.toLowerCase() === settings.engine;
  const sameVersion = sameEngine && input.EngineVersion === undefined;
  return {
    Engine: input.Engine ?? settings.engine,
    EngineVersion: input.EngineVersion ?? (sameEngine ? settings.engineVersion : undefined),
    CacheNodeType: input.CacheNodeType ?? settings.nodeType,
    Port: input.Port ?? settings.port,
    // A parameter group is of one family: another engine or version gets the default one.
    CacheParameterGroupName:
      input.CacheParameterGroupName ?? (sameVersion ? defaultParameters(settings, input) : undefined),
    CacheSubnetGroupName: input.CacheSubnetGroupName ?? settings.subnetGroup,
    PreferredMaintenanceWindow: input.PreferredMaintenanceWindow ?? settings.preferredMaintenanceWindow,
    NotificationTopicArn: input.NotificationTopicArn ?? settings.topicArn,
    AutoMinorVersionUpgrade: input.AutoMinorVersionUpgrade ?? settings.autoMinorVersionUpgrade,
    SnapshotRetentionLimit: input.SnapshotRetentionLimit ?? settings.snapshotRetentionDays,
    SnapshotWindow: input.SnapshotWindow ?? settings.snapshotWindow,
    ...(settings.atRestEncryption && {
      AtRestEncryptionEnabled:
        'AtRestEncryptionEnabled' in input ? (input.AtRestEncryptionEnabled ?? true) : true,
    }),
  };
}

/** One without cluster mode is no group for a request that asks for it. */
function defaultParameters(settings: Snapshot['settings'], input: GroupRequest | ClusterRequest) {
  const changesMode =
    'ReplicationGroupId' in input &&
    'ClusterMode' in input &&
    (input.ClusterMode === 'enabled') !== settings.clusterEnabled;
  return changesMode ? undefined : settings.parameterGroup;
}

export interface RestoreTarget {
  readonly engine: EngineName;
  readonly engineVersion: string;
  readonly clusterEnabled: boolean;
  /** Of each shard. */
  readonly slots: readonly (readonly SlotRange[])[];
}

/** The first Redis whose files Valkey can't read. */
const firstForeignRedis = '7.4';

/** @throws ServiceError InvalidParameterCombination, InvalidParameterValue for a target that can't hold the data */
export function checkRestore(snapshot: Snapshot, target: RestoreTarget): void {
  const { name, settings, shards } = snapshot;
  const from = `${engineTraits[settings.engine].title} ${versionLine(settings.engineVersion)}`;
  const changesEngine = target.engine !== settings.engine;
  const foreign =
    settings.engine === 'redis' && compareVersions(settings.engineVersion, firstForeignRedis) >= 0;
  if (!engineTraits[target.engine].replicates || (changesEngine && (target.engine !== 'valkey' || foreign))) {
    throw invalidCombination(
      `Snapshot ${name} of ${from} can't be restored into ${engineTraits[target.engine].title}.`,
    );
  }
  if (!changesEngine && compareVersions(target.engineVersion, settings.engineVersion) < 0) {
    throw invalidCombination(
      `Snapshot ${name} is of ${from}; it can't be restored into the older ${target.engineVersion}.`,
    );
  }
  if (settings.clusterEnabled && !target.clusterEnabled) {
    throw invalidCombination(`Snapshot ${name} is of a group with cluster mode and needs one again.`);
  }
  if (target.slots.length !== shards.length) throw otherShards(snapshot, target.slots.length);
  const moved = shards.findIndex(
    ({ slots }, index) => settings.clusterEnabled && formatSlots(slots) !== formatSlots(target.slots[index]!),
  );
  if (moved >= 0) {
    throw invalidCombination(
      `Shard ${shards[moved]!.id} of snapshot ${name} has the slots ${formatSlots(shards[moved]!.slots)}; other slots come with a later version of Larder.`,
    );
  }
  const databases = shards.flatMap(({ saved }) => saved?.databases ?? []).filter((number) => number > 0);
  if (target.clusterEnabled && databases.length > 0) {
    throw invalidCombination(
      `Snapshot ${name} has keys in database ${databases[0]}; cluster mode has database 0 only.`,
    );
  }
}

/** What the nodes of a new group or cluster begin with, or why they can't. */
export type Restore =
  | { readonly kind: 'data'; readonly of: (shard: string) => StartData }
  /** Its files are still being fetched; whoever does wakes what waits. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'impossible'; readonly because: string };

export async function readRestore(
  database: Database,
  name: string,
  maxmemoryBytes: number,
): Promise<Restore> {
  const snapshot = await readSnapshot(database, name);
  if (snapshot === undefined) return { kind: 'impossible', because: 'it is gone' };
  if (snapshot.status === 'importing') return { kind: 'waiting' };
  if (snapshot.status === 'failed') return { kind: 'impossible', because: snapshot.trouble ?? 'it failed' };
  const largest = Math.max(0, ...snapshot.shards.map(({ saved }) => saved?.usedMemoryBytes ?? 0));
  if (largest > maxmemoryBytes) {
    const because = `its data took ${largest} bytes of memory; a node of this type has ${maxmemoryBytes}`;
    return { kind: 'impossible', because };
  }
  return {
    kind: 'data',
    of(id) {
      const shard = snapshot.shards.find((each) => each.id === id);
      if (shard?.saved === undefined) throw new Error(`Snapshot ${name} has no shard ${id}.`);
      return { file: fileOf(snapshot, shard), sha256: shard.saved.sha256 };
    },
  };
}

function otherShards({ name, shards }: Snapshot, count: number) {
  return invalidCombination(
    `Snapshot ${name} has ${shards.length} node groups; it can't be restored into ${count} in this version of Larder.`,
  );
}
