/**
 * (pure) From what was asked and what is seen to the steps between them. Start reading here for what a
 * replication group does when something happens.
 */
import { planCluster } from './plan-cluster.ts';
import { planReplicated } from './plan-replicated.ts';
import { membersOf, nodeIdOf } from './replication-group.ts';
import type { PlanInput } from './seen-member.ts';
import type { Plan } from './step.ts';

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
