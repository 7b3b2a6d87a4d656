/** Writes down what a pass saw, and what it found to be true after its steps: statuses, how far settings are. */
import { cacheNodeIdOf } from '@larder/contract/ids';
import { digestUsers } from '@larder/engine/acl';
import type { SlotRange } from '@larder/engine/slots';
import type { NodeObservation } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { Environment } from '../node/environment.ts';
import { stillAsked } from '../parameter-group/settings.ts';
import type { StartHistory } from '../reconciler/start-history.ts';
import { describeData } from '../snapshot/seed.ts';
import type { CacheNotice } from '../topic/cache-notice.ts';
import type { SettingsPlan } from './plan-settings.ts';
import { membersOf, type ReplicationGroup, type ReplicationGroupStatus } from './replication-group.ts';
import { setSlots } from './reshard-store.ts';
import { nextStatus } from './status.ts';
import type { Plan } from './step.ts';
import {
  changeStatus,
  markFormed,
  setLineage,
  setParameterStatus,
  setRecovering,
  setUsersDigest,
} from './store.ts';

export interface RecordDeps {
  readonly database: Database;
  readonly nowMs: () => number;
  readonly starts: StartHistory;
}

/**
 * Before the steps: a pass may fail at any of them, and then the next successor would be judged by a history that is no
 * longer the primary's.
 */
export async function recordSeen(
  { database }: Pick<RecordDeps, 'database'>,
  group: ReplicationGroup,
  planned: Plan,
): Promise<void> {
  const slots = planned.slots ?? new Map<string, SlotRange[]>();
  if (planned.lineages.size === 0 && slots.size === 0) return;
  await database.transaction().execute(async (transaction) => {
    for (const [nodeGroup, lineage] of planned.lineages) {
      await setLineage(transaction, group.id, nodeGroup, lineage);
    }
    for (const [nodeGroup, seen] of slots) await setSlots(transaction, group.id, nodeGroup, seen);
  });
}

export async function recordPass(
  { database, nowMs, starts }: RecordDeps,
  group: ReplicationGroup,
  planned: Plan,
  settings: SettingsPlan | undefined,
  environment: Environment,
  observations: ReadonlyMap<string, NodeObservation>,
): Promise<void> {
  const settled = planned.converged && settings !== undefined && settings.steps.length === 0;
  const hopeless = group.status === 'creating' && starts.keepFailing(observations);
  const event = settled ? 'converged' : hopeless ? 'unable-to-create' : undefined;
  const status = event === undefined ? 'stay' : nextStatus(group.status, event);
  const forming =
    planned.converged &&
    (group.nodeGroups.some(({ formed }) => !formed) ||
      membersOf(group).some((member) => member.status === 'creating'));
  const parameters = membersOf(group).flatMap((member) => {
    const found = settings?.parameterStatus.get(member.id);
    return found === undefined || found === member.parameterStatus ? [] : [[member.id, found] as const];
  });
  const usersDigest = usersDigestAfter(group, settings, environment);
  const recovered = planned.converged ? membersOf(group).filter(({ recovering }) => recovering) : [];
  const quiet = recovered.length === 0 && status === 'stay' && !forming;
  if (quiet && parameters.length === 0 && usersDigest === group.usersDigest) return;

  await database.transaction().execute(async (transaction) => {
    for (const { id } of recovered) {
      await setRecovering(transaction, [id], false);
      const event = {
        atMs: nowMs(),
        sourceType: 'cache-cluster' as const,
        sourceId: id,
        message: `Finished recovery for cache nodes ${cacheNodeIdOf(1)}`,
      };
      await recordEvent(transaction, event, 'CacheNodeReplaceComplete');
    }
    if (forming) await markFormed(transaction, group.id);
    if (parameters.length > 0 && (await stillAsked(transaction, group.intent, environment.parameters))) {
      for (const [member, found] of parameters) await setParameterStatus(transaction, member, found);
    }
    if (usersDigest !== group.usersDigest) await setUsersDigest(transaction, group.id, usersDigest);
    if (status === 'stay' || status === 'refuse') return;
    if (!(await changeStatus(transaction, group.id, { from: group.status, to: status }))) return;
    const said = {
      atMs: nowMs(),
      sourceType: 'replication-group' as const,
      sourceId: group.id,
      message: statusMessage(group, status),
    };
    await recordEvent(transaction, said, statusNotice(group, status));
  });
}

/** A pass that did not come to the settings says nothing about them. */
function usersDigestAfter(
  group: ReplicationGroup,
  settings: SettingsPlan | undefined,
  { groupUsers }: Environment,
): string | undefined {
  if (settings === undefined) return group.usersDigest;
  return settings.usersInSync && groupUsers !== undefined ? digestUsers(groupUsers.users) : undefined;
}

/** What the group's topic is told. A change that added members is their arrival. */
function statusNotice(group: ReplicationGroup, to: ReplicationGroupStatus): CacheNotice | undefined {
  if (to === 'create-failed') return 'CacheClusterProvisioningFailed';
  if (group.status === 'creating') return 'CreateReplicationGroupComplete';
  const added =
    group.status === 'modifying' && membersOf(group).some((member) => member.status === 'creating');
  return added ? 'ReplicationGroupIncreaseReplicaCountFinished' : undefined;
}

function statusMessage({ id, status, intent }: ReplicationGroup, to: ReplicationGroupStatus): string {
  if (to === 'create-failed') {
    return `Replication group ${id} could not be created: its nodes end soon after they start; see their engine.log`;
  }
  if (status === 'modifying') return `Replication group ${id} modified`;
  const data =
    intent.restoreFrom === undefined ? '' : ` with the data of ${describeData(intent.restoreFrom)}`;
  return `Replication group ${id} created${data}`;
}
