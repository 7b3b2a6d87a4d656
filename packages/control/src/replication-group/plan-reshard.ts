/**
 * (pure) From the slots that shards have to those they are to have.
 *
 * Where the engine moves whole slots by itself (CLUSTER MIGRATESLOTS), each source is given one batch at a time and
 * asked how far it is. Elsewhere slots are opened, their keys moved and the slots closed, a bounded piece per pass.
 * What is seen decides alone, so a service that was killed goes on by looking: slots found open are finished when
 * they are on their way, and given back to their owner when they are not. None is left open.
 *
 * A shard that is to go is dismissed once no node of the cluster takes it for an owner of slots; then its nodes are
 * removed and forgotten.
 */
import { listSlots, rangesOf, type SlotRange, sameSlots, slotCount } from '@larder/engine/slots';
import type { PlanInput } from './seen-member.ts';
import {
  clusterNodeId,
  dismissed,
  isTakenForOwner,
  knows,
  myself,
  type SeenShard,
  seesWholeCluster,
} from './seen-shard.ts';
import type { SlotMove, Step } from './step.ts';

/** In one move by the engines: what a failure costs. */
const slotsAtOnce = 2_048;
/** In one step key by key; the step itself also ends by time. */
const slotsPerStep = 256;
const retryAfterMs = 2_000;
const moveLimitMs = 600_000;

interface Owners {
  /** By slot. */
  readonly owners: readonly SeenShard[];
  /** Shards that own others than are written down. */
  readonly changed: ReadonlyMap<string, readonly SlotRange[]>;
}

/** Whose each slot is by the decided primaries' own word; undefined while they leave one out or two claim one. */
export function slotOwners(shards: readonly SeenShard[]): Owners | undefined {
  const owners: SeenShard[] = [];
  let claimed = 0;
  const changed = new Map<string, readonly SlotRange[]>();
  for (const shard of shards) {
    const self = myself(shard.primary);
    if (self === undefined) {
      if (dismissed(shard) || !shard.nodeGroup.formed) continue;
      return undefined;
    }
    if (self.role !== 'primary') return undefined;
    for (const slot of listSlots(self.slots)) {
      owners[slot] = shard;
      claimed += 1;
    }
    if (!sameSlots(self.slots, shard.nodeGroup.slots)) changed.set(shard.nodeGroup.id, self.slots);
  }
  if (claimed !== slotCount || Object.keys(owners).length !== slotCount) return undefined;
  return { owners, changed };
}

/** Called when every role is settled. */
export function planResharding(
  input: PlanInput,
  shards: readonly SeenShard[],
  steps: Step[],
  waitingFor: string[],
): void {
  const isAsked = shards.some(({ nodeGroup }) => nodeGroup.resharding !== undefined);
  const found = slotOwners(shards);
  if (found === undefined) {
    if (isAsked) waitingFor.push('the primaries to agree whose each slot is');
    return;
  }
  if (shards.some((shard) => !shard.nodeGroup.formed)) return;
  const { owners } = found;
  const wanted = isAsked ? targetOwners(shards) : owners;

  const opened = planOpenSlots(shards, owners, wanted, steps);
  if (steps.some(({ kind }) => kind === 'give-back-slots' || kind === 'close-slots')) return;
  const moves = movesBetween(owners, wanted);
  if (moves.length === 0) {
    if (isAsked) planEnd(input, shards, steps, waitingFor);
    return;
  }
  // The engine moves no slots by itself while any is open.
  const open = moves.find(({ slots }) => slots.some((slot) => opened.has(slot)));
  if (open !== undefined) {
    steps.push(
      byKeys(
        open,
        open.slots.filter((slot) => opened.has(slot)),
        'it was cut off in between',
      ),
    );
    return;
  }
  planWholeMoves(input, shards, moves, steps, waitingFor);
  const first = moves.find(({ source }) => source.primary.engine!.cluster!.slotMigrations === undefined);
  if (first !== undefined) steps.push(byKeys(first, first.slots, 'the slots are to be evenly spread'));
}

function targetOwners(shards: readonly SeenShard[]): readonly SeenShard[] {
  const wanted: SeenShard[] = [];
  for (const shard of shards) {
    for (const slot of listSlots(shard.nodeGroup.resharding?.slots ?? [])) wanted[slot] = shard;
  }
  return wanted;
}

interface PairMoves {
  readonly source: SeenShard;
  readonly target: SeenShard;
  readonly slots: readonly number[];
}

function movesBetween(owners: readonly SeenShard[], wanted: readonly SeenShard[]): PairMoves[] {
  const pairs = new Map<string, { source: SeenShard; target: SeenShard; slots: number[] }>();
  for (const [slot, source] of owners.entries()) {
    const target = wanted[slot];
    if (target === undefined || target === source) continue;
    const key = `${source.nodeGroup.id} ${target.nodeGroup.id}`;
    const pair = pairs.get(key) ?? { source, target, slots: [] };
    pair.slots.push(slot);
    pairs.set(key, pair);
  }
  return [...pairs.values()];
}

/**
 * Ends what is under way and no longer wanted.
 * @returns the open slots that are on their way to where they are to be.
 */
function planOpenSlots(
  shards: readonly SeenShard[],
  owners: readonly SeenShard[],
  wanted: readonly SeenShard[],
  steps: Step[],
): ReadonlySet<number> {
  const onTheirWay = new Set<number>();
  const stale: { shard: SeenShard; slot: number }[] = [];
  let givesBack = false;
  for (const shard of shards) {
    const returned = new Map<SeenShard, number[]>();
    for (const { slot, direction } of myself(shard.primary)?.openSlots ?? []) {
      const owner = owners[slot]!;
      const target = wanted[slot];
      const moves = target !== owner;
      // Opened before the node knew whose the slot was, it would never learn it.
      const isLost = direction === 'importing' && !seesOwner(shard, slot);
      if (isLost) {
        stale.push({ shard, slot });
      } else if (direction === 'importing' && shard !== owner && !(moves && shard === target)) {
        returned.set(owner, [...(returned.get(owner) ?? []), slot]);
      } else if (moves && (shard === owner || shard === target)) {
        onTheirWay.add(slot);
      } else {
        stale.push({ shard, slot });
      }
    }
    for (const [owner, slots] of returned) {
      givesBack = true;
      steps.push({
        kind: 'give-back-slots',
        member: shard.primary.member.id,
        target: owner.primary.member.id,
        slots: slots.slice(0, slotsPerStep),
        because: 'they are not to move, or not here',
      });
    }
  }
  // Clients are sent to the importing node as long as the owner has the slot open: it stays so until keys are back.
  if (givesBack) return onTheirWay;
  for (const shard of new Set(stale.map((each) => each.shard))) {
    steps.push({
      kind: 'close-slots',
      member: shard.primary.member.id,
      slots: stale.filter((each) => each.shard === shard).map(({ slot }) => slot),
      because: 'their move has ended',
    });
  }
  return onTheirWay;
}

function seesOwner({ primary }: SeenShard, slot: number): boolean {
  const peers = primary.engine!.cluster!.peers;
  return peers.some(({ slots }) => slots.some(({ first, last }) => first <= slot && slot <= last));
}

function byKeys({ source, target }: PairMoves, slots: readonly number[], because: string): Step {
  return {
    kind: 'move-slots',
    member: source.primary.member.id,
    target: target.primary.member.id,
    sourceClusterNodeId: clusterNodeId(source.primary)!,
    targetClusterNodeId: clusterNodeId(target.primary)!,
    slots: slots.slice(0, slotsPerStep),
    because,
  };
}

/**
 * No shard gives slots while it takes some: to hand over, the engine holds its writes back, those of what it takes among
 * them. Two that gave to each other at once stood still until their moves' time was up, and one process ended.
 */
function planWholeMoves(
  input: PlanInput,
  shards: readonly SeenShard[],
  moves: readonly PairMoves[],
  steps: Step[],
  waitingFor: string[],
): void {
  const giving = new Set<string>();
  const taking = new Set<string>();
  for (const { primary } of shards) {
    for (const { state, sourceId, targetId } of primary.engine?.cluster?.slotMigrations ?? []) {
      if (state !== 'under-way') continue;
      giving.add(sourceId);
      taking.add(targetId);
    }
  }
  for (const source of new Set(moves.map((each) => each.source))) {
    const sourceId = clusterNodeId(source.primary)!;
    if (source.primary.engine!.cluster!.slotMigrations === undefined) continue;
    const own = moves.filter(
      (each) => each.source === source && !giving.has(clusterNodeId(each.target.primary)!),
    );
    if (taking.has(sourceId) || own.length === 0) {
      waitingFor.push(`the moves to ${source.primary.member.id}, or from its targets, to end`);
      continue;
    }
    giving.add(sourceId);
    for (const { target } of own) taking.add(clusterNodeId(target.primary)!);
    planWholeSlots(input, source, own, steps, waitingFor);
  }
}

/** The next batch of one source, unless one is under way. */
function planWholeSlots(
  { nowMs }: PlanInput,
  source: SeenShard,
  moves: readonly PairMoves[],
  steps: Step[],
  waitingFor: string[],
): void {
  const { member, engine } = source.primary;
  const exported = engine!.cluster!.slotMigrations!.filter(({ operation }) => operation === 'export');
  const current = exported.filter(({ state }) => state === 'under-way');
  if (current.length > 0) {
    waitingFor.push(`${current.length} moves of slots from ${member.id}`);
    if (current.every(({ createdAtMs }) => nowMs - createdAtMs < moveLimitMs)) return;
    const because = `it did not end in ${moveLimitMs / 1_000} s and is tried anew`;
    steps.push({ kind: 'cancel-slot-migrations', member: member.id, because });
    return;
  }
  const last = exported[0];
  const failed = last !== undefined && last.state !== 'success';
  if (failed && nowMs - last.updatedAtMs < retryAfterMs) {
    waitingFor.push(`another try of ${member.id}'s slots; the last one ended: ${last.message || last.state}`);
    return;
  }
  const room = Math.ceil(slotsAtOnce / moves.length);
  const batch: SlotMove[] = [];
  for (const { target, slots } of moves) {
    const targetClusterNodeId = clusterNodeId(target.primary)!;
    if (!knows(source.primary, targetClusterNodeId)) {
      waitingFor.push(`${member.id} to know ${target.primary.member.id}`);
      continue;
    }
    const some = slots.slice(0, room);
    batch.push({ target: target.primary.member.id, targetClusterNodeId, slots: rangesOf(some) });
  }
  if (batch.length === 0) return;
  steps.push({
    kind: 'migrate-slots',
    member: member.id,
    moves: batch,
    because: failed
      ? `the last try ended: ${last.message || last.state}`
      : 'the slots are to be evenly spread',
  });
}

/** Every slot is where it is to be. */
function planEnd(
  { group }: PlanInput,
  shards: readonly SeenShard[],
  steps: Step[],
  waitingFor: string[],
): void {
  const leaving = shards.filter(({ nodeGroup }) => nodeGroup.resharding?.leaving === true);
  for (const shard of leaving) {
    const { nodeGroup } = shard;
    if (isTakenForOwner(shard, shards)) {
      waitingFor.push(`everybody to know that shard ${nodeGroup.id} has no slots`);
    } else if (dismissed(shard)) {
      planRemoval(shard, shards, steps);
    } else {
      steps.push({ kind: 'dismiss-shard', nodeGroup: nodeGroup.id, because: 'it has no slots any more' });
    }
  }
  if (leaving.length > 0) return;
  const members = shards
    .flatMap((shard) => shard.members)
    .filter(({ member }) => member.status !== 'deleting');
  const size = group.nodeGroups.reduce((sum, nodeGroup) => sum + nodeGroup.members.length, 0);
  if (members.every((each) => seesWholeCluster(each, size))) {
    steps.push({ kind: 'end-resharding', because: 'every slot is where it was asked to be' });
  } else {
    waitingFor.push('the cluster to agree');
  }
}

function planRemoval(shard: SeenShard, shards: readonly SeenShard[], steps: Step[]): void {
  const because = `shard ${shard.nodeGroup.id} has no slots any more`;
  const primaryLast = [...shard.members].sort(
    (a, b) => Number(a === shard.primary) - Number(b === shard.primary),
  );
  const addresses = new Set(shard.members.map(({ member }) => member.address));
  for (const { member } of primaryLast) steps.push({ kind: 'remove-node', member: member.id, because });
  for (const { member, engine } of shards
    .filter((each) => each !== shard)
    .flatMap(({ members }) => members)) {
    for (const { id, address } of engine?.cluster?.peers ?? []) {
      if (addresses.has(address)) {
        steps.push({ kind: 'forget-peer', member: member.id, clusterNodeId: id, because });
      }
    }
  }
  for (const { member } of primaryLast) steps.push({ kind: 'forget-member', member: member.id, because });
  steps.push({ kind: 'forget-shard', nodeGroup: shard.nodeGroup.id, because });
}
