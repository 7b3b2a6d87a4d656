/** (pure) Which slots each shard is to have: as many as the others, and as few of them moved as can be. */
import { countSlots, listSlots, rangesOf, type SlotRange, slotCount } from '@larder/engine/slots';

/**
 * @param now shard -> its slots; together every slot once. Shards that are to go are among them.
 * @param staying the shards that are to have slots, at least one; new ones are not in `now`.
 * @returns shard -> slots, for all of `now` and `staying`.
 */
export function targetSlots(
  now: ReadonlyMap<string, readonly SlotRange[]>,
  staying: readonly string[],
): Map<string, SlotRange[]> {
  const count = (shard: string) => countSlots(now.get(shard) ?? []);
  const least = Math.floor(slotCount / staying.length);
  // Those that have most keep the one more that not all can have.
  const bySize = [...staying].sort((a, b) => count(b) - count(a) || (a < b ? -1 : 1));
  const quota = new Map(
    bySize.map((shard, index) => [shard, least + (index < slotCount % staying.length ? 1 : 0)]),
  );

  const spare: number[] = [];
  const kept = new Map<string, number[]>();
  for (const [shard, ranges] of now) {
    const slots = listSlots(ranges);
    kept.set(shard, slots.slice(0, quota.get(shard) ?? 0));
    spare.push(...slots.slice(quota.get(shard) ?? 0));
  }
  spare.sort((a, b) => a - b);
  for (const shard of staying) {
    const slots = kept.get(shard) ?? [];
    kept.set(shard, [...slots, ...spare.splice(0, quota.get(shard)! - slots.length)]);
  }
  return new Map([...kept].map(([shard, slots]) => [shard, rangesOf(slots)]));
}
