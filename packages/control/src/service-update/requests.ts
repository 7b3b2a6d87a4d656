/** BatchApplyUpdateAction and BatchStopUpdateAction. The nodes follow as they follow any change of version. */
import type { Input, Output } from '@larder/contract/elasticache/model';
import { isServiceError, serviceError } from '@larder/contract/errors';
import { nextStatus as nextClusterStatus } from '../cache-cluster/status.ts';
import * as clusters from '../cache-cluster/store.ts';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { ServiceIntent } from '../node/service-intent.ts';
import { nextStatus } from '../replication-group/status.ts';
import * as groups from '../replication-group/store.ts';
import { readUpdates, updateNotFound } from './describe.ts';
import { appliesTo, type ServiceUpdate, type UpdatedResource } from './service-update.ts';
import { readUpdateActions, writeUpdateAction } from './store.ts';

type Batch = Input<'BatchApplyUpdateAction'>;
type Answer = Output<'BatchApplyUpdateAction'>;
type Work = (
  transaction: DatabaseTransaction,
  target: { readonly resource: UpdatedResource; readonly id: string },
) => Promise<string>;

const mostTargets = 50;

/** Each group and cluster for itself: what can't be done is told beside what can. @throws ServiceError ServiceUpdateNotFoundFault */
export async function applyUpdate(context: ControlContext, input: Batch): Promise<Answer> {
  const update = await findUpdate(context, input.ServiceUpdateName);
  return forEachTarget(context, input, update, async (transaction, { resource, id }) => {
    await (resource === 'replication-group'
      ? raiseGroup(transaction, id, update)
      : raiseCluster(transaction, id, update));
    await writeUpdateAction(transaction, {
      update: update.name,
      resource,
      id,
      startedAtMs: context.nowMs(),
      stopped: false,
    });
    await tell(transaction, context.nowMs(), resource, id, `Applying service update ${update.name}`);
    return 'in-progress';
  });
}

/** The node under way is finished; nothing is rolled back. */
export async function stopUpdate(
  context: ControlContext,
  input: Input<'BatchStopUpdateAction'>,
): Promise<Output<'BatchStopUpdateAction'>> {
  const update = await findUpdate(context, input.ServiceUpdateName);
  return forEachTarget(context, input, update, async (transaction, { resource, id }) => {
    const action = (await readUpdateActions(transaction)).find(
      (each) => each.update === update.name && each.resource === resource && each.id === id,
    );
    if (action === undefined || action.stopped) {
      throw serviceError(
        'InvalidParameterValueException',
        `Service update ${update.name} is not under way there.`,
      );
    }
    if (resource === 'cache-cluster') {
      throw serviceError('InvalidParameterValueException', 'A cluster of one node is updated in one step.');
    }
    const group = await groups.readReplicationGroup(transaction, id);
    if (group === undefined) throw missing('ReplicationGroupNotFoundFault', id);
    await groups.writeIntent(transaction, { ...group, intent: { ...group.intent, holdsVersions: true } });
    await writeUpdateAction(transaction, { ...action, stopped: true });
    await tell(transaction, context.nowMs(), resource, id, `Stopping service update ${update.name}`);
    return 'stopping';
  });
}

async function findUpdate(context: ControlContext, name: string): Promise<ServiceUpdate> {
  const update = (await readUpdates(context)).find((each) => each.name === name);
  if (update === undefined) throw updateNotFound(name);
  return update;
}

async function forEachTarget(
  context: ControlContext,
  { ReplicationGroupIds: groupIds = [], CacheClusterIds: clusterIds = [] }: Batch,
  update: ServiceUpdate,
  work: Work,
): Promise<Answer> {
  const targets = [
    ...groupIds.map((id) => ({ resource: 'replication-group' as const, id: id.toLowerCase() })),
    ...clusterIds.map((id) => ({ resource: 'cache-cluster' as const, id: id.toLowerCase() })),
  ];
  if (targets.length === 0 || targets.length > mostTargets) {
    throw serviceError(
      'InvalidParameterValueException',
      `Name 1 to ${mostTargets} replication groups or cache clusters; got ${targets.length}.`,
    );
  }
  const processed: NonNullable<Answer['ProcessedUpdateActions']> = [];
  const unprocessed: NonNullable<Answer['UnprocessedUpdateActions']> = [];
  for (const target of targets) {
    const named =
      target.resource === 'replication-group'
        ? { ReplicationGroupId: target.id }
        : { CacheClusterId: target.id };
    try {
      const status = await context.database.transaction().execute((transaction) => work(transaction, target));
      processed.push({
        ...named,
        ServiceUpdateName: update.name,
        UpdateActionStatus: status as 'in-progress',
      });
      context.wake(target.resource, target.id);
    } catch (error) {
      if (!isServiceError(error)) throw error;
      unprocessed.push({
        ...named,
        ServiceUpdateName: update.name,
        ErrorType: error.code,
        ErrorMessage: error.message,
      });
    }
  }
  return { ProcessedUpdateActions: processed, UnprocessedUpdateActions: unprocessed };
}

async function raiseGroup(
  transaction: DatabaseTransaction,
  id: string,
  update: ServiceUpdate,
): Promise<void> {
  const group = await groups.readReplicationGroup(transaction, id);
  if (group === undefined) throw missing('ReplicationGroupNotFoundFault', id);
  // A rollout that was stopped goes on.
  const resumes = group.intent.holdsVersions === true && group.intent.engineVersion === update.version;
  if (!resumes) checkFit(update, group.intent, id);
  const status = nextStatus(group.status, 'modify-requested');
  if (status === 'refuse' || status === 'stay') {
    throw serviceError('InvalidReplicationGroupStateFault', `Replication group ${id} is ${group.status}.`);
  }
  const { holdsVersions: _, ...intent } = group.intent;
  await groups.writeIntent(transaction, { ...group, intent: { ...intent, engineVersion: update.version } });
  await groups.changeStatus(transaction, id, { from: group.status, to: status });
}

async function raiseCluster(
  transaction: DatabaseTransaction,
  id: string,
  update: ServiceUpdate,
): Promise<void> {
  const cluster = await clusters.readCacheCluster(transaction, id);
  if (cluster === undefined) throw missing('CacheClusterNotFoundFault', id);
  checkFit(update, cluster.intent, id);
  const status = nextClusterStatus(cluster.status, 'modify-requested');
  if (status === 'refuse' || status === 'stay') {
    throw serviceError('InvalidCacheClusterStateFault', `Cache cluster ${id} is ${cluster.status}.`);
  }
  const intent = { ...cluster.intent, engineVersion: update.version };
  await clusters.writeIntent(transaction, { ...cluster, intent });
  await clusters.changeStatus(transaction, id, { from: cluster.status, to: status });
}

function checkFit(update: ServiceUpdate, intent: ServiceIntent, id: string): void {
  if (appliesTo(update, intent)) return;
  throw serviceError(
    'InvalidParameterValueException',
    `Service update ${update.name} does not fit ${id}, which runs ${intent.engine} ${intent.engineVersion}.`,
  );
}

function missing(error: 'ReplicationGroupNotFoundFault' | 'CacheClusterNotFoundFault', id: string) {
  return serviceError(error, `${id} not found.`);
}

async function tell(
  transaction: DatabaseTransaction,
  atMs: number,
  sourceType: UpdatedResource,
  sourceId: string,
  message: string,
): Promise<void> {
  await recordEvent(transaction, { atMs, sourceType, sourceId, message });
}
