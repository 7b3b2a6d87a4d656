/** Performs one step. Makes no choices, and is safe to repeat. */
import { cacheNodeIdOf } from '@larder/contract/ids';
import { clusterBusPort } from '@larder/engine/config-file';
import { formatSlots } from '@larder/engine/slots';
import type { Host } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { releaseAddresses } from '../placement/addresses.ts';
import { type Member, membersOf, nodeIdOf, nodeSpec, type ReplicationGroup } from './replication-group.ts';
import type { Step } from './step.ts';
import { decidePrimary, deleteReplicationGroup } from './store.ts';

export interface ExecuteDeps {
  readonly database: Database;
  readonly host: Host;
  readonly maxmemoryBytes: (nodeType: string) => number;
  readonly nowMs: () => number;
}

/**
 * @returns the group as it is after the step: a decision changes its primary and its epoch.
 * @throws what the host or the engine answered; the next pass looks afresh and plans again.
 */
export async function execute(
  deps: ExecuteDeps,
  group: ReplicationGroup,
  step: Step,
): Promise<ReplicationGroup> {
  const { host } = deps;
  const { port } = group.intent;
  const member = 'member' in step ? findMember(group, step.member) : undefined;
  const send = (...commands: string[][]) =>
    host.command(nodeIdOf(member!), { group: group.id, epoch: group.epoch }, commands);

  switch (step.kind) {
    case 'start-node': {
      const replicaOf = step.replicaOf === undefined ? undefined : findMember(group, step.replicaOf);
      await recordRecovery(deps, group, step);
      await host.startNode(
        nodeSpec(group, member!, deps.maxmemoryBytes(group.intent.nodeType), {
          endpointAddresses: step.endpointAddresses,
          ...(replicaOf !== undefined && { replicaOf }),
        }),
      );
      return group;
    }
    case 'decide-primary':
      return decide(deps, group, step);
    case 'promote':
      await send(['REPLICAOF', 'NO', 'ONE']);
      return group;
    case 'replicate':
      await send(['REPLICAOF', findMember(group, step.primary).address, String(port)]);
      return group;
    case 'listen':
      await send(
        ['CONFIG', 'SET', 'bind', step.addresses.join(' ')],
        // A client that came by an endpoint must not linger on a node that lost it.
        ...step.dropped.map((address) => ['CLIENT', 'KILL', 'LADDR', `${address}:${port}`, 'SKIPME', 'yes']),
      );
      return group;
    case 'set-config-epoch':
      await send(['CLUSTER', 'SET-CONFIG-EPOCH', String(step.configEpoch)]);
      return group;
    case 'add-slots':
      await send([
        'CLUSTER',
        'ADDSLOTSRANGE',
        ...step.slots.flatMap(({ first, last }) => [String(first), String(last)]),
      ]);
      return group;
    case 'meet': {
      const peer = findMember(group, step.peer);
      await send(['CLUSTER', 'MEET', peer.address, String(port), String(clusterBusPort(port))]);
      return group;
    }
    case 'join-shard':
      await send(['CLUSTER', 'REPLICATE', step.primaryClusterNodeId]);
      return group;
    case 'elect':
      await send(['CLUSTER', 'FAILOVER', step.how === 'vote' ? 'FORCE' : 'TAKEOVER']);
      return group;
    case 'remove-node':
      await host.removeNode(nodeIdOf(member!));
      return group;
    case 'forget-group':
      await deps.database.transaction().execute(async (transaction) => {
        await deleteReplicationGroup(transaction, group);
        await releaseAddresses(transaction, { resource: 'replication-group', id: group.id });
        await recordEvent(transaction, {
          atMs: deps.nowMs(),
          sourceType: 'replication-group',
          sourceId: group.id,
          message: `Replication group ${group.id} deleted`,
        });
      });
      return group;
  }
}

/** Tells of a node that served before, and of a primary that comes back without its data. */
async function recordRecovery(
  { database, nowMs }: ExecuteDeps,
  group: ReplicationGroup,
  { member, replicaOf }: Step & { kind: 'start-node' },
): Promise<void> {
  const shard = group.nodeGroups.find(({ members }) => members.some(({ id }) => id === member));
  if (shard?.formed !== true) return;
  const atMs = nowMs();
  await database.transaction().execute(async (transaction) => {
    await recordEvent(transaction, {
      atMs,
      sourceType: 'cache-cluster',
      sourceId: member,
      message: `Recovering cache nodes ${cacheNodeIdOf(1)}`,
    });
    if (shard.primary !== member || replicaOf !== undefined) return;
    await recordEvent(transaction, {
      atMs,
      sourceType: 'replication-group',
      sourceId: group.id,
      message: `Primary node ${member} of node group ${shard.id} starts without data: no other node held any`,
    });
  });
}

async function decide(
  { database, nowMs }: ExecuteDeps,
  group: ReplicationGroup,
  step: Step & { kind: 'decide-primary' },
): Promise<ReplicationGroup> {
  const epoch = await database.transaction().execute(async (transaction) => {
    const decided = await decidePrimary(transaction, group, step.nodeGroup, step.member);
    const text = `Failover from primary node ${step.previous} to replica node ${step.member} completed`;
    for (const [sourceType, sourceId] of [
      ['cache-cluster', step.member],
      ['replication-group', group.id],
    ] as const) {
      await recordEvent(transaction, { atMs: nowMs(), sourceType, sourceId, message: text });
    }
    return decided;
  });
  return {
    ...group,
    epoch,
    nodeGroups: group.nodeGroups.map((nodeGroup) =>
      nodeGroup.id === step.nodeGroup ? { ...nodeGroup, primary: step.member } : nodeGroup,
    ),
  };
}

function findMember(group: ReplicationGroup, id: string): Member {
  const member = membersOf(group).find((each) => each.id === id);
  if (member === undefined) throw new Error(`${group.id} has no member ${id}.`);
  return member;
}

/** For people: a step in one line. */
export function describeStep(step: Step): string {
  const subject = 'member' in step ? ` ${step.member}` : '';
  const object =
    step.kind === 'listen'
      ? ` on ${step.addresses.join(', ')}`
      : step.kind === 'replicate'
        ? ` from ${step.primary}`
        : step.kind === 'add-slots'
          ? ` ${formatSlots(step.slots)}`
          : '';
  return `${step.kind}${subject}${object}: ${step.because}`;
}
