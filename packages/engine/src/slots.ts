/** (pure) The 16,384 hash slots of cluster mode: splitting, parsing, printing. Ranges are inclusive. */

export const slotCount = 16_384;

export interface SlotRange {
  readonly first: number;
  readonly last: number;
}

/** Splits all slots into `shards` runs whose lengths differ by at most one, as ElastiCache does. */
export function splitEvenly(shards: number): SlotRange[] {
  return Array.from({ length: shards }, (_, index) => ({
    first: Math.ceil((index * slotCount) / shards),
    last: Math.ceil(((index + 1) * slotCount) / shards) - 1,
  }));
}

/** Reads `0-5460,6000`; undefined when the text is no list of slots. */
export function parseSlots(text: string): SlotRange[] | undefined {
  const ranges: SlotRange[] = [];
  for (const part of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first > last || last >= slotCount) return undefined;
    ranges.push({ first, last });
  }
  return ranges;
}

export function formatSlots(ranges: readonly SlotRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** Whether the shards' ranges cover every slot exactly once. */
export function tileAllSlots(shards: readonly (readonly SlotRange[])[]): boolean {
  const ordered = shards.flat().sort((a, b) => a.first - b.first);
  let next = 0;
  for (const { first, last } of ordered) {
    if (first !== next) return false;
    next = last + 1;
  }
  return next === slotCount;
}
