/** Making something with a snapshot's data: what it takes over of the snapshot, what fits, and the data itself. */

import type { Input } from '@larder/contract/elasticache/model';
import {
  compareVersions,
  type EngineName,
  engineTraits,
  releaseOf,
  versionLine,
} from '@larder/engine/engine';
import { nodeTypes } from '@larder/engine/node-type';
import { formatSlots, type SlotRange, sameSlots } from '@larder/engine/slots';
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
  const request = { ...input, ...commonDefaults(snapshot, input, keepsClusterMode(snapshot, input)) };
  if (!settings.clusterEnabled) return request;
  const given = input.NodeGroupConfiguration ?? [];
  const count = input.NumNodeGroups ?? (given.length > 0 ? given.length : shards.length);
  if (count !== shards.length) {
    const replicas = Math.max(0, (shards[0]?.zones.length ?? 1) - 1);
    const each = given.length > 0 ? {} : { ReplicasPerNodeGroup: input.ReplicasPerNodeGroup ?? replicas };
    return { ...request, NumNodeGroups: count, ...each };
  }
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
  return { ...input, ...commonDefaults(snapshot, input, true) };
}

function commonDefaults({ settings }: Snapshot, input: GroupRequest | ClusterRequest, keepsMode: boolean) {
  const sameEngine = input.Engine === undefined || input.Engine.toLowerCase() === settings.engine;
  const sameVersion = sameEngine && input.EngineVersion === undefined;
  return {
    Engine: input.Engine ?? settings.engine,
    EngineVersion: input.EngineVersion ?? (sameEngine ? settings.engineVersion : undefined),
    CacheNodeType: input.CacheNodeType ?? settings.nodeType,
    Port: input.Port ?? settings.port,
    // A parameter group is of one family and cluster mode: with others the default one is taken.
    CacheParameterGroupName:
      input.CacheParameterGroupName ?? (sameVersion && keepsMode ? settings.parameterGroup : undefined),
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

function keepsClusterMode({ settings }: Snapshot, { ClusterMode: asked, ...input }: GroupRequest): boolean {
  const several = (input.NumNodeGroups ?? input.NodeGroupConfiguration?.length ?? 0) > 1;
  const wanted = asked === undefined ? settings.clusterEnabled || several : asked === 'enabled';
  return wanted === settings.clusterEnabled;
}

export interface RestoreTarget {
  readonly nodeType: string;
  readonly engine: EngineName;
  readonly engineVersion: string;
  readonly clusterEnabled: boolean;
  /** How many it is to have in the end. */
  readonly shards: number;
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
  if (
    !changesEngine &&
    compareVersions(releaseOf(target.engineVersion), releaseOf(settings.engineVersion)) < 0
  ) {
    throw invalidCombination(
      `Snapshot ${name} is of ${from}; it can't be restored into the older ${target.engineVersion}.`,
    );
  }
  if (settings.clusterEnabled && !target.clusterEnabled) {
    throw invalidCombination(`Snapshot ${name} is of a group with cluster mode and needs one again.`);
  }
  const usedBytes = shards.reduce((sum, { saved }) => sum + (saved?.usedMemoryBytes ?? 0), 0);
  const roomBytes = target.shards * (nodeTypes.get(target.nodeType)?.maxmemoryBytes ?? 0);
  if (target.shards < shards.length && usedBytes > roomBytes) {
    throw invalidCombination(
      `The data of snapshot ${name} took ${usedBytes} bytes of memory; ${target.shards} ${target.nodeType} have ${roomBytes}.`,
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
  /** Of the shard with those slots; a snapshot of one shard has but that. */
  | { readonly kind: 'data'; readonly of: (slots: readonly SlotRange[]) => StartData }
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
    of(slots) {
      const [only, ...others] = snapshot.shards;
      const shard = others.length === 0 ? only : snapshot.shards.find((each) => sameSlots(each.slots, slots));
      if (shard?.saved === undefined)
        throw new Error(`Snapshot ${name} has no shard of ${formatSlots(slots)}.`);
      return { file: fileOf(snapshot, shard), sha256: shard.saved.sha256 };
    },
  };
}
