/** ModifyReplicationGroup: what may change, and what it makes of the intent. */

import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { mergeChange, type PendingChange } from '../node/service-intent.ts';
import { markApplying } from '../parameter-group/store.ts';
import { changeAuth } from '../request/auth-change.ts';
import { invalidCombination } from '../request/refusals.ts';
import { changeService, refuseSmallerThanData } from '../request/service-change.ts';
import { checkUserGroups } from '../user-group/group-users.ts';
import {
  membersOf,
  nodeIdOf,
  type ReplicationGroup,
  type ReplicationGroupIntent,
} from './replication-group.ts';
import { notFound, wrongState } from './requests.ts';
import { nextStatus } from './status.ts';
import { changeStatus, readReplicationGroup, setHandover, writeIntent } from './store.ts';

type Request = Input<'ModifyReplicationGroup'>;

/**
 * Writes down what is asked for. Engine, version and node type wait for the maintenance window unless
 * `ApplyImmediately` is set; everything else is asked for at once.
 * @throws ServiceError ReplicationGroupNotFoundFault, InvalidReplicationGroupState, and for every wrong or idle change.
 */
export async function modifyReplicationGroup(
  context: ControlContext,
  input: Request,
): Promise<ReplicationGroup> {
  const id = input.ReplicationGroupId.toLowerCase();
  refuseUnsupported(input);
  const current = await readReplicationGroup(context.database, id);
  if (current === undefined) throw notFound(id);
  const change = await changeService(context, current.intent, current.intent.clusterEnabled, input);
  if (change.deferrable.nodeType !== undefined) {
    const nodeIds = membersOf(current).map(nodeIdOf);
    await refuseSmallerThanData(context, nodeIds, current.intent, change.deferrable.nodeType);
  }

  const group = await context.database.transaction().execute(async (transaction) => {
    const found = await readReplicationGroup(transaction, id);
    if (found === undefined) throw notFound(id);
    const wanted = nextStatus(found.status, 'modify-requested');
    if (wanted === 'refuse' || wanted === 'stay') throw wrongState(found, "can't be modified now");
    const applied = input.ApplyImmediately === true ? change.deferrable : {};
    const waiting: PendingChange = input.ApplyImmediately === true ? {} : change.deferrable;
    const intent = await changedIntent(transaction, context.nowMs(), found, input, {
      ...mergeChange(found.intent, applied),
      ...change.immediate,
    });
    const promoted = await promotion(transaction, found, input);
    const pending = { ...found.pending, ...waiting };
    const next: ReplicationGroup = { ...found, intent };
    const idle = JSON.stringify(intent) === JSON.stringify(found.intent);
    const deferred = Object.keys(waiting).length > 0;
    if (idle && !deferred && !promoted) throw noModifications();
    const { pending: _, ...rest } = next;
    const after = Object.keys(pending).length > 0 ? { ...rest, pending } : rest;
    await writeIntent(transaction, after);
    const status = idle && !promoted ? found.status : wanted;
    await changeStatus(transaction, id, { from: found.status, to: status });
    if (intent.parameterGroup !== found.intent.parameterGroup) {
      await markApplying(transaction, [{ resource: 'replication-group', id }]);
    }
    await recordEvent(transaction, {
      atMs: context.nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: deferred
        ? `Modification of replication group ${id} waits for its maintenance window`
        : `Modifying replication group ${id}`,
    });
    return { ...after, status };
  });
  context.wake('replication-group', id);
  return group;
}

async function changedIntent(
  transaction: DatabaseTransaction,
  nowMs: number,
  group: ReplicationGroup,
  input: Request,
  intent: ReplicationGroupIntent,
): Promise<ReplicationGroupIntent> {
  const userGroupIds = await changedUserGroups(transaction, group, input);
  const auth = changeAuth(intent, { before: group.intent.userGroupIds, after: userGroupIds }, input, nowMs);
  if (intent.transit === 'none' && (userGroupIds.length > 0 || auth.hashes.length > 0)) {
    throw invalidCombination('Encryption in transit stays on while there are AUTH tokens or user groups.');
  }
  return {
    ...intent,
    ...failoverFlags(group, input),
    userGroupIds,
    auth,
    ...(input.ReplicationGroupDescription !== undefined && {
      description: input.ReplicationGroupDescription,
    }),
    ...snapshotting(group, input),
  };
}

function failoverFlags(group: ReplicationGroup, input: Request) {
  const automaticFailover = input.AutomaticFailoverEnabled ?? group.intent.automaticFailover;
  const multiAz = input.MultiAZEnabled ?? group.intent.multiAz;
  const replicas = Math.min(...group.nodeGroups.map(({ members }) => members.length - 1));
  if (group.intent.clusterEnabled && !automaticFailover) {
    throw invalidCombination('Cluster mode needs AutomaticFailoverEnabled.');
  }
  if (!group.intent.clusterEnabled && automaticFailover && replicas < 1) {
    throw invalidCombination('AutomaticFailoverEnabled needs at least one replica.');
  }
  if (multiAz && (!automaticFailover || replicas < 1)) {
    throw invalidCombination(
      'MultiAZEnabled needs AutomaticFailoverEnabled and at least one replica in every shard.',
    );
  }
  return { automaticFailover, multiAz };
}

async function changedUserGroups(
  transaction: DatabaseTransaction,
  { intent }: ReplicationGroup,
  input: Request,
): Promise<readonly string[]> {
  const lower = (ids: readonly string[] | undefined) => (ids ?? []).map((id) => id.toLowerCase());
  const removed = lower(input.UserGroupIdsToRemove);
  const foreign = removed.find((id) => !intent.userGroupIds.includes(id));
  if (foreign !== undefined) {
    throw serviceError(
      'InvalidParameterValueException',
      `User group ${foreign} is not associated with the group.`,
    );
  }
  const kept =
    input.RemoveUserGroups === true ? [] : intent.userGroupIds.filter((id) => !removed.includes(id));
  const added = lower(input.UserGroupIdsToAdd).filter((id) => !kept.includes(id));
  const after = [...kept, ...added];
  if (added.length > 0) {
    const transit = input.TransitEncryptionEnabled ?? intent.transit !== 'none';
    if (!transit) throw invalidCombination('User groups need encryption in transit.');
    await checkUserGroups(transaction, after, { engine: intent.engine, version: intent.engineVersion });
  }
  return after;
}

function snapshotting({ id, intent, ...group }: ReplicationGroup, input: Request) {
  if (input.SnapshottingClusterId === undefined) {
    const turnedOn = (input.SnapshotRetentionLimit ?? 0) > 0 && intent.snapshotRetentionDays === 0;
    if (turnedOn && !intent.clusterEnabled && intent.snapshottingClusterId === undefined) {
      throw invalidCombination('Must specify both SnapshotRetentionLimit and SnapshottingClusterId.');
    }
    return {};
  }
  const member = input.SnapshottingClusterId.toLowerCase();
  if (!group.nodeGroups.some(({ members }) => members.some((each) => each.id === member))) {
    throw serviceError(
      'InvalidParameterValueException',
      `${member} is not a member of replication group ${id}.`,
    );
  }
  return { snapshottingClusterId: member };
}

/** @returns whether the primary is to change. */
async function promotion(
  transaction: DatabaseTransaction,
  group: ReplicationGroup,
  input: Request,
): Promise<boolean> {
  if (input.PrimaryClusterId === undefined) return false;
  const to = input.PrimaryClusterId.toLowerCase();
  const nodeGroup = group.nodeGroups[0]!;
  if (group.intent.clusterEnabled)
    throw invalidCombination('PrimaryClusterId needs a group without cluster mode.');
  if (!nodeGroup.members.some((member) => member.id === to)) {
    throw serviceError(
      'InvalidParameterValueException',
      `${to} is not a member of replication group ${group.id}.`,
    );
  }
  const automatic = input.AutomaticFailoverEnabled ?? group.intent.automaticFailover;
  if (automatic || (input.MultiAZEnabled ?? group.intent.multiAz)) {
    throw invalidCombination(
      'A replica is promoted by hand only while AutomaticFailoverEnabled and MultiAZEnabled are off.',
    );
  }
  if (nodeGroup.primary === to) return false;
  await setHandover(transaction, group.id, nodeGroup.id, { from: nodeGroup.primary, to });
  return true;
}

function refuseUnsupported(input: Request): void {
  if (input.NodeGroupId !== undefined) {
    throw invalidCombination('NodeGroupId is no longer used; leave it out.');
  }
  if (input.ClusterMode !== undefined) {
    throw invalidCombination(
      'ClusterMode of a group that exists has no change in this version of Larder; leave it out.',
    );
  }
}

function noModifications() {
  return invalidCombination('No modifications were requested.');
}
