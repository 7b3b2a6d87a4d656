/**
 * (pure) The plan of a group whose data comes from a node that is not ours: its primary is a replica of that node,
 * its replicas follow the primary, and its endpoints stay where they are. When the migration is to end, the primary
 * leaves the source once it has everything, or at once when it was told so.
 */
import { planReader } from './plan-reader.ts';
import { planListening, planReplica } from './plan-replicated.ts';
import { planSilentHeirs, planSilentPrimary } from './plan-silent.ts';
import type { Migration, NodeGroup } from './replication-group.ts';
import { fenceOf, isLost, type PlanInput, type SeenMember, seeMember, startable } from './seen-member.ts';
import type { Plan, Step } from './step.ts';
import { chooseSuccessor } from './successor.ts';

export function planMigration(input: PlanInput): Plan {
  const { migration, nodeGroups } = input.group;
  const nodeGroup = nodeGroups[0]!;
  const steps: Step[] = [];
  const waitingFor: string[] = [];
  const seen = nodeGroup.members.map((member) => seeMember(input, member));
  const primary = seen.find(({ member }) => member.id === nodeGroup.primary)!;
  const others = seen.filter((each) => each !== primary);
  const result = (lineages: Plan['lineages']): Plan => ({ steps, converged: false, waitingFor, lineages });

  const leader = planLeader(input, nodeGroup, primary, others, steps, waitingFor);
  if (leader === undefined) return result(new Map());
  if (migration !== undefined) planSource(input, migration, nodeGroup, leader, steps, waitingFor);
  planListening(input, nodeGroup, seen, leader, steps);
  for (const each of others) {
    if (each !== leader) planReplica(input, each, leader, seen, steps, waitingFor);
  }
  planReader(input, nodeGroup, seen, leader, steps);
  // The source's history is ours now: who has it may follow a lost primary.
  const replication = leader.engine!.info.replication;
  const hasIt = migration !== undefined && isCopy(leader, migration);
  return result(
    hasIt && replication.replicationId !== nodeGroup.lineage
      ? new Map([[nodeGroup.id, replication.replicationId]])
      : new Map(),
  );
}

/** Who follows the source, or by the steps added will; undefined when nobody can for now. */
function planLeader(
  input: PlanInput,
  nodeGroup: NodeGroup,
  primary: SeenMember,
  others: readonly SeenMember[],
  steps: Step[],
  waitingFor: string[],
): SeenMember | undefined {
  if (!isLost(primary)) {
    if (primary.engine !== undefined) return primary;
    planSilentPrimary(nodeGroup, primary, others, steps, waitingFor);
    return undefined;
  }
  const succession = chooseSuccessor(primary, nodeGroup.lineage, others);
  switch (succession.kind) {
    case 'wait':
      waitingFor.push(succession.because);
      planSilentHeirs(others, steps, waitingFor);
      return undefined;
    case 'promote':
      steps.push({
        kind: 'decide-primary',
        nodeGroup: nodeGroup.id,
        member: succession.member,
        previous: primary.member.id,
        fence: fenceOf(primary),
        because: succession.because,
      });
      return others.find(({ member }) => member.id === succession.member)!;
    case 'start-empty': {
      const ready = startable(input, primary);
      if (ready !== true) {
        waitingFor.push(ready);
        return undefined;
      }
      steps.push({
        kind: 'start-node',
        member: primary.member.id,
        endpointAddresses: [],
        because: `${succession.because}; the source still does`,
      });
      return undefined;
    }
  }
}

function planSource(
  { sourceOffset }: PlanInput,
  migration: Migration,
  nodeGroup: NodeGroup,
  leader: SeenMember,
  steps: Step[],
  waitingFor: string[],
): void {
  const { source, completing } = migration;
  const { replication } = leader.engine!.info;
  const member = leader.member.id;
  const left = replication.role === 'primary' && completing !== undefined && hadEverything(nodeGroup, leader);
  if (left || (replication.role === 'primary' && completing === 'at-once')) {
    // Repeated: a node that was started anew, and never followed, has its login, and nothing is lost by it.
    steps.push(
      { kind: 'leave-source', member, because: 'it follows nobody any more' },
      { kind: 'end-migration', because: 'the source was left' },
    );
    return;
  }
  if (!follows(leader, migration)) {
    if (completing === 'at-once') {
      steps.push({ kind: 'leave-source', member, because: 'it was asked for, with what there is' });
      return;
    }
    steps.push({
      kind: 'follow-source',
      member,
      because: `the data is at ${source.address}:${source.port}`,
    });
    return;
  }
  const inSync = isCopy(leader, migration);
  if (inSync !== migration.inSync) {
    const because = inSync ? 'a whole copy is here' : 'the link to the source is down';
    steps.push({ kind: 'note-source', inSync, because });
  }
  if (completing === 'at-once') {
    steps.push({ kind: 'leave-source', member, because: 'it was asked for, with what there is' });
  } else if (!inSync) {
    waitingFor.push(`${member} to be in sync with the source`);
  } else if (completing === 'in-sync') {
    if (sourceOffset !== undefined && replication.offset >= sourceOffset) {
      steps.push({ kind: 'leave-source', member, because: `it has everything up to ${sourceOffset}` });
    } else {
      waitingFor.push(sourceOffset === undefined ? 'the source to answer' : 'the last of the source');
    }
  }
}

function follows({ engine }: SeenMember, { source }: Migration): boolean {
  const { role, primary } = engine!.info.replication;
  return role === 'replica' && primary?.address === source.address && primary.port === source.port;
}

function isCopy(leader: SeenMember, migration: Migration): boolean {
  const { primary, syncInProgress } = leader.engine!.info.replication;
  return follows(leader, migration) && primary?.linkUp === true && !syncInProgress;
}

/** It was promoted out of the source's own history: not a node that was just started, empty. */
function hadEverything({ lineage }: NodeGroup, { engine }: SeenMember): boolean {
  return lineage !== undefined && engine!.info.replication.previousReplicationId === lineage;
}
