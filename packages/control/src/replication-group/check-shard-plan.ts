/**
 * (pure) What a plan may do about shards and slots, numbered on from `check-plan.ts`.
 *
 * - I13 No node, and no shard, goes that any node of the cluster takes for an owner of slots, unless the group goes.
 * - I14 Slots go only from the primary that owns them to the primary of another whole shard, which is to have them.
 * - I15 A slot goes one way only in one plan.
 * - I16 Resharding ends only when every primary has just the slots that its shard is to have.
 */
import { listSlots, sameSlots } from '@larder/engine/slots';
import type { NodeObservation } from '@larder/fleet/host';
import { type NodeGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { Step } from './step.ts';

export interface Violation {
  readonly invariant: `I${number}`;
  readonly detail: string;
}

export function checkShardPlan(
  steps: readonly Step[],
  group: ReplicationGroup,
  observations: ReadonlyMap<string, NodeObservation>,
): Violation[] {
  const violations: Violation[] = [];
  const report = (invariant: Violation['invariant'], detail: string) =>
    violations.push({ invariant, detail });
  const owners = addressesOfOwners(observations);
  const shardOf = (member: string) =>
    group.nodeGroups.find(({ members }) => members.some(({ id }) => id === member));
  const slotsOf = (nodeGroup: NodeGroup) => slotsOfPrimary(nodeGroup, observations);
  const goingTo = new Map<number, string>();

  for (const step of steps) {
    switch (step.kind) {
      case 'remove-node':
      case 'forget-member': {
        const address = shardOf(step.member)?.members.find(({ id }) => id === step.member)?.address;
        if (group.status === 'deleting' || address === undefined || !owners.has(address)) break;
        report('I13', `${step.kind} of ${step.member}, which has slots`);
        break;
      }
      case 'dismiss-shard':
      case 'forget-shard': {
        const shard = group.nodeGroups.find(({ id }) => id === step.nodeGroup);
        const owner = shard?.members.find(({ address }) => owners.has(address));
        if (owner !== undefined) report('I13', `${step.kind} of ${step.nodeGroup}: ${owner.id} has slots`);
        if (shard?.resharding?.leaving !== true) {
          report('I13', `${step.kind} of ${step.nodeGroup}, which was not asked to go`);
        }
        break;
      }
      case 'migrate-slots':
        for (const { target, slots } of step.moves) checkMove(step.member, target, listSlots(slots));
        break;
      case 'move-slots':
        checkMove(step.member, step.target, step.slots);
        break;
      case 'end-resharding':
        for (const nodeGroup of group.nodeGroups) {
          const owned = slotsOf(nodeGroup);
          if (owned !== undefined && sameSlots(owned, nodeGroup.resharding?.slots ?? [])) continue;
          report('I16', `shard ${nodeGroup.id} has other slots than it is to have`);
        }
        break;
    }
  }
  return violations;

  function checkMove(from: string, to: string, slots: readonly number[]): void {
    const source = shardOf(from);
    const target = shardOf(to);
    if (source === undefined || target === undefined) return;
    const move = `slots of ${from} to ${to}`;
    if (source.primary !== from || target.primary !== to || source === target) {
      report('I14', `${move}: they are not the primaries of two shards`);
    }
    if (!target.formed || target.resharding?.leaving === true) {
      report('I14', `${move}, whose shard is not whole or is to go`);
    }
    const owned = new Set(listSlots(slotsOf(source) ?? []));
    const wanted = new Set(listSlots(target.resharding?.slots ?? []));
    const wrong = slots.find((slot) => !owned.has(slot) || !wanted.has(slot));
    if (wrong !== undefined) report('I14', `${move}: ${wrong} is not its own, or not to be there`);
    for (const slot of slots) {
      if ((goingTo.get(slot) ?? to) !== to)
        report('I15', `slot ${slot} would go to ${goingTo.get(slot)} too`);
      goingTo.set(slot, to);
    }
  }
}

function slotsOfPrimary({ primary }: NodeGroup, observations: ReadonlyMap<string, NodeObservation>) {
  const peers = observations.get(nodeIdOf({ id: primary }))?.engine?.cluster?.peers;
  return peers?.find(({ myself }) => myself)?.slots;
}

/** As anybody of the cluster sees it. */
function addressesOfOwners(observations: ReadonlyMap<string, NodeObservation>): Set<string> {
  const owners = new Set<string>();
  for (const { engine } of observations.values()) {
    for (const { address, slots } of engine?.cluster?.peers ?? []) if (slots.length > 0) owners.add(address);
  }
  return owners;
}
