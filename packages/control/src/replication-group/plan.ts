/**
 * (pure) From what was asked and what is seen to the steps between them. Start reading here for what a
 * replication group does when something happens.
 */
import { planCluster } from './plan-cluster.ts';
import { planMigration } from './plan-migration.ts';
import { planReplicated } from './plan-replicated.ts';
import { planRoutes } from './plan-routes.ts';
import { planUpkeep } from './plan-upkeep.ts';
import { type Member, membersOf } from './replication-group.ts';
import { type PlanInput, sameAddresses, seeMember } from './seen-member.ts';
import type { Plan, Step } from './step.ts';

export function plan(input: PlanInput): Plan {
  switch (input.group.status) {
    case 'deleting':
      return planDeletion(input);
    case 'create-failed':
      return { steps: [], converged: false, waitingFor: [], lineages: new Map() };
    case 'creating':
    case 'available':
    case 'modifying':
    case 'snapshotting':
      return planServing(input);
    case 'migrating':
      return planMigration(input);
  }
}

/** Roles first; what else is to be done to nodes waits until every role is where it belongs. */
function planServing(input: PlanInput): Plan {
  const roles = input.group.intent.clusterEnabled ? planCluster(input) : planReplicated(input);
  if (!roles.converged) return roles;
  const { steps, waitingFor } = planUpkeep(input);
  return { ...roles, steps, waitingFor, converged: steps.length === 0 && waitingFor.length === 0 };
}

/** Every member, also one never seen to run: its folder may be there from a start that was cut off. */
function planDeletion(input: PlanInput): Plan {
  const { group, front } = input;
  const retained = group.retainPrimary ? group.nodeGroups[0]?.primary : undefined;
  const steps: Step[] = [];
  planRoutes(front, [], steps);
  for (const member of membersOf(group)) {
    if (member.id === retained) {
      planRetained(input, member, steps);
      continue;
    }
    steps.push({ kind: 'remove-node', member: member.id, because: 'the group is being deleted' });
  }
  steps.push(
    retained === undefined
      ? { kind: 'forget-group', because: 'none of its nodes is left' }
      : { kind: 'retain-primary', member: retained, because: 'it was asked to stay' },
  );
  return { steps, converged: false, waitingFor: [], lineages: new Map() };
}

/** What it held for the group it gives up; a replica's role too, if the group was in the middle of something. */
function planRetained(input: PlanInput, member: Member, steps: Step[]): void {
  const { engine } = seeMember(input, member);
  if (engine === undefined || sameAddresses(engine.boundAddresses, [member.address])) return;
  steps.push({
    kind: 'listen',
    member: member.id,
    addresses: [member.address],
    dropped: engine.boundAddresses.filter((address) => address !== member.address),
    because: 'the endpoints end with the group',
  });
}
