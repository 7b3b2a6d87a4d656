/** Where every node stands and whose it is, in memory: a death is acted on without asking the database first. */
import type { ChargedGroup } from '@larder/fleet/agent/host-lease';

export interface Owner {
  readonly resource: 'replication-group' | 'cache-cluster';
  readonly id: string;
}

export interface PlacedNode {
  /** As hosts name it. */
  readonly nodeId: string;
  readonly host: string;
  readonly address: string;
  /** Nodes of one shard hold copies of the same data. */
  readonly shard: string;
}

export interface NodePlaces {
  /** Makes these the owner's nodes. */
  put(owner: Owner, nodes: readonly PlacedNode[]): void;
  hostOfNode(nodeId: string): string | undefined;
  /** Of a node's own address. */
  hostOfAddress(address: string): string | undefined;
  ownerOf(nodeId: string): Owner | undefined;
  nodesOf(owner: Owner): readonly PlacedNode[];
  ownersOn(host: string): readonly Owner[];
  /** Of the nodes that stand there. */
  addressesOn(host: string): readonly string[];
  /** What a host is to know of the groups that have nodes there. @param urlOf of a host's agent. */
  chargeOf(host: string, urlOf: (host: string) => string | undefined): ChargedGroup[];
  /** Calls `listener` after every change. */
  onChange(listener: () => void): void;
}

/** As orders name it: a replication group and a cache cluster may have the same id, and epochs of their own. */
export function orderName({ resource, id }: Owner): string {
  return resource === 'replication-group' ? id : `cluster.${id}`;
}

export function nodePlaces(): NodePlaces {
  const byOwner = new Map<string, { readonly owner: Owner; readonly nodes: readonly PlacedNode[] }>();
  const byNode = new Map<string, { readonly owner: Owner; readonly node: PlacedNode }>();
  const byAddress = new Map<string, string>();
  const listeners = new Set<() => void>();

  return {
    put(owner, nodes) {
      const key = orderName(owner);
      const before = byOwner.get(key)?.nodes ?? [];
      if (JSON.stringify(before) === JSON.stringify(nodes)) return;
      for (const { nodeId, address } of before) {
        byNode.delete(nodeId);
        byAddress.delete(address);
      }
      if (nodes.length === 0) byOwner.delete(key);
      else byOwner.set(key, { owner, nodes });
      for (const node of nodes) {
        byNode.set(node.nodeId, { owner, node });
        byAddress.set(node.address, node.host);
      }
      for (const listener of listeners) listener();
    },
    hostOfNode: (nodeId) => byNode.get(nodeId)?.node.host,
    hostOfAddress: (address) => byAddress.get(address),
    ownerOf: (nodeId) => byNode.get(nodeId)?.owner,
    nodesOf: (owner) => byOwner.get(orderName(owner))?.nodes ?? [],
    ownersOn: (host) =>
      [...byOwner.values()]
        .filter(({ nodes }) => nodes.some((node) => node.host === host))
        .map(({ owner }) => owner),
    addressesOn: (host) =>
      [...byNode.values()].filter(({ node }) => node.host === host).map(({ node }) => node.address),
    chargeOf(host, urlOf) {
      return [...byOwner.entries()].flatMap(([group, { nodes }]) => {
        const own = nodes.filter((node) => node.host === host);
        if (own.length === 0) return [];
        const shards = new Set(own.map(({ shard }) => shard));
        const others = nodes.filter((node) => node.host !== host && shards.has(node.shard));
        const peers = [...new Set(others.map((node) => node.host))].sort().flatMap((peer) => {
          const url = urlOf(peer);
          return url === undefined ? [] : [{ host: peer, url }];
        });
        return [{ group, nodeIds: own.map(({ nodeId }) => nodeId), peers }];
      });
    },
    onChange(listener) {
      listeners.add(listener);
    },
  };
}
