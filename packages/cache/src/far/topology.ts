/** Which node serves which slot, as `CLUSTER SLOTS` tells it. */
import type { NodeAddress } from '../driver/driver.ts';

export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly primary: NodeAddress;
  readonly replicas: readonly NodeAddress[];
}

/**
 * @param askedHost where the reply came from: a node that doesn't know its own address reports an empty one.
 * @returns undefined for what isn't such a reply.
 */
export function parseClusterSlots(reply: unknown, askedHost: string): readonly SlotRange[] | undefined {
  if (!Array.isArray(reply)) return undefined;
  const ranges: SlotRange[] = [];
  for (const row of reply as unknown[]) {
    if (!Array.isArray(row)) return undefined;
    const [first, last, ...nodes] = row as [unknown, unknown, ...unknown[]];
    if (typeof first !== 'number' || typeof last !== 'number') return undefined;
    const addresses = nodes.map((node) => addressOf(node, askedHost));
    const [primary, ...replicas] = addresses;
    if (primary === undefined || replicas.includes(undefined)) return undefined;
    ranges.push({ first, last, primary, replicas: replicas as NodeAddress[] });
  }
  return ranges;
}

function addressOf(node: unknown, askedHost: string): NodeAddress | undefined {
  if (!Array.isArray(node)) return undefined;
  const [host, port] = node as unknown[];
  if (typeof port !== 'number') return undefined;
  const known = typeof host === 'string' && host !== '' && host !== '?';
  return { host: known ? host : askedHost, port };
}

export function rangeOf(ranges: readonly SlotRange[], slot: number): SlotRange | undefined {
  return ranges.find((range) => range.first <= slot && slot <= range.last);
}

export function nodeName(node: NodeAddress): string {
  return `${node.host}:${node.port}`;
}
