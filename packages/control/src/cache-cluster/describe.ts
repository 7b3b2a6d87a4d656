/** Cache clusters as ElastiCache shows them: those of their own, and every member of a replication group. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { cacheNodeIdOf, formatArn } from '@larder/contract/ids';
import { versionLine } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import type { Owner } from '../replication-group/describe.ts';
import { membersOf, type ReplicationGroup } from '../replication-group/replication-group.ts';
import { readReplicationGroup, readReplicationGroups } from '../replication-group/store.ts';
import { defaultParameterGroup } from '../request/engine-choice.ts';
import { cutPage, readPage } from '../request/page.ts';
import type { CacheCluster, CacheNode } from './cache-cluster.ts';
import { notFound } from './requests.ts';
import { readCacheCluster, readCacheClusters } from './store.ts';

type Shown = NonNullable<Output<'DescribeCacheClusters'>['CacheClusters']>[number];

/** A cluster of its own, or one that is a member. */
interface Described {
  readonly cluster: Pick<CacheCluster, 'id' | 'createdAtMs' | 'nodes'> & { readonly status: string };
  readonly intent: Omit<CacheCluster['intent'], 'azMode' | 'tags'>;
  readonly group?: ReplicationGroup;
}

/** @throws ServiceError CacheClusterNotFound when one was asked for by id and is not there. */
export async function describeCacheClusters(
  context: ControlContext,
  owner: Owner,
  input: Input<'DescribeCacheClusters'>,
): Promise<Output<'DescribeCacheClusters'>> {
  const show = (each: Described) => showDescribed(each, owner, input.ShowCacheNodeInfo ?? false);
  if (input.CacheClusterId !== undefined) {
    const found = await findDescribed(context, input.CacheClusterId.toLowerCase());
    if (found === undefined) throw notFound(input.CacheClusterId);
    return { CacheClusters: [show(found)] };
  }
  const { limit, after } = readPage(input);
  const all = [...(await readCacheClusters(context.database)).map(describeOwn)];
  if (input.ShowCacheClustersNotInReplicationGroups !== true) {
    for (const group of await readReplicationGroups(context.database)) all.push(...describeMembers(group));
  }
  const rest = all
    .filter(({ cluster }) => after === undefined || cluster.id > after)
    .sort((a, b) => (a.cluster.id < b.cluster.id ? -1 : 1));
  const { items, ...marker } = cutPage(rest, limit, ({ cluster }) => cluster.id);
  return { CacheClusters: items.map(show), ...marker };
}

export function showCacheCluster(cluster: CacheCluster, owner: Owner): Shown {
  return showDescribed(describeOwn(cluster), owner, false);
}

async function findDescribed({ database }: ControlContext, id: string): Promise<Described | undefined> {
  const own = await readCacheCluster(database, id);
  if (own !== undefined) return describeOwn(own);
  const row = await database.selectFrom('member').select('group_id').where('id', '=', id).executeTakeFirst();
  const group = row && (await readReplicationGroup(database, row.group_id));
  return group && describeMembers(group).find(({ cluster }) => cluster.id === id);
}

function describeOwn(cluster: CacheCluster): Described {
  return { cluster, intent: cluster.intent };
}

function describeMembers(group: ReplicationGroup): Described[] {
  return membersOf(group).map((member) => {
    const node: CacheNode = {
      id: cacheNodeIdOf(1),
      zone: member.zone,
      address: member.address,
      status: member.status === 'available' ? 'available' : 'creating',
    };
    const status = group.status === 'deleting' ? 'deleting' : member.status;
    return {
      group,
      intent: group.intent,
      cluster: { id: member.id, createdAtMs: group.createdAtMs, nodes: [node], status },
    };
  });
}

function showDescribed({ cluster, intent, group }: Described, owner: Owner, withNodes: boolean): Shown {
  const zones = new Set(cluster.nodes.map(({ zone }) => zone));
  const clusterEnabled = group?.intent.clusterEnabled ?? false;
  return {
    CacheClusterId: cluster.id,
    CacheNodeType: intent.nodeType,
    Engine: intent.engine,
    // ElastiCache shows patch numbers for Memcached only.
    EngineVersion: intent.engine === 'memcached' ? intent.engineVersion : versionLine(intent.engineVersion),
    CacheClusterStatus: cluster.status,
    NumCacheNodes: cluster.nodes.length,
    PreferredAvailabilityZone: zones.size === 1 ? [...zones][0]! : 'Multiple',
    CacheClusterCreateTime: new Date(cluster.createdAtMs),
    PreferredMaintenanceWindow: intent.preferredMaintenanceWindow,
    PendingModifiedValues: {},
    CacheSecurityGroups: [],
    CacheParameterGroup: {
      CacheParameterGroupName: defaultParameterGroup(intent.engine, intent.engineVersion, clusterEnabled),
      ParameterApplyStatus: 'in-sync',
      CacheNodeIdsToReboot: [],
    },
    ...(withNodes && {
      CacheNodes: cluster.nodes.map((node) => ({
        CacheNodeId: node.id,
        CacheNodeStatus: cluster.status === 'deleting' ? 'deleting' : node.status,
        CacheNodeCreateTime: new Date(cluster.createdAtMs),
        Endpoint: { Address: node.address, Port: intent.port },
        ParameterGroupStatus: 'in-sync',
        CustomerAvailabilityZone: node.zone,
      })),
    }),
    AutoMinorVersionUpgrade: intent.autoMinorVersionUpgrade,
    ...(group !== undefined && { ReplicationGroupId: group.id }),
    SnapshotRetentionLimit: 0,
    AuthTokenEnabled: false,
    TransitEncryptionEnabled: false,
    AtRestEncryptionEnabled: false,
    ARN: formatArn({ ...owner, resourceType: 'cluster', name: cluster.id }),
    ReplicationGroupLogDeliveryEnabled: false,
    LogDeliveryConfigurations: [],
    NetworkType: 'ipv4',
    IpDiscovery: 'ipv4',
  };
}
