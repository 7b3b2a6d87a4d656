/** Cache clusters as ElastiCache shows them: those of their own, and every member of a replication group. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { cacheNodeIdOf, formatArn } from '@larder/contract/ids';
import { shownVersion } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import { type LogFailures, noFailures } from '../log-delivery/log-failures.ts';
import type { PendingChange, ServiceIntent } from '../node/service-intent.ts';
import { showEncryption, showLogDelivery } from '../node/show-service.ts';
import type { ParameterStatus } from '../node/wanted-node.ts';
import type { Owner } from '../replication-group/describe.ts';
import { type Member, membersOf, type ReplicationGroup } from '../replication-group/replication-group.ts';
import { readReplicationGroup, readReplicationGroups } from '../replication-group/store.ts';
import { cutPage, readPage } from '../request/page.ts';
import { defaultSnapshotWindow } from '../request/snapshot-window.ts';
import { defaultSubnetGroup } from '../subnet-group/subnet-group.ts';
import type { CacheCluster, CacheNode } from './cache-cluster.ts';
import { notFound } from './requests.ts';
import { readCacheCluster, readCacheClusters } from './store.ts';

type Shown = NonNullable<Output<'DescribeCacheClusters'>['CacheClusters']>[number];

/** A cluster of its own, or one that is a member. */
interface Described {
  readonly cluster: Pick<
    CacheCluster,
    'id' | 'createdAtMs' | 'nodes' | 'pending' | 'configurationAddress'
  > & {
    readonly status: string;
  };
  readonly intent: ServiceIntent;
  readonly group?: ReplicationGroup;
}

/** @throws ServiceError CacheClusterNotFound when one was asked for by id and is not there. */
export async function describeCacheClusters(
  context: ControlContext,
  owner: Owner,
  input: Input<'DescribeCacheClusters'>,
): Promise<Output<'DescribeCacheClusters'>> {
  const failuresOf = ({ group, cluster }: Described) =>
    group === undefined
      ? context.logFailures('cache-cluster', cluster.id)
      : context.logFailures('replication-group', group.id);
  const show = (each: Described) =>
    showDescribed(each, owner, input.ShowCacheNodeInfo ?? false, failuresOf(each));
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
      host: member.host,
      address: member.address,
      status: member.status,
      generation: member.generation,
      parameterStatus: member.parameterStatus,
      createdAtMs: member.createdAtMs,
    };
    const { id, createdAtMs } = member;
    const pending = group.pending !== undefined && { pending: group.pending };
    return {
      group,
      intent: group.intent,
      cluster: { id, createdAtMs, nodes: [node], status: memberStatus(group, member), ...pending },
    };
  });
}

function memberStatus(group: ReplicationGroup, { status }: Member): string {
  if (group.status === 'deleting') return 'deleting';
  if (status !== 'available') return status;
  return group.status === 'modifying' || group.status === 'snapshotting' ? group.status : 'available';
}

export function showMember(group: ReplicationGroup, id: string, owner: Owner): Shown {
  const found = describeMembers(group).find(({ cluster }) => cluster.id === id);
  if (found === undefined) throw notFound(id);
  return showDescribed(found, owner, false);
}

function showDescribed(
  { cluster, intent, group }: Described,
  owner: Owner,
  withNodes: boolean,
  logFailures: LogFailures = noFailures,
): Shown {
  const zones = new Set(cluster.nodes.map(({ zone }) => zone));
  const discovery = cluster.configurationAddress;
  const takesSnapshots = group?.intent.snapshottingClusterId === cluster.id || group === undefined;
  const rebooting = cluster.nodes.filter(({ parameterStatus }) => parameterStatus === 'pending-reboot');
  return {
    CacheClusterId: cluster.id,
    ...(discovery !== undefined && { ConfigurationEndpoint: { Address: discovery, Port: intent.port } }),
    CacheNodeType: intent.nodeType,
    Engine: intent.engine,
    EngineVersion: shownVersion(intent.engine, intent.engineVersion),
    CacheClusterStatus: cluster.status,
    NumCacheNodes: cluster.nodes.filter(({ status }) => status !== 'deleting').length,
    PreferredAvailabilityZone: zones.size === 1 ? [...zones][0]! : 'Multiple',
    CacheClusterCreateTime: new Date(cluster.createdAtMs),
    PreferredMaintenanceWindow: intent.preferredMaintenanceWindow,
    PendingModifiedValues: showPending(cluster.pending, intent),
    ...(intent.notification !== undefined && {
      NotificationConfiguration: {
        TopicArn: intent.notification.topicArn,
        TopicStatus: intent.notification.active ? 'active' : 'inactive',
      },
    }),
    CacheSecurityGroups: [],
    CacheParameterGroup: {
      CacheParameterGroupName: intent.parameterGroup,
      ParameterApplyStatus: applyStatus(cluster.nodes),
      CacheNodeIdsToReboot: rebooting.map(({ id }) => id),
    },
    CacheSubnetGroupName: intent.subnetGroup ?? defaultSubnetGroup,
    ...(withNodes && { CacheNodes: cluster.nodes.map((node) => showNode(node, cluster.status, intent)) }),
    AutoMinorVersionUpgrade: intent.autoMinorVersionUpgrade,
    SecurityGroups: intent.securityGroupIds.map((id) => ({ SecurityGroupId: id, Status: 'active' })),
    ...(group !== undefined && { ReplicationGroupId: group.id }),
    SnapshotRetentionLimit: takesSnapshots ? intent.snapshotRetentionDays : 0,
    ...(intent.engine !== 'memcached' && { SnapshotWindow: intent.snapshotWindow ?? defaultSnapshotWindow }),
    ...showEncryption(intent),
    ARN: formatArn({ ...owner, resourceType: 'cluster', name: cluster.id }),
    ReplicationGroupLogDeliveryEnabled: group !== undefined && intent.logDelivery.length > 0,
    LogDeliveryConfigurations: showLogDelivery(intent, logFailures),
    NetworkType: 'ipv4',
    IpDiscovery: 'ipv4',
  };
}

function showNode(node: CacheNode, clusterStatus: string, { port }: ServiceIntent) {
  return {
    CacheNodeId: node.id,
    CacheNodeStatus: clusterStatus === 'deleting' ? 'deleting' : node.status,
    CacheNodeCreateTime: new Date(node.createdAtMs),
    Endpoint: { Address: node.address, Port: port },
    ParameterGroupStatus: node.parameterStatus,
    CustomerAvailabilityZone: node.zone,
  };
}

function showPending(pending: PendingChange | undefined, { engine }: ServiceIntent) {
  return {
    ...(pending?.engineVersion !== undefined && {
      EngineVersion: shownVersion(engine, pending.engineVersion),
    }),
    ...(pending?.nodeType !== undefined && { CacheNodeType: pending.nodeType }),
    ...(pending?.nodeCount !== undefined && { NumCacheNodes: pending.nodeCount }),
    ...(pending?.nodeIdsToRemove !== undefined && { CacheNodeIdsToRemove: [...pending.nodeIdsToRemove] }),
  };
}

/** The furthest from done of the nodes'. */
function applyStatus(nodes: readonly CacheNode[]): ParameterStatus {
  const all = new Set(nodes.map(({ parameterStatus }) => parameterStatus));
  return all.has('applying') ? 'applying' : all.has('pending-reboot') ? 'pending-reboot' : 'in-sync';
}
