/** One pass over a cache cluster: observe, plan, check the plan, execute, record. */
import type { Host } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { StartHistory } from '../reconciler/start-history.ts';
import { nodeIdOf } from './cache-cluster.ts';
import { checkPlan } from './check-plan.ts';
import { execute } from './execute.ts';
import { plan } from './plan.ts';
import { nextStatus } from './status.ts';
import { changeStatus, readCacheCluster } from './store.ts';

export interface ReconcileDeps {
  readonly database: Database;
  readonly host: Host;
  readonly maxmemoryBytes: (nodeType: string) => number;
  readonly nowMs: () => number;
  readonly starts: StartHistory;
  readonly logger: Logger;
}

export async function reconcileCacheCluster(deps: ReconcileDeps, id: string): Promise<PassOutcome> {
  const cluster = await readCacheCluster(deps.database, id);
  if (cluster === undefined) return 'gone';

  const observations = await deps.host.observe(cluster.nodes.map((node) => nodeIdOf(cluster, node)));
  const planned = plan({
    cluster,
    observations,
    earliestStartMs: deps.starts.earliestStartMs(observations, deps.nowMs()),
    nowMs: deps.nowMs(),
  });

  const violations = checkPlan(planned, cluster, observations);
  if (violations.length > 0) {
    deps.logger.error(
      { cluster: id, violations, steps: planned.steps },
      'A plan breaks its invariants; nothing was done.',
    );
    return 'settled';
  }

  for (const step of planned.steps) {
    deps.logger.info(
      { cluster: id, step: step.kind },
      `${step.kind} ${'node' in step ? step.node : ''}: ${step.because}`,
    );
    if (step.kind === 'start-node') deps.starts.started(nodeIdOf(cluster, { id: step.node }), deps.nowMs());
    await execute(deps, cluster, step);
    if (step.kind === 'forget-cluster') return 'gone';
  }

  const hopeless = cluster.status === 'creating' && deps.starts.keepFailing(observations);
  const event = planned.converged ? 'converged' : hopeless ? 'unable-to-create' : undefined;
  const status = event === undefined ? 'stay' : nextStatus(cluster.status, event);
  if (status !== 'stay' && status !== 'refuse') {
    await deps.database.transaction().execute(async (transaction) => {
      if (!(await changeStatus(transaction, id, { from: cluster.status, to: status }))) return;
      await recordEvent(transaction, {
        atMs: deps.nowMs(),
        sourceType: 'cache-cluster',
        sourceId: id,
        message:
          status === 'available'
            ? 'Cache cluster created'
            : `Cache cluster ${id} could not be created: its nodes end soon after they start; see their engine.log`,
      });
    });
  }
  if (planned.steps.length > 0) return 'again';
  return planned.waitingFor.length > 0 ? 'waiting' : 'settled';
}
