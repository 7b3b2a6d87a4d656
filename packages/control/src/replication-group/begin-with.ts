/**
 * (pure) A group made from a snapshot of other shards: it begins with the snapshot's own, a file each, and from there
 * the slots go where they are to be, as when a group that serves is resharded. Whole data files fit nowhere else: no
 * engine loads a part of one, or two of them.
 */
import { countSlots, listSlots, type SlotRange, withoutSlots } from '@larder/engine/slots';
import { spreadZone } from '../placement/zones.ts';
import type { Resharding } from './replication-group.ts';
import { refuseManyNodes, type ShapedNodeGroup } from './shape.ts';

export interface BeginningNodeGroup extends ShapedNodeGroup {
  /** Missing when it begins with what it is to have. */
  readonly resharding?: Resharding;
}

interface KeptShard {
  readonly slots: readonly SlotRange[];
}

/**
 * @param wanted the shards that the group is to have.
 * @param kept those of the snapshot. Where there are more of them, shards that go again stand behind `wanted`.
 * @returns `wanted` with the slots they begin with: few slots have to move.
 * @throws ServiceError NodeQuotaForClusterExceededFault
 */
export function beginWith(
  wanted: readonly ShapedNodeGroup[],
  kept: readonly KeptShard[],
  zones: readonly string[],
): BeginningNodeGroup[] {
  // A snapshot of a group without cluster mode has keys of every slot in its one file.
  const shards = kept.length === 1 ? [wanted.flatMap(({ slots }) => slots)] : kept.map(({ slots }) => slots);
  const heirs = heirsOf(wanted, shards);
  const beginning = wanted.map((each, index): BeginningNodeGroup => {
    const slots = shards[heirs.indexOf(index)] ?? [];
    const gains = countSlots(withoutSlots(each.slots, slots));
    return { ...each, slots, resharding: { slots: each.slots, gains, leaving: false } };
  });
  const members = Math.min(...wanted.map(({ memberZones }) => memberZones.length));
  const leaving = shards
    .filter((_, shard) => heirs[shard] === undefined)
    .map((slots, at): BeginningNodeGroup => {
      const index = wanted.length + at;
      const memberZones = Array.from({ length: members }, (_, member) => spreadZone(zones, index, member));
      return { index, slots, memberZones, resharding: { slots: [], gains: 0, leaving: true } };
    });
  const all = [...beginning, ...leaving];
  refuseManyNodes(all);
  const moves = leaving.length > 0 || beginning.some(({ resharding }) => resharding!.gains > 0);
  return moves ? all : beginning.map(({ resharding: _, ...each }) => each);
}

/** For each shard of the snapshot the wanted one that takes its file: that with most of its slots, while there is one. */
function heirsOf(
  wanted: readonly ShapedNodeGroup[],
  shards: readonly (readonly SlotRange[])[],
): readonly (number | undefined)[] {
  const wantedBy = new Map(
    wanted.flatMap(({ slots }, index) => listSlots(slots).map((slot) => [slot, index])),
  );
  const pairs = shards.flatMap((slots, shard) => {
    const common = wanted.map(() => 0);
    for (const slot of listSlots(slots)) common[wantedBy.get(slot)!]! += 1;
    return common.map((count, index) => ({ shard, index, count }));
  });
  const heirs: (number | undefined)[] = shards.map(() => undefined);
  for (const { shard, index } of pairs.sort((a, b) => b.count - a.count)) {
    if (heirs[shard] === undefined && !heirs.includes(index)) heirs[shard] = index;
  }
  return heirs;
}
