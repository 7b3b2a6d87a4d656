/** One pass over a cache cluster: observe, plan, check the plan, execute, record. */
import { type Host, type NodeObservation, SnapshotDamaged } from '@larder/fleet/host';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { ControlContext } from '../control-context.ts';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { type Environment, readEnvironment, wantedNode } from '../node/environment.ts';
import { recordGivenUp } from '../node/given-up.ts';
import { stillAsked } from '../parameter-group/settings.ts';
import { orderName } from '../placement/node-places.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { StartHistory } from '../reconciler/start-history.ts';
import { timedStep } from '../reconciler/timed-step.ts';
import { windowIsOpen } from '../request/maintenance-window.ts';
import { beginAutomaticSnapshot } from '../snapshot/automatic.ts';
import { waitsForSnapshot } from '../snapshot/final.ts';
import { sourceOfCluster } from '../snapshot/origin.ts';
import { readRestore } from '../snapshot/restore.ts';
import { describeData } from '../snapshot/seed.ts';
import type { CacheNotice } from '../topic/cache-notice.ts';
import { type CacheCluster, nodeIdOf } from './cache-cluster.ts';
import { checkPlan } from './check-plan.ts';
import { execute } from './execute.ts';
import { applyPending } from './modify.ts';
import { type Plan, plan } from './plan.ts';
import { routesOf } from './routes.ts';
import { nextStatus } from './status.ts';
import { changeStatus, readCacheCluster, setNodesAvailable, setParameterStatus } from './store.ts';

export interface ReconcileDeps {
  readonly database: Database;
  readonly host: Host;
  readonly router: Pick<RouterClient, 'put' | 'routes'>;
  readonly secrets: NodeSecrets;
  readonly nowMs: () => number;
  readonly starts: StartHistory;
  readonly wake: ControlContext['wake'];
  readonly logger: Logger;
}

export async function reconcileCacheCluster(deps: ReconcileDeps, id: string): Promise<PassOutcome> {
  const cluster = await readCacheCluster(deps.database, id);
  if (cluster === undefined) return 'gone';
  if (
    cluster.pending !== undefined &&
    cluster.status === 'available' &&
    windowIsOpen(cluster.intent.preferredMaintenanceWindow, deps.nowMs())
  ) {
    await applyPending(deps, id);
    return 'again';
  }
  if (cluster.status === 'deleting' && (await waitsForSnapshot(deps.database, cluster.finalSnapshot))) {
    return 'settled';
  }
  if (await beginAutomaticSnapshot(deps, sourceOfCluster(cluster))) return 'again';

  const environment = await readEnvironment(deps.database, cluster.intent);
  const nodeIds = cluster.nodes.map((node) => nodeIdOf(cluster, node));
  const wanted = (node: string) =>
    wantedNode(environment, cluster.intent, deps, nodeIdOf(cluster, { id: node }));
  const { restoreFrom } = cluster.intent;
  const restore =
    cluster.status !== 'creating' || restoreFrom === undefined
      ? undefined
      : await readRestore(deps.database, restoreFrom, wanted(cluster.nodes[0]!.id).maxmemoryBytes);
  if (restore?.kind === 'impossible') {
    await failRestore(deps, cluster, restore.because);
    return 'again';
  }
  if (restore?.kind === 'waiting') return 'settled';
  const startData = () => {
    if (restore?.kind !== 'data') throw new Error(`${id} begins with no snapshot.`);
    return restore.of([]);
  };
  const observations = await deps.host.observe(nodeIds);
  const planned = plan({
    cluster,
    observations,
    settings: await deps.host.readSettings(nodeIds),
    wanted,
    routes: await routesOf(
      deps,
      orderName({ resource: 'cache-cluster', id: cluster.id }),
      cluster,
      wanted,
      observations,
    ),
    earliestStartMs: deps.starts.earliestStartMs(observations, deps.nowMs()),
    nowMs: deps.nowMs(),
  });

  const violations = checkPlan(planned, cluster, observations);
  if (violations.length > 0) {
    const kinds = planned.steps.map(({ kind }) => kind);
    deps.logger.error({ cluster: id, violations, kinds }, 'A plan breaks its invariants; nothing was done.');
    return 'settled';
  }

  for (const step of planned.steps) {
    deps.logger.info(
      { cluster: id, step: step.kind },
      `${step.kind} ${'node' in step ? step.node : ''}: ${step.because}`,
    );
    if (step.kind === 'start-node') deps.starts.started(nodeIdOf(cluster, { id: step.node }), deps.nowMs());
    if (step.kind === 'stop-node') deps.starts.restarting(nodeIdOf(cluster, { id: step.node }));
    try {
      await timedStep(step.kind, () => execute({ ...deps, wanted, startData }, cluster, step));
    } catch (error) {
      if (!(error instanceof SnapshotDamaged)) throw error;
      await failRestore(deps, cluster, error.message);
      return 'again';
    }
    if (step.kind === 'forget-cluster') return 'gone';
  }
  await recordGivenUp(deps, observations);
  await record(deps, cluster, planned, environment, observations);
  if (planned.steps.length > 0) return 'again';
  return planned.waitingFor.length > 0 ? 'waiting' : 'settled';
}

async function failRestore(
  { database, nowMs }: ReconcileDeps,
  { id, intent, status }: CacheCluster,
  because: string,
): Promise<void> {
  const to = nextStatus(status, 'unable-to-restore');
  if (to === 'stay' || to === 'refuse') return;
  await database.transaction().execute(async (transaction) => {
    if (!(await changeStatus(transaction, id, { from: status, to }))) return;
    const event = {
      atMs: nowMs(),
      sourceType: 'cache-cluster' as const,
      sourceId: id,
      message: `Cache cluster ${id} could not be restored from ${describeData(intent.restoreFrom!)}: ${because}`,
    };
    await recordEvent(transaction, event, 'CacheClusterProvisioningFailed');
  });
}

async function record(
  { database, nowMs, starts }: ReconcileDeps,
  cluster: CacheCluster,
  planned: Plan,
  environment: Environment,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<void> {
  const hopeless = cluster.status === 'creating' && starts.keepFailing(observations);
  const unable = cluster.intent.restoreFrom === undefined ? 'unable-to-create' : 'unable-to-restore';
  const event = planned.converged ? 'converged' : hopeless ? unable : undefined;
  const status = event === undefined ? 'stay' : nextStatus(cluster.status, event);
  const parameters = cluster.nodes.flatMap((node) => {
    const found = planned.parameterStatus.get(node.id);
    return found === undefined || found === node.parameterStatus ? [] : [[node.id, found] as const];
  });
  const restarted = planned.converged ? cluster.nodes.filter((node) => node.status !== 'available') : [];
  if (status === 'stay' && parameters.length === 0 && restarted.length === 0) return;

  await database.transaction().execute(async (transaction) => {
    if (parameters.length > 0 && (await stillAsked(transaction, cluster.intent, environment.parameters))) {
      for (const [node, found] of parameters) await setParameterStatus(transaction, cluster.id, node, found);
    }
    if (restarted.length > 0) {
      await setNodesAvailable(transaction, cluster.id);
      for (const { id } of restarted.filter((node) => node.status === 'rebooting')) {
        const event = {
          atMs: nowMs(),
          sourceType: 'cache-cluster' as const,
          sourceId: cluster.id,
          message: `Cache node ${id} restarted`,
        };
        await recordEvent(transaction, event, 'CacheNodesRebooted');
      }
    }
    if (status === 'stay' || status === 'refuse') return;
    if (!(await changeStatus(transaction, cluster.id, { from: cluster.status, to: status }))) return;
    const said = {
      atMs: nowMs(),
      sourceType: 'cache-cluster' as const,
      sourceId: cluster.id,
      message: statusMessage(cluster, status),
    };
    await recordEvent(transaction, said, statusNotice(cluster, status));
  });
}

/** What the cluster's topic is told. A change that added nodes is their arrival. */
function statusNotice({ status, nodes }: CacheCluster, to: CacheCluster['status']): CacheNotice | undefined {
  if (to === 'create-failed' || to === 'restore-failed') return 'CacheClusterProvisioningFailed';
  if (status === 'creating') return 'CacheClusterProvisioningComplete';
  const added = status === 'modifying' && nodes.some((node) => node.status === 'creating');
  return added ? 'AddCacheNodeComplete' : undefined;
}

function statusMessage({ id, status, nodes }: CacheCluster, to: CacheCluster['status']): string {
  if (to === 'create-failed' || to === 'restore-failed') {
    return `Cache cluster ${id} could not be created: its nodes end soon after they start; see their engine.log`;
  }
  if (status === 'creating') return 'Cache cluster created';
  return status === 'modifying'
    ? `Finished modifying cache cluster ${id}; it has ${nodes.length} nodes`
    : `Finished rebooting nodes of cache cluster ${id}`;
}
