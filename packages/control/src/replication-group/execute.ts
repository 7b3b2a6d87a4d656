/** Performs one step. Makes no choices, and is safe to repeat. */
import { clusterBusPort } from '@larder/engine/config-file';
import type { SlotRange } from '@larder/engine/slots';
import { formatSlots } from '@larder/engine/slots';
import { type Host, NodeUnreachable, type StartData } from '@larder/fleet/host';
import type { RouterClient } from '@larder/fleet/router/router-client';
import { executeSetting, tellOfKill, tellOfShutdown } from '../node/execute-setting.ts';
import type { WantedNode } from '../node/wanted-node.ts';
import type { Clock } from '../reconciler/clock.ts';
import { executeMigrationStep } from './execute-migration.ts';
import { executeShardStep } from './execute-shard.ts';
import {
  certificateAddresses,
  memberOfGroup,
  type NodeGroup,
  nodeIdOf,
  nodeSpec,
  type ReplicationGroup,
  replicationPort,
} from './replication-group.ts';
import type { Step } from './step.ts';
import type { StepRecords } from './step-records.ts';
import { switchOver } from './switch-over.ts';

export interface ExecuteDeps {
  readonly records: StepRecords;
  readonly host: Host;
  readonly router: Pick<RouterClient, 'put'>;
  /** What a member of the group is to be set to. */
  readonly wanted: (member: string) => WantedNode;
  /** What a member begins with that is started with a snapshot. */
  /** Of a shard that begins with data: by its slots. */
  readonly startData: (slots: readonly SlotRange[]) => StartData;
  readonly clock: Clock;
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
  const order = { group: group.id, epoch: group.epoch };
  const member = 'member' in step ? memberOfGroup(group, step.member) : undefined;
  const send = (...commands: string[][]) => host.command(nodeIdOf(member!), order, commands);

  switch (step.kind) {
    case 'start-node': {
      const replicaOf = step.replicaOf === undefined ? undefined : memberOfGroup(group, step.replicaOf);
      await recordRecovery(deps.records, group, step);
      await host.startNode(
        nodeSpec(group, member!, deps.wanted(step.member), {
          endpointAddresses: step.endpointAddresses,
          ...(replicaOf !== undefined && { replicaOf }),
        }),
        step.snapshot === undefined ? undefined : deps.startData(shardOf(group, step.member).slots),
      );
      return group;
    }
    case 'keep-data':
      await host.keepData(nodeIdOf(member!), order);
      return group;
    case 'stop-node':
      await tellOfShutdown(deps.records.tellOfNode, step.member);
      await host.stopNode(nodeIdOf(member!), order);
      return group;
    case 'kill-node':
      if (await host.killNode(nodeIdOf(member!), order, step.incarnation)) {
        await tellOfKill(deps.records.tellOfNode, step.member, step.because);
      }
      return group;
    case 'lift-fence':
      await send(['CONFIG', 'SET', 'min-replicas-to-write', writesNeed(deps.wanted(step.member))]);
      return group;
    case 'decide-primary':
      return decide(deps, group, step);
    case 'switch-over':
      if (!group.intent.clusterEnabled) return switchOver(deps, group, step, () => decide(deps, group, step));
      // The engines agree among themselves, and lose nothing; whom they made it is written down by the next pass.
      await send(['CLUSTER', 'FAILOVER']);
      return group;
    case 'end-handover':
      await deps.records.endHandover(group, step.nodeGroup);
      return group;
    case 'promote':
      // A handover from it that was cut off may still hold writes.
      await send(['REPLICAOF', 'NO', 'ONE'], ['CLIENT', 'UNPAUSE']);
      return group;
    case 'note-history':
      return noteHistory(deps, group, step);
    case 'ask-replicas':
      // For more than there are, since else it would find all content; what counts is the question, not the wait.
      await send(['WAIT', '100', '1']);
      return group;
    case 'replicate':
      await send(
        ['REPLICAOF', memberOfGroup(group, step.primary).address, String(step.port)],
        ...(step.endsClients === true ? [['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']] : []),
      );
      return group;
    case 'listen':
      await host.listen(nodeIdOf(member!), order, { addresses: step.addresses, dropped: step.dropped, port });
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
      const peer = memberOfGroup(group, step.peer);
      const peerPort = replicationPort(deps.wanted(step.peer));
      await send(['CLUSTER', 'MEET', peer.address, String(peerPort), String(clusterBusPort(port))]);
      return group;
    }
    case 'join-shard':
      await send(['CLUSTER', 'REPLICATE', step.primaryClusterNodeId]);
      return group;
    case 'elect':
      await send(['CLUSTER', 'FAILOVER', step.how === 'vote' ? 'FORCE' : 'TAKEOVER']).catch(
        (error: Error) => {
          // The vote that an earlier pass asked for was won meanwhile: the next pass sees it and writes it down.
          if (!/CLUSTER FAILOVER to a (replica|slave)/i.test(error.message)) throw error;
        },
      );
      return group;
    case 'copy-functions':
    case 'form-shards':
    case 'migrate-slots':
    case 'cancel-slot-migrations':
    case 'move-slots':
    case 'give-back-slots':
    case 'close-slots':
    case 'dismiss-shard':
    case 'forget-shard':
    case 'end-resharding':
      return executeShardStep(deps, group, step);
    case 'follow-source':
    case 'leave-source':
    case 'note-source':
    case 'end-migration':
      return executeMigrationStep(deps, group, step);
    case 'forget-peer':
      await send(['CLUSTER', 'FORGET', step.clusterNodeId]).catch((error: Error) => {
        // It forgot it by itself, or is a replica of it and will be told when it follows another.
        if (!/Unknown node|my master|my primary/i.test(error.message)) throw error;
      });
      return group;
    case 'route':
      await deps.router.put(group.id, group.epoch, step.routes);
      return group;
    case 'configure':
    case 'set-users':
    case 'set-ports':
    case 'renew-certificate':
      await executeSetting(
        { host, tell: deps.records.tellOfNode },
        {
          nodeId: nodeIdOf(member!),
          clusterId: step.member,
          order,
          certificateAddresses: certificateAddresses(group),
        },
        step,
      );
      return group;
    case 'remove-node':
      await host.removeNode(nodeIdOf(member!));
      return group;
    case 'forget-member':
      await deps.records.forgetMember(group, step.member);
      return withoutMember(group, step.member);
    case 'retain-primary':
      await deps.records.retainPrimary(group, member!);
      return group;
    case 'forget-group':
      await deps.records.forgetGroup(group);
      return group;
  }
}

function withoutMember(group: ReplicationGroup, id: string): ReplicationGroup {
  return {
    ...group,
    nodeGroups: group.nodeGroups.map((nodeGroup) => ({
      ...nodeGroup,
      members: nodeGroup.members.filter((member) => member.id !== id),
    })),
  };
}

function shardOf(group: ReplicationGroup, member: string): NodeGroup {
  return group.nodeGroups.find(({ members }) => members.some(({ id }) => id === member))!;
}

/** Tells of a node that served before, and of a primary that comes back without its data. */
async function recordRecovery(
  records: StepRecords,
  group: ReplicationGroup,
  { member, replicaOf }: Step & { kind: 'start-node' },
): Promise<void> {
  const shard = shardOf(group, member);
  if (!shard.formed || memberOfGroup(group, member).status === 'creating') return;
  const withoutData = shard.primary === member && replicaOf === undefined;
  await records.beginRecovery(group, member, withoutData ? shard.id : undefined);
}

async function decide(
  { records }: ExecuteDeps,
  group: ReplicationGroup,
  step: Step & { kind: 'decide-primary' | 'switch-over' },
): Promise<ReplicationGroup> {
  const epoch = await records.decidePrimary(group, step);
  return {
    ...group,
    epoch,
    nodeGroups: group.nodeGroups.map((nodeGroup) =>
      nodeGroup.id === step.nodeGroup ? { ...nodeGroup, primary: step.member } : nodeGroup,
    ),
  };
}

/** @throws NodeUnreachable when it does not tell, or is no primary: nobody is told to follow it then. */
async function noteHistory(
  { host, records }: ExecuteDeps,
  group: ReplicationGroup,
  step: Step & { kind: 'note-history' },
): Promise<ReplicationGroup> {
  const nodeId = nodeIdOf({ id: step.member });
  const replication = (await host.observe([nodeId])).get(nodeId)?.engine?.info.replication;
  if (replication?.role !== 'primary') throw new NodeUnreachable(`${step.member} does not tell its history.`);
  const lineage = replication.replicationId;
  await records.noteHistory(group, step.nodeGroup, lineage);
  return {
    ...group,
    nodeGroups: group.nodeGroups.map((each) => (each.id === step.nodeGroup ? { ...each, lineage } : each)),
  };
}

/** How many replicas must be in sync for the primary to take writes, as its parameters have it. */
function writesNeed({ parameters }: WantedNode): string {
  return parameters['min-replicas-to-write'] ?? parameters['min-slaves-to-write'] ?? '0';
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
