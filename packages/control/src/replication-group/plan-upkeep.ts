/**
 * (pure) What is done to a group whose roles are settled: roles handed over, nodes of an older version or
 * generation started anew, members taken out. Replicas come before their primary, one node of a shard at a time,
 * and a primary with a replica in sync hands its role over before it stops.
 */
import type { NodeGroup } from './replication-group.ts';
import { type PlanInput, type SeenMember, seeMember } from './seen-member.ts';
import type { Plan, Step } from './step.ts';

/** @returns nothing in either when there is nothing to do. The topology must have been seen to be converged. */
export function planUpkeep(input: PlanInput): Pick<Plan, 'steps' | 'waitingFor'> {
  const waitingFor: string[] = [];
  const steps = input.group.nodeGroups.flatMap((nodeGroup) => planShardUpkeep(input, nodeGroup, waitingFor));
  return { steps, waitingFor };
}

function planShardUpkeep(input: PlanInput, nodeGroup: NodeGroup, waitingFor: string[]): Step[] {
  const seen = nodeGroup.members.map((member) => seeMember(input, member));
  const primary = seen.find(({ member }) => member.id === nodeGroup.primary)!;
  const replicas = seen.filter((each) => each !== primary);
  const staying = replicas.filter(({ member }) => member.status !== 'deleting');

  if (nodeGroup.handover !== undefined) return [planHandover(nodeGroup, primary, staying)];

  const leaving = replicas.filter(({ member }) => member.status === 'deleting');
  if (leaving.length > 0) return leaving.flatMap((each) => planRemoval(input, each));

  const outdated = staying.find((each) => each.outdated);
  if (outdated !== undefined) return planRestart(outdated, waitingFor);
  if (!primary.outdated) return [];
  const heir = best(staying);
  if (heir !== undefined) return [switching(nodeGroup, heir, primary, 'it is to be started anew')];
  // Nobody to hand over to: its data ends with it, as ElastiCache documents for a reboot.
  return staying.length === 0 ? [stopping(primary)] : [];
}

/** It saves its data first: it then follows on from there, and nobody has to copy all of theirs for it. */
function planRestart(replica: SeenMember, waitingFor: string[]): Step[] {
  const { member, keptData } = replica;
  switch (keptData) {
    case undefined:
      return [{ kind: 'keep-data', member: member.id, because: 'it is to be stopped and started' }];
    case 'saving':
      waitingFor.push(`${member.id} to save its data`);
      return [];
    case 'saved':
    case 'failed':
      return [stopping(replica)];
  }
}

function planHandover(
  { handover, ...nodeGroup }: NodeGroup,
  primary: SeenMember,
  others: readonly SeenMember[],
): Step {
  const { from, to } = handover!;
  const heir = to === undefined ? best(others) : others.find(({ member }) => member.id === to);
  if (from !== primary.member.id || heir === undefined) {
    const because = from === primary.member.id ? 'there is nobody to take over' : 'it is done';
    return { kind: 'end-handover', nodeGroup: nodeGroup.id, because };
  }
  return switching(nodeGroup, heir, primary, 'it was asked for');
}

function planRemoval(input: PlanInput, { member, engine }: SeenMember): Step[] {
  const because = 'it was asked to go';
  const clusterNodeId = engine?.cluster?.peers.find((peer) => peer.myself)?.id;
  const others = input.group.nodeGroups
    .flatMap(({ members }) => members)
    .map((each) => seeMember(input, each))
    .filter((each) => each.member.id !== member.id && each.engine !== undefined);
  // By address: its process may have ended before its name in the cluster was asked for.
  const known = (each: SeenMember) =>
    each.engine!.cluster?.peers.find((peer) => peer.id === clusterNodeId || peer.address === member.address)
      ?.id;
  return [
    { kind: 'remove-node', member: member.id, because },
    ...others.flatMap((each) => {
      const id = known(each);
      return id === undefined
        ? []
        : [{ kind: 'forget-peer' as const, member: each.member.id, clusterNodeId: id, because }];
    }),
    { kind: 'forget-member', member: member.id, because },
  ];
}

/** In sync, the furthest on; one that is up to date before one that will itself be started anew. */
function best(replicas: readonly SeenMember[]): SeenMember | undefined {
  return replicas
    .filter(({ engine }) => engine?.info.replication.primary?.linkUp === true)
    .sort(
      (a, b) =>
        Number(a.outdated) - Number(b.outdated) ||
        b.engine!.info.replication.offset - a.engine!.info.replication.offset,
    )[0];
}

function stopping({ member }: SeenMember): Step {
  return {
    kind: 'stop-node',
    member: member.id,
    because: 'it is of an older version or was asked to restart',
  };
}

function switching(
  nodeGroup: Pick<NodeGroup, 'id'>,
  heir: SeenMember,
  primary: SeenMember,
  because: string,
): Step {
  return {
    kind: 'switch-over',
    nodeGroup: nodeGroup.id,
    member: heir.member.id,
    previous: primary.member.id,
    because,
  };
}
