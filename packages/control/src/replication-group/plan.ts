/**
 * (pure) From what was asked and what is seen to the steps between them. Start reading here for what a
 * replication group does when something happens.
 */
import { planCluster } from './plan-cluster.ts';
import { planReplicated } from './plan-replicated.ts';
import { membersOf } from './replication-group.ts';
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

/** Every member, also one never seen to run: its folder may be there from a start that was cut off. */
function planDeletion({ group }: PlanInput): Plan {
  return {
    steps: [
      ...membersOf(group).map((member) => ({
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
