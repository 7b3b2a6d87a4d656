/** (pure) Availability zones: labels a host carries. On one machine they are names only, and docs say so. */

/** `us-east-1` has `us-east-1a` to `us-east-1c`. */
export function zonesOf(region: string): string[] {
  return ['a', 'b', 'c'].map((letter) => `${region}${letter}`);
}

/** The zone of the nth member of a shard when the request names none: spread in turn, shards offset. */
export function spreadZone(region: string, shardIndex: number, memberIndex: number): string {
  const zones = zonesOf(region);
  return zones[(shardIndex + memberIndex) % zones.length]!;
}
