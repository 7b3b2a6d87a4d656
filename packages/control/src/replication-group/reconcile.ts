/**
 * One pass over a replication group: observe, plan, check the plan, execute, record. Read this first.
 *
 * A pass begins from what is written down and what is seen now, never from what an earlier pass meant to do. So
 * a service that was killed between two steps goes on by making an ordinary pass.
 *
 * Roles come first, settings second: a pass that changed roles, or waits for one, leaves settings to the next.
 */
import { type Host, type NodeObservation, SnapshotDamaged } from '@larder/fleet/host';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { ControlContext } from '../control-context.ts';
import type { Database } from '../database/connect.ts';
import { type Environment, readEnvironment, wantedNode } from '../node/environment.ts';
import { recordGivenUp } from '../node/given-up.ts';
import { monotonicClock } from '../reconciler/clock.ts';
import type { PassOutcome } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { StartHistory } from '../reconciler/start-history.ts';
import { timedStep } from '../reconciler/timed-step.ts';
import { windowIsOpen } from '../request/maintenance-window.ts';
import { beginAutomaticSnapshot } from '../snapshot/automatic.ts';
import { waitsForSnapshot } from '../snapshot/final.ts';
import { sourceOfGroup } from '../snapshot/origin.ts';
import type { Restore } from '../snapshot/restore.ts';
import { checkPlan } from './check-plan.ts';
import { describeStep, type ExecuteDeps, execute } from './execute.ts';
import { frontOf } from './front.ts';
import { sourceOf } from './migration-source.ts';
import { applyPending } from './pending.ts';
import { plan } from './plan.ts';
import { planSettings, type SettingsPlan } from './plan-settings.ts';
import { recordPass, recordSeen } from './record.ts';
import { membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import { failRestore, lostMeanwhile, restoreOf, snapshottingMember } from './restore.ts';
import type { Step } from './step.ts';
import { recordsInDatabase } from './step-records.ts';
import { readReplicationGroup } from './store.ts';
import type { SentinelTeller } from './tell-sentinel.ts';

export interface ReconcileDeps {
  readonly database: Database;
  readonly host: Host;
  readonly router: Pick<RouterClient, 'put' | 'ready' | 'recorded' | 'routes'>;
  readonly secrets: NodeSecrets;
  readonly nowMs: () => number;
  readonly starts: StartHistory;
  readonly wake: ControlContext['wake'];
  readonly logger: Logger;
  readonly sentinel: SentinelTeller;
}

export async function reconcileReplicationGroup(deps: ReconcileDeps, id: string): Promise<PassOutcome> {
  const group = await readReplicationGroup(deps.database, id);
  if (group === undefined) return 'gone';
  const windowOpen = windowIsOpen(group.intent.preferredMaintenanceWindow, deps.nowMs());
  if (group.pending !== undefined && windowOpen && group.status === 'available') {
    await applyPending(deps, id);
    return 'again';
  }
  if (group.status === 'deleting' && (await waitsForSnapshot(deps.database, group.finalSnapshot))) {
    return 'settled';
  }
  if (await beginAutomaticSnapshot(deps, sourceOfGroup(group), snapshottingMember(group))) return 'again';

  const environment = await readEnvironment(deps.database, group.intent);
  const restore = await restoreOf(deps, group, environment);
  if (restore?.kind === 'impossible') {
    await failRestore(deps, group, restore.because);
    return 'again';
  }
  if (restore?.kind === 'waiting') return 'settled';
  const observations = await deps.host.observe(membersOf(group).map(nodeIdOf));
  const lost = lostMeanwhile(group, observations);
  if (lost !== undefined) {
    await failRestore(deps, group, lost);
    return 'again';
  }
  const planned = plan({
    group,
    observations,
    earliestStartMs: deps.starts.earliestStartMs(observations, deps.nowMs()),
    nowMs: deps.nowMs(),
    front: await frontOf(deps, group, environment, observations),
    ...(await sourceOf(group)),
  });
  await recordSeen(deps, group, planned);
  const after = await carryOut(deps, group, environment, planned.steps, observations, restore).catch(
    async (error: Error) => {
      if (!(error instanceof SnapshotDamaged)) throw error;
      await failRestore(deps, group, error.message);
      return undefined;
    },
  );
  if (after === undefined) return 'settled';
  if (after === 'gone') return 'gone';

  const settings =
    planned.converged && planned.waitingFor.length === 0
      ? await settle(deps, after, environment, observations)
      : undefined;
  const promoted = planned.steps.some(({ kind }) => kind === 'promote' || kind === 'switch-over');
  deps.sentinel.tell(after, observations, promoted);
  await recordGivenUp(deps, observations);
  await recordPass(deps, after, planned, settings, environment, observations);

  // A question changes nothing by itself: its answer is waited for.
  const acted = [...planned.steps, ...(settings?.steps ?? [])].some(({ kind }) => kind !== 'ask-replicas');
  if (acted) return 'again';
  // Nothing wakes us when a replica has caught up or a cluster has agreed: look again soon.
  return planned.waitingFor.length > 0 ? 'waiting' : 'settled';
}

/** Brings every node's settings to what they are to be for the version it runs: a rollout may have been stopped. */
async function settle(
  deps: ReconcileDeps,
  group: ReplicationGroup,
  environment: Environment,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<SettingsPlan> {
  const { engineVersion } = group.intent;
  const wantedBy = new Map([[engineVersion, wantedOf(deps, group, environment)]]);
  const versionOf = (member: string) =>
    observations.get(nodeIdOf({ id: member }))?.started?.version ?? engineVersion;
  for (const version of new Set(membersOf(group).map(({ id }) => versionOf(id)))) {
    if (wantedBy.has(version)) continue;
    const older = { ...group, intent: { ...group.intent, engineVersion: version } };
    wantedBy.set(version, wantedOf(deps, older, await readEnvironment(deps.database, older.intent)));
  }
  const planned = planSettings({
    group,
    settings: await deps.host.readSettings(membersOf(group).map(nodeIdOf)),
    wanted: (member) => wantedBy.get(versionOf(member))!(member),
    nowMs: deps.nowMs(),
  });
  await carryOut(deps, group, environment, planned.steps, observations);
  return planned;
}

/** @returns the group after the steps, or undefined when they may not be taken. */
async function carryOut(
  deps: ReconcileDeps,
  group: ReplicationGroup,
  environment: Environment,
  steps: readonly Step[],
  observations: ReadonlyMap<string, NodeObservation>,
  restore?: Restore,
): Promise<ReplicationGroup | 'gone' | undefined> {
  const violations = checkPlan(steps, group, observations);
  if (violations.length > 0) {
    const kinds = steps.map(({ kind }) => kind);
    deps.logger.error(
      { group: group.id, violations, kinds },
      'A plan breaks its invariants; nothing was done.',
    );
    return undefined;
  }
  const executing: ExecuteDeps = {
    host: deps.host,
    router: deps.router,
    clock: monotonicClock,
    records: recordsInDatabase(deps.database, deps.nowMs),
    wanted: wantedOf(deps, group, environment),
    startData(slots) {
      if (restore?.kind !== 'data') throw new Error(`${group.id} begins with no snapshot.`);
      return restore.of(slots);
    },
  };
  let now = group;
  for (const step of steps) {
    const level = step.kind === 'ask-replicas' ? 'debug' : 'info';
    deps.logger[level]({ group: now.id, epoch: now.epoch, step: step.kind }, describeStep(step));
    if (step.kind === 'start-node') deps.starts.started(nodeIdOf({ id: step.member }), deps.nowMs());
    if (step.kind === 'stop-node') deps.starts.restarting(nodeIdOf({ id: step.member }));
    const before = now;
    now = await timedStep(step.kind, () => execute(executing, before, step));
    const promotes = step.kind === 'promote' || step.kind === 'switch-over';
    if (promotes) deps.sentinel.tell(now, observations, true);
    if (step.kind === 'retain-primary') deps.wake('cache-cluster', step.member);
    if (step.kind === 'forget-group' || step.kind === 'retain-primary') return 'gone';
  }
  return now;
}

function wantedOf(deps: ReconcileDeps, group: ReplicationGroup, environment: Environment) {
  return (member: string) => wantedNode(environment, group.intent, deps, nodeIdOf({ id: member }), group.id);
}
