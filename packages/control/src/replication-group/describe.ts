/** Groups as ElastiCache shows them. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { cacheNodeIdOf, formatArn } from '@larder/contract/ids';
import { countSlots, formatSlots, withoutSlots } from '@larder/engine/slots';
import type { ControlContext } from '../control-context.ts';
import { type LogFailures, noFailures } from '../log-delivery/log-failures.ts';
import { showEncryption, showLogDelivery } from '../node/show-service.ts';
import { cutPage, readPage } from '../request/page.ts';
import { defaultSnapshotWindow } from '../request/snapshot-window.ts';
import { type Member, membersOf, type NodeGroup, type ReplicationGroup } from './replication-group.ts';
import { notFound } from './requests.ts';
import { readReplicationGroup, readReplicationGroups } from './store.ts';

type Shown = NonNullable<Output<'DescribeReplicationGroups'>['ReplicationGroups']>[number];
type ShownNodeGroup = NonNullable<Shown['NodeGroups']>[number];

export interface Owner {
  readonly region: string;
  readonly accountId: string;
}

/** @throws ServiceError ReplicationGroupNotFoundFault when one was asked for by id and is not there. */
export async function describeReplicationGroups(
  context: ControlContext,
  owner: Owner,
  input: Input<'DescribeReplicationGroups'>,
): Promise<Output<'DescribeReplicationGroups'>> {
  const show = (group: ReplicationGroup) =>
    showReplicationGroup(group, owner, context.logFailures('replication-group', group.id));
  if (input.ReplicationGroupId !== undefined) {
    const id = input.ReplicationGroupId.toLowerCase();
    const group = await readReplicationGroup(context.database, id);
    if (group === undefined) throw notFound(id);
    return { ReplicationGroups: [show(group)] };
  }
  const { limit, after } = readPage(input);
  const fetched = await readReplicationGroups(context.database, {
    limit: limit + 1,
    ...(after !== undefined && { afterId: after }),
  });
  const { items, ...marker } = cutPage(fetched, limit, ({ id }) => id);
  return { ReplicationGroups: items.map(show), ...marker };
}

export function showReplicationGroup(
  group: ReplicationGroup,
  owner: Owner,
  logFailures: LogFailures = noFailures,
): Shown {
  const { intent } = group;
  return {
    ReplicationGroupId: group.id,
    Description: intent.description,
    Status: group.status,
    PendingModifiedValues: showPending(group),
    MemberClusters: membersOf(group).map(({ id }) => id),
    NodeGroups: group.nodeGroups.map((nodeGroup) => showNodeGroup(group, nodeGroup)),
    AutomaticFailover: intent.automaticFailover ? 'enabled' : 'disabled',
    MultiAZ: intent.multiAz ? 'enabled' : 'disabled',
    ...(group.configurationAddress !== undefined && {
      ConfigurationEndpoint: { Address: group.configurationAddress, Port: intent.port },
    }),
    ...(intent.snapshottingClusterId !== undefined && {
      SnapshottingClusterId: intent.snapshottingClusterId,
    }),
    SnapshotRetentionLimit: intent.snapshotRetentionDays,
    SnapshotWindow: intent.snapshotWindow ?? defaultSnapshotWindow,
    ClusterEnabled: intent.clusterEnabled,
    ClusterMode: intent.clusterMode,
    CacheNodeType: intent.nodeType,
    ...showEncryption(intent),
    ARN: formatArn({ ...owner, resourceType: 'replicationgroup', name: group.id }),
    UserGroupIds: [...intent.userGroupIds],
    LogDeliveryConfigurations: showLogDelivery(intent, logFailures),
    ReplicationGroupCreateTime: new Date(group.createdAtMs),
    DataTiering: 'disabled',
    AutoMinorVersionUpgrade: intent.autoMinorVersionUpgrade,
    NetworkType: 'ipv4',
    IpDiscovery: 'ipv4',
    Engine: intent.engine,
  };
}

/** What was accepted and is not true yet. Node type and version are shown by the members, as on ElastiCache. */
function showPending(group: ReplicationGroup): Shown['PendingModifiedValues'] {
  const to = group.nodeGroups[0]?.handover?.to;
  const progress = reshardingProgress(group);
  return {
    ...(progress !== undefined && {
      Resharding: { SlotMigration: { ProgressPercentage: progress } },
    }),
    ...(to !== undefined && { PrimaryClusterId: to }),
  };
}

/** How much of what is to move has moved, in percent; undefined when nothing is on its way. */
function reshardingProgress({ nodeGroups }: ReplicationGroup): number | undefined {
  if (nodeGroups.every(({ resharding }) => resharding === undefined)) return undefined;
  const all = nodeGroups.reduce((sum, { resharding }) => sum + (resharding?.gains ?? 0), 0);
  const left = nodeGroups.reduce(
    (sum, { resharding, slots }) => sum + countSlots(withoutSlots(resharding?.slots ?? [], slots)),
    0,
  );
  return all === 0 ? 100 : Math.round((100 * (all - Math.min(left, all))) / all);
}

function showNodeGroup(group: ReplicationGroup, nodeGroup: NodeGroup): ShownNodeGroup {
  const { clusterEnabled, port } = group.intent;
  // Until the nodes were in sync once an endpoint may lead nowhere; ElastiCache shows none before that either.
  const endpoint = (address: string | undefined) =>
    address === undefined || !nodeGroup.formed ? undefined : { Address: address, Port: port };
  const primary = endpoint(nodeGroup.primaryAddress);
  const reader = endpoint(nodeGroup.readerAddress);
  return {
    NodeGroupId: nodeGroup.id,
    Status: statusOf(group, nodeGroup),
    ...(primary !== undefined && { PrimaryEndpoint: primary }),
    ...(reader !== undefined && { ReaderEndpoint: reader }),
    ...(clusterEnabled && { Slots: formatSlots(nodeGroup.slots) }),
    NodeGroupMembers: nodeGroup.members.map((member) => ({
      CacheClusterId: member.id,
      CacheNodeId: cacheNodeIdOf(1),
      PreferredAvailabilityZone: member.zone,
      // The model gives these two to groups without cluster mode only.
      ...(!clusterEnabled && {
        CurrentRole: roleOf(nodeGroup, member),
        ReadEndpoint: { Address: member.address, Port: port },
      }),
    })),
  };
}

function statusOf(group: ReplicationGroup, { formed }: NodeGroup): string {
  if (group.status === 'deleting') return 'deleting';
  if (!formed) return 'creating';
  return group.status === 'modifying' ? 'modifying' : 'available';
}

function roleOf(nodeGroup: NodeGroup, member: Member): 'primary' | 'replica' {
  return member.id === nodeGroup.primary ? 'primary' : 'replica';
}
