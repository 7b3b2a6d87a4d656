/** Which node serves which slot, as `CLUSTER SLOTS` tells it. */
import type { NodeAddress } from '../driver/driver.ts';

export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly primary: NodeAddress;
}

/**
 * @param askedHost where the reply came from: a node that doesn't know its own address reports an empty one.
 * @returns undefined for what isn't such a reply.
 */
export function parseClusterSlots(reply: unknown, askedHost: string): readonly SlotRange[] | undefined {
  if (!Array.isArray(reply)) return undefined;
  const ranges: SlotRange[] = [];
  for (const row of reply as unknown[]) {
    if (!Array.isArray(row) || !Array.isArray(row[2])) return undefined;
    const [first, last, [host, port]] = row as [unknown, unknown, [unknown, unknown]];
    if (typeof first !== 'number' || typeof last !== 'number' || typeof port !== 'number') return undefined;
    const known = typeof host === 'string' && host !== '' && host !== '?';
    ranges.push({ first, last, primary: { host: known ? host : askedHost, port } });
  }
  return ranges;
}

export function ownerOf(ranges: readonly SlotRange[], slot: number): NodeAddress | undefined {
  return ranges.find((range) => range.first <= slot && slot <= range.last)?.primary;
}

export function nodeName(node: NodeAddress): string {
  return `${node.host}:${node.port}`;
}
