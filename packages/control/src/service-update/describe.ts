/** Service updates and what has become of them, as ElastiCache shows them. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { engineTraits, releaseOf } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import { nodeIdOf } from '../replication-group/replication-group.ts';
import { cutPage, readPage } from '../request/page.ts';
import { readUpdatables, type Updatable } from './resources.ts';
import { appliesTo, type ServiceUpdate, statusOf, type UpdateAction, updatesOf } from './service-update.ts';
import { readUpdateActions } from './store.ts';

type ShownAction = NonNullable<Output<'DescribeUpdateActions'>['UpdateActions']>[number];

/** Every newer build that some engine line here can be brought to. @throws ServiceError ServiceUpdateNotFoundFault */
export async function describeServiceUpdates(
  context: ControlContext,
  input: Input<'DescribeServiceUpdates'>,
): Promise<Output<'DescribeServiceUpdates'>> {
  const { limit, after } = readPage(input);
  const wanted = input.ServiceUpdateStatus ?? [];
  const updates = (await readUpdates(context))
    .filter(({ name }) => input.ServiceUpdateName === undefined || name === input.ServiceUpdateName)
    .filter(() => wanted.length === 0 || wanted.includes('available'));
  if (input.ServiceUpdateName !== undefined && updates.length === 0 && wanted.length === 0) {
    throw updateNotFound(input.ServiceUpdateName);
  }
  const rest = updates.filter(({ name }) => after === undefined || name > after);
  const { items, ...marker } = cutPage(rest.slice(0, limit + 1), limit, ({ name }) => name);
  return {
    ServiceUpdates: items.map(({ name, engine, version, detail }) => ({
      ServiceUpdateName: name,
      ServiceUpdateSeverity: 'important',
      ServiceUpdateStatus: 'available',
      ServiceUpdateDescription: `${engineTraits[engine].title} ${releaseOf(version)}, from the package ${detail}`,
      ServiceUpdateType: 'security-update',
      Engine: engine,
      EngineVersion: `${engineTraits[engine].title} ${releaseOf(version)}`,
      AutoUpdateAfterRecommendedApplyByDate: false,
      EstimatedUpdateTime: 'a few seconds per node',
    })),
    ...marker,
  };
}

/** In the order of their names. */
export async function readUpdates({ engines }: Pick<ControlContext, 'engines'>): Promise<ServiceUpdate[]> {
  return updatesOf(await engines.list())
    .filter(({ engine }) => engineTraits[engine].replicates)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function updateNotFound(name: string) {
  return serviceError('ServiceUpdateNotFoundFault', `There is no service update ${name.slice(0, 100)}.`);
}

/** One for each update and each group or cluster it fits, or was applied to. */
export async function describeUpdateActions(
  context: ControlContext,
  input: Input<'DescribeUpdateActions'>,
): Promise<Output<'DescribeUpdateActions'>> {
  const { limit, after } = readPage(input);
  const { from, to } = timeRange(input);
  const updates = await readUpdates(context);
  const actions = await readUpdateActions(context.database);
  const groupIds = input.ReplicationGroupIds?.map((id) => id.toLowerCase());
  const clusterIds = input.CacheClusterIds?.map((id) => id.toLowerCase());
  const named = groupIds !== undefined || clusterIds !== undefined;
  const resources = (await readUpdatables(context)).filter(
    ({ resource, id }) =>
      !named || (resource === 'replication-group' ? groupIds : clusterIds)?.includes(id) === true,
  );
  const rows = updates
    .filter(({ name }) => input.ServiceUpdateName === undefined || name === input.ServiceUpdateName)
    .filter(({ engine }) => input.Engine === undefined || engine === input.Engine.toLowerCase())
    .flatMap((update) =>
      resources.flatMap((each) => {
        const action = actions.find(
          ({ update: name, resource, id }) =>
            name === update.name && resource === each.resource && id === each.id,
        );
        if (action === undefined && !appliesTo(update, each.intent)) return [];
        const startedAtMs = action?.startedAtMs;
        if (startedAtMs !== undefined && (startedAtMs < from || startedAtMs > to)) return [];
        return [
          {
            key: `${update.name} ${each.resource} ${each.id}`,
            shown: showAction(update, each, action, input.ShowNodeLevelUpdateStatus === true),
          },
        ];
      }),
    )
    .filter(({ shown }) => fits(input.UpdateActionStatus, shown.UpdateActionStatus))
    .filter(() => fits(input.ServiceUpdateStatus, 'available'))
    .filter(({ key }) => after === undefined || key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const { items, ...marker } = cutPage(rows.slice(0, limit + 1), limit, ({ key }) => key);
  return { UpdateActions: items.map(({ shown }) => shown), ...marker };
}

function timeRange({ ServiceUpdateTimeRange: range }: Input<'DescribeUpdateActions'>) {
  const from = range?.StartTime?.getTime() ?? 0;
  const to = range?.EndTime?.getTime() ?? Number.POSITIVE_INFINITY;
  if (from > to) {
    throw serviceError('InvalidParameterCombinationException', 'StartTime must not be after EndTime.');
  }
  return { from, to };
}

function fits(wanted: readonly string[] | undefined, status: string | undefined): boolean {
  return wanted === undefined || wanted.length === 0 || (status !== undefined && wanted.includes(status));
}

function showAction(
  update: ServiceUpdate,
  each: Updatable,
  action: UpdateAction | undefined,
  withNodes: boolean,
): ShownAction {
  const done = (nodeId: string) =>
    each.nodes.some((node) => node.nodeId === nodeId && node.version === update.version);
  const updated = each.nodes.filter(({ nodeId }) => done(nodeId)).length;
  const status = statusOf(action, { all: each.nodes.length, updated }, each.status);
  const nodeStatus = (nodeId: string) =>
    done(nodeId) ? 'complete' : status === 'complete' ? 'complete' : status;
  const isGroup = each.resource === 'replication-group';
  return {
    ...(isGroup ? { ReplicationGroupId: each.id } : { CacheClusterId: each.id }),
    ServiceUpdateName: update.name,
    ServiceUpdateSeverity: 'important',
    ServiceUpdateStatus: 'available',
    ServiceUpdateType: 'security-update',
    UpdateActionStatus: status,
    ...(action !== undefined && {
      UpdateActionAvailableDate: new Date(action.startedAtMs),
      UpdateActionStatusModifiedDate: new Date(action.startedAtMs),
    }),
    NodesUpdated: `${updated}/${each.nodes.length}`,
    SlaMet: 'n/a',
    Engine: each.intent.engine,
    EstimatedUpdateTime: 'a few seconds per node',
    ...(withNodes &&
      isGroup && {
        NodeGroupUpdateStatus: each.nodeGroups.map((nodeGroup) => ({
          NodeGroupId: nodeGroup.id,
          NodeGroupMemberUpdateStatus: nodeGroup.members.map((member) => ({
            CacheClusterId: member.id,
            CacheNodeId: '0001',
            NodeUpdateStatus: nodeStatus(nodeIdOf(member)),
          })),
        })),
      }),
    ...(withNodes &&
      !isGroup && {
        CacheNodeUpdateStatus: each.nodes.map(({ cacheNodeId, nodeId }) => ({
          CacheNodeId: cacheNodeId,
          NodeUpdateStatus: nodeStatus(nodeId),
        })),
      }),
  };
}
