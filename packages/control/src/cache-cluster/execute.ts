/** Performs one step. Makes no choices, and is safe to repeat. */
import type { Host } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { releaseAddresses } from '../placement/addresses.ts';
import { type CacheCluster, nodeIdOf, nodeSpec } from './cache-cluster.ts';
import type { Step } from './plan.ts';
import { deleteCacheCluster } from './store.ts';

export interface ExecuteDeps {
  readonly database: Database;
  readonly host: Host;
  readonly maxmemoryBytes: (nodeType: string) => number;
  readonly nowMs: () => number;
}

export async function execute(deps: ExecuteDeps, cluster: CacheCluster, step: Step): Promise<void> {
  switch (step.kind) {
    case 'start-node': {
      const node = cluster.nodes.find(({ id }) => id === step.node);
      if (node === undefined) throw new Error(`${cluster.id} has no node ${step.node}.`);
      return deps.host.startNode(nodeSpec(cluster, node, deps.maxmemoryBytes(cluster.intent.nodeType)));
    }
    case 'remove-node':
      return deps.host.removeNode(nodeIdOf(cluster, { id: step.node }));
    case 'forget-cluster':
      return deps.database.transaction().execute(async (transaction) => {
        await deleteCacheCluster(transaction, cluster.id);
        await releaseAddresses(transaction, { resource: 'cache-cluster', id: cluster.id });
        await recordEvent(transaction, {
          atMs: deps.nowMs(),
          sourceType: 'cache-cluster',
          sourceId: cluster.id,
          message: `Cache cluster ${cluster.id} deleted`,
        });
      });
  }
}
