/** (pure) What network each node type is sold with. Nothing here limits a node to it: metrics tell the share of it that is used. */

const gigabit = 1e9 / 8;

/** ElastiCache's baseline figures by size; the smaller sizes of one family differ from those of another. */
const bySize: Readonly<Record<string, number>> = {
  micro: 0.064,
  small: 0.128,
  medium: 0.256,
  large: 0.75,
  xlarge: 1.25,
  '2xlarge': 2.5,
  '4xlarge': 5,
  '8xlarge': 12,
  '12xlarge': 20,
  '16xlarge': 25,
};

/** @param nodeType such as `cache.m6g.large`. */
export function networkBaselineBytesPerSecond(nodeType: string): number {
  return (bySize[nodeType.split('.').at(-1)!] ?? bySize.large!) * gigabit;
}
