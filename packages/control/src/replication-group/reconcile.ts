/**
 * One pass over a replication group: observe, plan, check the plan, execute, record. Read this first.
 *
 * A pass begins from what is written down and what is seen now, never from what an earlier pass meant to do. So
 * a service that was killed between two steps goes on by making an ordinary pass.
 */
import type { Host, NodeObservation } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { StartHistory } from '../reconciler/start-history.ts';
import { checkPlan } from './check-plan.ts';
import { describeStep, execute } from './execute.ts';
import { plan } from './plan.ts';
import { membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import { nextStatus } from './status.ts';
import type { Plan } from './step.ts';
import { changeStatus, markFormed, readReplicationGroup, setLineage } from './store.ts';

export interface ReconcileDeps {
  readonly database: Database;
  readonly host: Host;
  readonly maxmemoryBytes: (nodeType: string) => number;
  readonly nowMs: () => number;
  readonly starts: StartHistory;
  readonly logger: Logger;
}

export async function reconcileReplicationGroup(deps: ReconcileDeps, id: string): Promise<PassOutcome> {
  let group = await readReplicationGroup(deps.database, id);
  if (group === undefined) return 'gone';

  const nodeIds = membersOf(group).map(nodeIdOf);
  const observations = await deps.host.observe(nodeIds);
  const planned = plan({
    group,
    observations,
    earliestStartMs: deps.starts.earliestStartMs(observations, deps.nowMs()),
    nowMs: deps.nowMs(),
  });

  const violations = checkPlan(planned, group, observations);
  if (violations.length > 0) {
    deps.logger.error(
      { group: id, violations, steps: planned.steps },
      'A plan breaks its invariants; nothing was done.',
    );
    return 'settled';
  }

  for (const step of planned.steps) {
    deps.logger.info({ group: id, epoch: group.epoch, step: step.kind }, describeStep(step));
    if (step.kind === 'start-node') deps.starts.started(nodeIdOf({ id: step.member }), deps.nowMs());
    group = await execute(deps, group, step);
    if (step.kind === 'forget-group') return 'gone';
  }
  await record(deps, group, planned, observations);

  if (planned.steps.length > 0) return 'again';
  // Nothing wakes us when a replica has caught up or a cluster has agreed: look again soon.
  return planned.waitingFor.length > 0 ? 'waiting' : 'settled';
}

async function record(
  { database, nowMs, starts }: ReconcileDeps,
  group: ReplicationGroup,
  planned: Plan,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<void> {
  const hopeless = group.status === 'creating' && starts.keepFailing(observations);
  const event = planned.converged ? 'converged' : hopeless ? 'unable-to-create' : undefined;
  const status = event === undefined ? 'stay' : nextStatus(group.status, event);
  const unformed = planned.converged && group.nodeGroups.some(({ formed }) => !formed);
  if (planned.lineages.size === 0 && status === 'stay' && !unformed) return;

  await database.transaction().execute(async (transaction) => {
    for (const [nodeGroup, lineage] of planned.lineages) {
      await setLineage(transaction, group.id, nodeGroup, lineage);
    }
    if (unformed) await markFormed(transaction, group.id);
    if (status === 'stay' || status === 'refuse') return;
    if (!(await changeStatus(transaction, group.id, { from: group.status, to: status }))) return;
    await recordEvent(transaction, {
      atMs: nowMs(),
      sourceType: 'replication-group',
      sourceId: group.id,
      message:
        status === 'available'
          ? `Replication group ${group.id} created`
          : `Replication group ${group.id} could not be created: its nodes end soon after they start; see their engine.log`,
    });
  });
}
