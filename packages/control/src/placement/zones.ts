/** (pure) Availability zones: labels a host carries. On one machine they are names only, and docs say so. */

/** `us-east-1` has `us-east-1a` to `us-east-1c`. */
export function zonesOf(region: string): string[] {
  return ['a', 'b', 'c'].map((letter) => `${region}${letter}`);
}

/** The zone of the nth member of a shard when the request names none: spread in turn, shards offset. */
export function spreadZone(zones: readonly string[], shardIndex: number, memberIndex: number): string {
  return zones[(shardIndex + memberIndex) % zones.length]!;
}

/** The zone among `zones` that holds the fewest of `taken`, the first of those. */
export function emptiestZone(zones: readonly string[], taken: readonly string[]): string {
  const count = (zone: string) => taken.filter((each) => each === zone).length;
  return [...zones].sort((a, b) => count(a) - count(b))[0]!;
}
