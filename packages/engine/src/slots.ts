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

export function countSlots(ranges: readonly SlotRange[]): number {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

/** Every slot, in order, once each. */
export function listSlots(ranges: readonly SlotRange[]): number[] {
  const slots = new Set<number>();
  for (const { first, last } of ranges) for (let slot = first; slot <= last; slot += 1) slots.add(slot);
  return [...slots].sort((a, b) => a - b);
}

/** The fewest ranges that hold just these slots, in order. */
export function rangesOf(slots: Iterable<number>): SlotRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const slot of [...new Set(slots)].sort((a, b) => a - b)) {
    const previous = ranges.at(-1);
    if (previous?.last === slot - 1) previous.last = slot;
    else ranges.push({ first: slot, last: slot });
  }
  return ranges;
}

/** Those of `ranges` that are not in `others`. */
export function withoutSlots(ranges: readonly SlotRange[], others: readonly SlotRange[]): SlotRange[] {
  const gone = new Set(listSlots(others));
  return rangesOf(listSlots(ranges).filter((slot) => !gone.has(slot)));
}

export function sameSlots(left: readonly SlotRange[], right: readonly SlotRange[]): boolean {
  return formatSlots(rangesOf(listSlots(left))) === formatSlots(rangesOf(listSlots(right)));
}

/** (pure) The slot of a key: of what is between its first `{` and the next `}`, where that is something, else of all. */
export function slotOfKey(key: Uint8Array): number {
  const open = key.indexOf(0x7b);
  const close = open < 0 ? -1 : key.indexOf(0x7d, open + 1);
  const hashed = close > open + 1 ? key.subarray(open + 1, close) : key;
  let crc = 0;
  for (const byte of hashed) crc = ((crc << 8) & 0xffff) ^ crc16Steps[(crc >> 8) ^ byte]!;
  return crc % slotCount;
}

/** CRC-16/XMODEM, a byte at a time. */
const crc16Steps = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});
