/** Create and delete: check, write the intent, wake the reconciler. No engine is touched here. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { cacheClusterId, cacheNodeIdOf } from '@larder/contract/ids';
import { engineTraits } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { takeAddresses } from '../placement/addresses.ts';
import { spreadZone, zonesOf } from '../placement/zones.ts';
import { chooseEngine } from '../request/engine-choice.ts';
import { defaultMaintenanceWindow, maintenanceWindow } from '../request/maintenance-window.ts';
import { refuseNotYet } from '../request/not-yet.ts';
import { readTags } from '../request/tags.ts';
import type { CacheCluster, CacheClusterIntent } from './cache-cluster.ts';
import { nextStatus } from './status.ts';
import { changeStatus, insertCacheCluster, readCacheCluster } from './store.ts';

type Request = Input<'CreateCacheCluster'>;
type IntentOf<Key extends keyof CacheClusterIntent> = CacheClusterIntent[Key];

const mostMemcachedNodes = 40;

/**
 * Writes down a new cluster and returns it with status `creating`.
 * @throws ServiceError for everything ElastiCache refuses, and for what has no effect here yet.
 */
export async function createCacheCluster(
  context: ControlContext,
  region: string,
  input: Request,
): Promise<CacheCluster> {
  const id = cacheClusterId(input.CacheClusterId);
  refuseUnsupported(input);
  if (input.Engine === undefined) {
    throw serviceError('InvalidParameterValueException', 'The parameter Engine must be provided.');
  }
  const choice = await chooseEngine(context.engines, input, 'memcached');
  const count = input.NumCacheNodes ?? 1;
  const most = engineTraits[choice.engine].replicates ? 1 : mostMemcachedNodes;
  if (count < 1 || count > most) {
    throw serviceError(
      'InvalidParameterValueException',
      `NumCacheNodes must be between 1 and ${most} for ${engineTraits[choice.engine].title}; it is ${count}.`,
    );
  }
  const { zones, azMode } = chooseZones(input, count, region);
  const intent: CacheClusterIntent = {
    ...choice,
    azMode,
    autoMinorVersionUpgrade: input.AutoMinorVersionUpgrade ?? true,
    preferredMaintenanceWindow: maintenanceWindow(
      input.PreferredMaintenanceWindow ?? defaultMaintenanceWindow,
    ),
    tags: readTags(input.Tags),
  };

  const cluster = await context.database.transaction().execute(async (transaction) => {
    if (
      (await readCacheCluster(transaction, id)) !== undefined ||
      (await groupOfMember(transaction, id)) !== undefined
    ) {
      throw serviceError('CacheClusterAlreadyExistsFault', `Cache cluster ${id} already exists.`);
    }
    const nodeIds = Array.from({ length: count }, (_, index) => cacheNodeIdOf(index + 1));
    const addresses = await takeAddresses(transaction, {
      host: context.host,
      candidates: context.addresses(),
      port: choice.port,
      resource: 'cache-cluster',
      owners: nodeIds.map((nodeId) => `${id}/${nodeId}`),
    }).catch((error: Error) => {
      throw serviceError('InsufficientCacheClusterCapacityFault', error.message);
    });
    const created: CacheCluster = {
      id,
      intent,
      status: 'creating',
      epoch: 1,
      createdAtMs: context.nowMs(),
      nodes: nodeIds.map((nodeId, index) => ({
        id: nodeId,
        zone: zones[index]!,
        address: addresses.get(`${id}/${nodeId}`)!,
        status: 'creating',
      })),
    };
    await insertCacheCluster(transaction, created);
    return created;
  });
  context.wake('cache-cluster', id);
  return cluster;
}

/** @throws ServiceError CacheClusterNotFound, InvalidCacheClusterState */
export async function deleteCacheCluster(
  context: ControlContext,
  input: Input<'DeleteCacheCluster'>,
): Promise<CacheCluster> {
  const id = input.CacheClusterId.toLowerCase();
  refuseNotYet({ FinalSnapshotIdentifier: input.FinalSnapshotIdentifier });
  const cluster = await context.database.transaction().execute(async (transaction) => {
    const found = await readCacheCluster(transaction, id);
    if (found === undefined) {
      const group = await groupOfMember(transaction, id);
      if (group === undefined) throw notFound(id);
      throw serviceError(
        'InvalidCacheClusterStateFault',
        `Cache cluster ${id} belongs to replication group ${group}; single members can't be deleted in this version of Larder.`,
      );
    }
    const status = nextStatus(found.status, 'delete-requested');
    if (status === 'refuse' || status === 'stay') {
      throw serviceError(
        'InvalidCacheClusterStateFault',
        `Cache cluster ${id} is ${found.status} and can't be deleted now.`,
      );
    }
    await changeStatus(transaction, id, { from: found.status, to: status });
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'cache-cluster',
      sourceId: id,
      message: `Deleting cache cluster ${id}`,
    });
    return { ...found, status };
  });
  context.wake('cache-cluster', id);
  return cluster;
}

export function notFound(id: string) {
  return serviceError('CacheClusterNotFoundFault', `Cache cluster ${id} not found.`);
}

async function groupOfMember(transaction: DatabaseTransaction, id: string): Promise<string | undefined> {
  const row = await transaction
    .selectFrom('member')
    .select('group_id')
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.group_id;
}

function chooseZones(
  input: Request,
  count: number,
  region: string,
): { zones: string[]; azMode: IntentOf<'azMode'> } {
  const known = zonesOf(region);
  const wanted = input.PreferredAvailabilityZones ?? [];
  const single = input.PreferredAvailabilityZone;
  for (const zone of single === undefined ? wanted : [...wanted, single]) {
    if (!known.includes(zone)) {
      throw serviceError(
        'InvalidParameterValueException',
        `There is no availability zone ${zone}; there are ${known.join(', ')}.`,
      );
    }
  }
  if (wanted.length > 0 && wanted.length !== count) {
    throw serviceError(
      'InvalidParameterCombinationException',
      `${wanted.length} availability zones were given for ${count} nodes.`,
    );
  }
  if (input.AZMode !== undefined && input.AZMode !== 'single-az' && input.AZMode !== 'cross-az') {
    throw serviceError('InvalidParameterValueException', 'AZMode must be single-az or cross-az.');
  }
  const azMode = input.AZMode ?? (new Set(wanted).size > 1 ? 'cross-az' : 'single-az');
  if (azMode === 'cross-az' && count < 2) {
    throw serviceError('InvalidParameterCombinationException', 'AZMode cross-az needs at least two nodes.');
  }
  if (wanted.length > 0) return { zones: [...wanted], azMode };
  return {
    azMode,
    zones: Array.from({ length: count }, (_, index) =>
      azMode === 'cross-az' ? spreadZone(region, 0, index) : (single ?? spreadZone(region, 0, 0)),
    ),
  };
}

function refuseUnsupported(input: Request): void {
  refuseNotYet({
    ReplicationGroupId: input.ReplicationGroupId,
    CacheSubnetGroupName: input.CacheSubnetGroupName,
    CacheSecurityGroupNames: input.CacheSecurityGroupNames,
    SecurityGroupIds: input.SecurityGroupIds,
    SnapshotArns: input.SnapshotArns,
    SnapshotName: input.SnapshotName,
    SnapshotRetentionLimit: input.SnapshotRetentionLimit,
    SnapshotWindow: input.SnapshotWindow,
    NotificationTopicArn: input.NotificationTopicArn,
    AuthToken: input.AuthToken,
    OutpostMode: input.OutpostMode,
    PreferredOutpostArn: input.PreferredOutpostArn,
    PreferredOutpostArns: input.PreferredOutpostArns,
    LogDeliveryConfigurations: input.LogDeliveryConfigurations,
    TransitEncryptionEnabled: input.TransitEncryptionEnabled,
    NetworkType: input.NetworkType === 'ipv4' ? undefined : input.NetworkType,
    IpDiscovery: input.IpDiscovery === 'ipv4' ? undefined : input.IpDiscovery,
  });
}
