/** The nouns of a cache cluster outside a replication group: one Valkey or Redis node, or Memcached nodes. */
import type { EngineName } from '@larder/engine/engine';
import type { NodeSpec } from '@larder/fleet/node-spec';

export interface CacheClusterIntent {
  readonly engine: EngineName;
  /** A whole version of the engine store. */
  readonly engineVersion: string;
  readonly nodeType: string;
  readonly port: number;
  readonly autoMinorVersionUpgrade: boolean;
  readonly preferredMaintenanceWindow: string;
  /** As asked for; `Multiple` is shown for nodes in several zones. */
  readonly azMode: 'single-az' | 'cross-az';
  readonly tags: readonly { readonly key: string; readonly value: string }[];
}

export const cacheClusterStatuses = ['creating', 'available', 'deleting', 'create-failed'] as const;
export type CacheClusterStatus = (typeof cacheClusterStatuses)[number];

export interface CacheCluster {
  readonly id: string;
  readonly intent: CacheClusterIntent;
  readonly status: CacheClusterStatus;
  readonly epoch: number;
  readonly createdAtMs: number;
  readonly nodes: readonly CacheNode[];
}

export interface CacheNode {
  /** `0001`, ... */
  readonly id: string;
  readonly zone: string;
  readonly address: string;
  readonly status: 'creating' | 'available';
}

export function nodeIdOf(cluster: Pick<CacheCluster, 'id'>, node: Pick<CacheNode, 'id'>): string {
  return `${cluster.id}.${node.id}`;
}

export function nodeSpec(cluster: CacheCluster, node: CacheNode, maxmemoryBytes: number): NodeSpec {
  return {
    nodeId: nodeIdOf(cluster, node),
    version: cluster.intent.engineVersion,
    settings: {
      engine: cluster.intent.engine,
      address: node.address,
      port: cluster.intent.port,
      endpointAddresses: [],
      maxmemoryBytes,
      clusterEnabled: false,
    },
  };
}
