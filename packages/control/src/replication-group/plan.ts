/**
 * (pure) From what was asked and what is seen to the steps between them. Start reading here for what a
 * replication group does when something happens.
 */
import type { NodeObservation, NodeProcess } from '@larder/fleet/host';
import { planCluster } from './plan-cluster.ts';
import { planReplicated } from './plan-replicated.ts';
import { type Member, membersOf, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { Plan } from './step.ts';

export interface PlanInput {
  readonly group: ReplicationGroup;
  /** By node id. A node that is missing was not asked about: a mistake of the caller. */
  readonly observations: ReadonlyMap<string, NodeObservation>;
  /** Nodes whose process keeps ending are not started again before this time. */
  readonly earliestStartMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

export function plan(input: PlanInput): Plan {
  switch (input.group.status) {
    case 'deleting':
      return planDeletion(input);
    case 'create-failed':
      return { steps: [], converged: false, waitingFor: [], lineages: new Map() };
    case 'creating':
    case 'available':
      return input.group.intent.clusterEnabled ? planCluster(input) : planReplicated(input);
  }
}

function planDeletion({ group, observations }: PlanInput): Plan {
  const remaining = membersOf(group).filter(
    (member) => observations.get(nodeIdOf(member))?.process.kind !== 'absent',
  );
  return {
    steps: [
      ...remaining.map((member) => ({
        kind: 'remove-node' as const,
        member: member.id,
        because: 'the group is being deleted',
      })),
      { kind: 'forget-group', because: 'none of its nodes is left' },
    ],
    converged: false,
    waitingFor: [],
    lineages: new Map(),
  };
}

/** What the planners of both modes ask about one member. */
export interface SeenMember {
  readonly member: Member;
  readonly process: NodeProcess;
  /** Runs and answered just now. */
  readonly engine: NodeObservation['engine'];
}

export function seeMember({ observations }: PlanInput, member: Member): SeenMember {
  const seen = observations.get(nodeIdOf(member));
  if (seen === undefined) throw new Error(`No observation of ${nodeIdOf(member)}.`);
  return { member, process: seen.process, engine: seen.engine };
}

/** Whether a process may be started in its place now, and if not what is waited for. */
export function startable(
  { earliestStartMs, nowMs }: PlanInput,
  { member, process }: SeenMember,
): string | true {
  // Its sockets are still open: the new process could not listen.
  if (process.kind === 'dead' && process.how === 'exiting') return `the end of ${member.id}'s old process`;
  const earliest = earliestStartMs.get(nodeIdOf(member)) ?? 0;
  return earliest <= nowMs || `${member.id}: it ended soon after its last starts`;
}

export function sameAddresses(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each) => right.includes(each));
}
