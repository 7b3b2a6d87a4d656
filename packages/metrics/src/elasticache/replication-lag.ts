/** (pure) How far a replica is behind its primary in time: from when the primary was where the replica is now. */

export interface OffsetHistory {
  /** Ascending in time; offsets that repeat are left out but for the last of them. */
  readonly points: readonly { readonly atMs: number; readonly offset: number }[];
}

const keptMs = 3_600_000;
const mostPoints = 3_600;

export function offsetSeen(history: OffsetHistory | undefined, atMs: number, offset: number): OffsetHistory {
  let points = history?.points ?? [];
  const last = points.at(-1);
  // It begins anew: another history of writes.
  if (last !== undefined && offset < last.offset) points = [];
  // The end of a rest is the moment that counts, and its beginning does not.
  const before = points.at(-1)?.offset === offset ? points.slice(0, -1) : points;
  const from = Math.max(0, before.length - mostPoints);
  return { points: [...before.slice(from).filter((each) => each.atMs > atMs - keptMs), { atMs, offset }] };
}

/** In seconds. Undefined when the replica is further behind than is known. */
export function replicationLag({ points }: OffsetHistory, offset: number): number | undefined {
  const last = points.at(-1);
  if (last === undefined) return undefined;
  if (offset >= last.offset) return 0;
  for (let index = points.length - 2; index >= 0; index -= 1) {
    const [at, next] = [points[index]!, points[index + 1]!];
    if (at.offset > offset) continue;
    const share = (offset - at.offset) / (next.offset - at.offset);
    return (last.atMs - (at.atMs + share * (next.atMs - at.atMs))) / 1_000;
  }
  return undefined;
}
