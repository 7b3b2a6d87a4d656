/** A group that is made with a snapshot's data, and whose data its own snapshots are. */
import type { NodeObservation } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { type Environment, type NodeMakers, wantedNode } from '../node/environment.ts';
import { type Restore, readRestore } from '../snapshot/restore.ts';
import { describeData } from '../snapshot/seed.ts';
import { nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import { isLost } from './seen-member.ts';
import { nextStatus } from './status.ts';
import { changeStatus } from './store.ts';

interface RestoreDeps extends NodeMakers {
  readonly database: Database;
  readonly nowMs: () => number;
}

/** Undefined for a group that begins empty, or was made long since. */
export async function restoreOf(
  { database, ...makers }: RestoreDeps,
  { id, intent, status }: ReplicationGroup,
  environment: Environment,
): Promise<Restore | undefined> {
  if (status !== 'creating' || intent.restoreFrom === undefined) return undefined;
  return readRestore(
    database,
    intent.restoreFrom,
    wantedNode(environment, intent, makers, id).maxmemoryBytes,
  );
}

/**
 * (pure) While its slots go on to other shards a group's data is nowhere but in its nodes.
 * @returns why it is not whole any more, undefined while it is.
 */
export function lostMeanwhile(
  { status, intent, nodeGroups }: ReplicationGroup,
  observations: ReadonlyMap<string, NodeObservation>,
): string | undefined {
  if (status !== 'creating' || intent.restoreFrom === undefined) return undefined;
  const lost = nodeGroups.find(
    ({ formed, slots, members }) =>
      formed &&
      slots.length > 0 &&
      members.every((member) => {
        const process = observations.get(nodeIdOf(member))?.process;
        return process !== undefined && isLost({ process });
      }),
  );
  return lost && `all nodes of shard ${lost.id} ended before its slots were where they were to be`;
}

export async function failRestore(
  { database, nowMs }: RestoreDeps,
  { id, intent, status }: ReplicationGroup,
  because: string,
): Promise<void> {
  const to = nextStatus(status, 'unable-to-create');
  if (to === 'stay' || to === 'refuse') return;
  await database.transaction().execute(async (transaction) => {
    if (!(await changeStatus(transaction, id, { from: status, to }))) return;
    const event = {
      atMs: nowMs(),
      sourceType: 'replication-group' as const,
      sourceId: id,
      message: `Replication group ${id} could not be restored from ${describeData(intent.restoreFrom!)}: ${because}`,
    };
    await recordEvent(transaction, event, 'CacheClusterProvisioningFailed');
  });
}

/** Without cluster mode automatic snapshots are of one member, and have its name. */
export function snapshottingMember({ intent, nodeGroups }: ReplicationGroup): string | undefined {
  if (intent.clusterEnabled) return undefined;
  return intent.snapshottingClusterId ?? nodeGroups[0]!.members[0]!.id;
}
