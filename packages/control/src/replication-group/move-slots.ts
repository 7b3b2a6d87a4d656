/**
 * Moves slots key by key, as every engine can. The order is the point:
 * 1. the target takes the slots as importing, then the source gives them as migrating: from here on the source serves
 *    the keys it has and sends clients to the target for others, so that nothing is added at the source;
 * 2. the source's keys are moved until none is left;
 * 3. the slot is the target's, by the target's own word first: were the source told first and we died, nobody would
 *    have it.
 *
 * A service that dies in between leaves slots open and nothing lost; the next pass sees them and goes on. The step
 * ends by time, so that whatever else happened in the cluster is looked at soon.
 */
import type { ExecuteDeps } from './execute.ts';
import { memberOfGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { ShardStep } from './step.ts';

const budgetMs = 150;
/** From Valkey 8.0 on each SETSLOT waits for the replicas: more at once would take longer than a command may. */
const commandsAtOnce = 32;

type Deps = Pick<ExecuteDeps, 'host' | 'wanted'>;
type StepOf<Kind> = Extract<ShardStep, { kind: Kind }>;

export async function moveSlots(
  deps: Deps,
  group: ReplicationGroup,
  { member, target, slots, sourceClusterNodeId, targetClusterNodeId }: StepOf<'move-slots'>,
): Promise<void> {
  const order = { group: group.id, epoch: group.epoch };
  const setSlots = async (at: string, some: readonly number[], ...state: string[]) => {
    const commands = some.map((slot) => ['CLUSTER', 'SETSLOT', String(slot), ...state]);
    for (let first = 0; first < commands.length; first += commandsAtOnce) {
      await deps.host.command(nodeIdOf({ id: at }), order, commands.slice(first, first + commandsAtOnce));
    }
  };
  await setSlots(target, slots, 'IMPORTING', sourceClusterNodeId);
  await setSlots(member, slots, 'MIGRATING', targetClusterNodeId);
  const { emptied } = await deps.host.moveKeys(nodeIdOf({ id: member }), order, {
    slots,
    to: placeOf(deps, group, target),
    budgetMs,
  });
  if (emptied.length === 0) return;
  await setSlots(target, emptied, 'NODE', targetClusterNodeId);
  await setSlots(member, emptied, 'NODE', targetClusterNodeId);
}

export async function giveBackSlots(
  deps: Deps,
  group: ReplicationGroup,
  { member, target, slots }: StepOf<'give-back-slots'>,
): Promise<void> {
  const order = { group: group.id, epoch: group.epoch };
  const { emptied } = await deps.host.moveKeys(nodeIdOf({ id: member }), order, {
    slots,
    to: placeOf(deps, group, target),
    budgetMs,
  });
  if (emptied.length > 0) await deps.host.command(nodeIdOf({ id: member }), order, closing(emptied));
}

export function closing(slots: readonly number[]): string[][] {
  return slots.map((slot) => ['CLUSTER', 'SETSLOT', String(slot), 'STABLE']);
}

/** MIGRATE talks as the nodes of the cluster do among themselves: by TLS or without. */
function placeOf({ wanted }: Deps, group: ReplicationGroup, id: string) {
  const { plainPort, tlsPort } = wanted(id);
  const member = memberOfGroup(group, id);
  const port = group.intent.busEncrypted ? tlsPort : plainPort;
  return { nodeId: nodeIdOf(member), address: member.address, port };
}
