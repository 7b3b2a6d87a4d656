/** The nouns of a cache cluster outside a replication group: one Valkey or Redis node, or Memcached nodes. */
import type { NodeSpec } from '@larder/fleet/node-spec';
import type { PendingChange, ServiceIntent } from '../node/service-intent.ts';
import type { ParameterStatus, WantedNode } from '../node/wanted-node.ts';

export interface CacheClusterIntent extends ServiceIntent {
  /** As asked for; `Multiple` is shown for nodes in several zones. */
  readonly azMode: 'single-az' | 'cross-az';
}

export const cacheClusterStatuses = [
  'creating',
  'available',
  'modifying',
  'rebooting cluster nodes',
  'snapshotting',
  'deleting',
  'create-failed',
  'restore-failed',
] as const;
export type CacheClusterStatus = (typeof cacheClusterStatuses)[number];

export interface CacheCluster {
  readonly id: string;
  readonly intent: CacheClusterIntent;
  /** Accepted changes that wait for the maintenance window. */
  readonly pending?: PendingChange;
  readonly status: CacheClusterStatus;
  readonly epoch: number;
  readonly createdAtMs: number;
  /** The snapshot that its deletion waits for. */
  readonly finalSnapshot?: string | undefined;
  /** Memcached: where clients learn of the nodes. */
  readonly configurationAddress?: string;
  /** Rises with every change of the nodes. */
  readonly configVersion: number;
  readonly nodes: readonly CacheNode[];
}

export interface CacheNode {
  /** `0001`, ... */
  readonly id: string;
  readonly zone: string;
  /** The name of the host it stands on. */
  readonly host: string;
  readonly address: string;
  readonly status: 'creating' | 'available' | 'rebooting' | 'deleting';
  /** Its process is to be of this generation; an older one is started anew. */
  readonly generation: number;
  readonly parameterStatus: ParameterStatus;
  readonly createdAtMs: number;
}

export function nodeIdOf(cluster: Pick<CacheCluster, 'id'>, node: Pick<CacheNode, 'id'>): string {
  return `${cluster.id}.${node.id}`;
}

export function nodeOf(cluster: CacheCluster, id: string): CacheNode {
  const node = cluster.nodes.find((each) => each.id === id);
  if (node === undefined) throw new Error(`${cluster.id} has no node ${id}.`);
  return node;
}

/** What each node's certificate names besides its own address. */
export function certificateAddresses({ configurationAddress }: CacheCluster): string[] {
  return configurationAddress === undefined ? [] : [configurationAddress];
}

export function nodeSpec(cluster: CacheCluster, node: CacheNode, wanted: WantedNode): NodeSpec {
  const { intent } = cluster;
  return {
    nodeId: nodeIdOf(cluster, node),
    version: intent.engineVersion,
    generation: node.generation,
    certificateAddresses: certificateAddresses(cluster),
    settings: {
      engine: intent.engine,
      address: node.address,
      port: intent.port,
      plainPort: wanted.plainPort,
      tlsPort: wanted.tlsPort,
      busEncrypted: false,
      endpointAddresses: [],
      maxmemoryBytes: wanted.maxmemoryBytes,
      maxConnections: wanted.maxConnections,
      clusterEnabled: false,
      forming: false,
      encryptedAtRest: intent.atRestEncryption,
      parameters: wanted.parameters,
      users: wanted.users,
      replication: wanted.replication,
    },
  };
}
