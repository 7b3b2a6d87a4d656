/** What steps write down. Each call is one transaction: everything of it is written, or nothing. */
import { cacheNodeIdOf } from '@larder/contract/ids';
import type { CacheCluster } from '../cache-cluster/cache-cluster.ts';
import { insertCacheCluster } from '../cache-cluster/store.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { type TellOfNode, tellInDatabase } from '../node/execute-setting.ts';
import { serviceIntentOf } from '../node/service-intent.ts';
import { passAddress, releaseAddresses } from '../placement/addresses.ts';
import { deleteUpdateActions } from '../service-update/store.ts';
import { deleteTags } from '../tag/store.ts';
import type { CacheNotice } from '../topic/cache-notice.ts';
import type { Member, Migration, ReplicationGroup } from './replication-group.ts';
import { deleteNodeGroup, dismissMembers, endResharding, markShardsFormed } from './reshard-store.ts';
import {
  changeStatus,
  decidePrimary,
  deleteMember,
  deleteReplicationGroup,
  setHandover,
  setLineage,
  setMigration,
  setRecovering,
} from './store.ts';

/** The change of a shard's primary. */
export interface Decision {
  readonly nodeGroup: string;
  readonly member: string;
  readonly previous: string;
}

export interface StepRecords {
  /** @returns the group's new epoch, the next one. @throws when the group's epoch is no longer `group.epoch`. */
  decidePrimary(group: ReplicationGroup, decision: Decision): Promise<number>;
  noteHistory(group: ReplicationGroup, nodeGroup: string, lineage: string): Promise<void>;
  endHandover(group: ReplicationGroup, nodeGroup: string): Promise<void>;
  /** @param emptyShard set when the member is this shard's primary, which begins without data. */
  beginRecovery(group: ReplicationGroup, member: string, emptyShard: string | undefined): Promise<void>;
  readonly tellOfNode: TellOfNode;
  /** All of them, or none. */
  markShardsFormed(group: ReplicationGroup, nodeGroups: readonly string[]): Promise<void>;
  dismissShard(group: ReplicationGroup, nodeGroup: string): Promise<void>;
  forgetShard(group: ReplicationGroup, nodeGroup: string): Promise<void>;
  endResharding(group: ReplicationGroup): Promise<void>;
  noteSource(group: ReplicationGroup, migration: Migration): Promise<void>;
  endMigration(group: ReplicationGroup): Promise<void>;
  forgetMember(group: ReplicationGroup, member: string): Promise<void>;
  /** The member goes on under its own name as a cluster of its own; the rest of the group is forgotten. */
  retainPrimary(group: ReplicationGroup, member: Member): Promise<void>;
  forgetGroup(group: ReplicationGroup): Promise<void>;
}

export function recordsInDatabase(database: Database, nowMs: () => number): StepRecords {
  const write = <T>(work: (transaction: DatabaseTransaction) => Promise<T>) =>
    database.transaction().execute(work);
  const tell = (
    transaction: DatabaseTransaction,
    sourceType: 'replication-group' | 'cache-cluster',
    sourceId: string,
    message: string,
    notice?: CacheNotice,
  ) => recordEvent(transaction, { atMs: nowMs(), sourceType, sourceId, message }, notice);

  return {
    tellOfNode: tellInDatabase(database, nowMs),
    decidePrimary: (group, { nodeGroup, member, previous }) =>
      write(async (transaction) => {
        const epoch = await decidePrimary(transaction, group, nodeGroup, member);
        const text = `Failover from primary node ${previous} to replica node ${member} completed`;
        await tell(transaction, 'cache-cluster', member, text, 'FailoverComplete');
        await tell(transaction, 'replication-group', group.id, text);
        return epoch;
      }),
    noteHistory: ({ id }, nodeGroup, lineage) =>
      write((transaction) => setLineage(transaction, id, nodeGroup, lineage)),
    endHandover: ({ id }, nodeGroup) =>
      write((transaction) => setHandover(transaction, id, nodeGroup, undefined)),
    beginRecovery: ({ id }, member, emptyShard) =>
      write(async (transaction) => {
        await setRecovering(transaction, [member], true);
        const recovering = `Recovering cache nodes ${cacheNodeIdOf(1)}`;
        await tell(transaction, 'cache-cluster', member, recovering, 'CacheNodeReplaceStarted');
        if (emptyShard === undefined) return;
        const text = `Primary node ${member} of node group ${emptyShard} starts without data: no other node held any`;
        await tell(transaction, 'replication-group', id, text);
      }),
    markShardsFormed: ({ id }, nodeGroups) =>
      write((transaction) => markShardsFormed(transaction, id, nodeGroups)),
    dismissShard: ({ id }, nodeGroup) => write((transaction) => dismissMembers(transaction, id, nodeGroup)),
    forgetShard: ({ id }, nodeGroup) =>
      write(async (transaction) => {
        await deleteNodeGroup(transaction, id, nodeGroup);
        await tell(transaction, 'replication-group', id, `Removed node group ${nodeGroup}`);
      }),
    endResharding: ({ id }) =>
      write(async (transaction) => {
        await endResharding(transaction, id);
        const text = `Resharding of replication group ${id} completed`;
        await tell(transaction, 'replication-group', id, text, 'ReplicationGroupScalingComplete');
      }),
    noteSource: ({ id }, migration) =>
      write(async (transaction) => {
        const { address, port } = migration.source;
        await setMigration(transaction, id, migration);
        const text = migration.inSync
          ? `The data of ${address}:${port} is in sync with replication group ${id}`
          : `The connection of replication group ${id} to ${address}:${port} was lost; it is tried again`;
        await tell(transaction, 'replication-group', id, text);
      }),
    endMigration: ({ id }) =>
      write(async (transaction) => {
        await setMigration(transaction, id, undefined);
        if (!(await changeStatus(transaction, id, { from: 'migrating', to: 'available' }))) return;
        await tell(transaction, 'replication-group', id, `Complete Migration successful for ${id}`);
      }),
    forgetMember: (group, member) =>
      write(async (transaction) => {
        const text = `Cache cluster ${member} deleted`;
        await tell(transaction, 'cache-cluster', member, text, 'DeleteCacheClusterComplete');
        await deleteMember(transaction, group, member);
      }),
    retainPrimary: (group, member) =>
      write(async (transaction) => {
        await deleteReplicationGroup(transaction, group);
        await releaseAddresses(transaction, { resource: 'replication-group', id: group.id }, [
          member.address,
        ]);
        await passAddress(transaction, member.address, {
          resource: 'cache-cluster',
          owner: `${member.id}/${cacheNodeIdOf(1)}`,
        });
        await insertCacheCluster(transaction, asCacheCluster(group, member));
        const text = `Replication group ${group.id} deleted; its primary ${member.id} goes on as a cache cluster`;
        await tell(transaction, 'replication-group', group.id, text);
      }),
    forgetGroup: (group) =>
      write(async (transaction) => {
        const text = `Replication group ${group.id} deleted`;
        await tell(transaction, 'replication-group', group.id, text, 'DeleteCacheClusterComplete');
        await deleteReplicationGroup(transaction, group);
        await releaseAddresses(transaction, { resource: 'replication-group', id: group.id });
        await deleteTags(transaction, { resourceType: 'replicationgroup', name: group.id });
        await deleteUpdateActions(transaction, 'replication-group', group.id);
      }),
  };
}

function asCacheCluster(group: ReplicationGroup, member: Member): CacheCluster {
  const { intent } = group;
  return {
    id: member.id,
    intent: { ...serviceIntentOf(intent), azMode: 'single-az' },
    status: 'available',
    epoch: group.epoch,
    createdAtMs: member.createdAtMs,
    configVersion: 1,
    nodes: [
      {
        id: cacheNodeIdOf(1),
        zone: member.zone,
        host: member.host,
        address: member.address,
        status: 'available',
        generation: member.generation,
        parameterStatus: member.parameterStatus,
        createdAtMs: member.createdAtMs,
      },
    ],
  };
}
