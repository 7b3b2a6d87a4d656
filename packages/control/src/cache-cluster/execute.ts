/** Performs one step. Makes no choices, and is safe to repeat. */
import type { Host, StartData } from '@larder/fleet/host';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { executeSetting, tellInDatabase, tellOfKill, tellOfShutdown } from '../node/execute-setting.ts';
import type { WantedNode } from '../node/wanted-node.ts';
import { releaseAddresses } from '../placement/addresses.ts';
import { orderName } from '../placement/node-places.ts';
import { deleteUpdateActions } from '../service-update/store.ts';
import { deleteTags } from '../tag/store.ts';
import { type CacheCluster, certificateAddresses, nodeIdOf, nodeOf, nodeSpec } from './cache-cluster.ts';
import type { Step } from './plan.ts';
import { deleteCacheCluster, deleteNode } from './store.ts';

export interface ExecuteDeps {
  readonly database: Database;
  readonly host: Host;
  readonly router: Pick<RouterClient, 'put'>;
  readonly wanted: (node: string) => WantedNode;
  /** What a node begins with that is started with a snapshot. */
  readonly startData: () => StartData;
  readonly nowMs: () => number;
}

export async function execute(deps: ExecuteDeps, cluster: CacheCluster, step: Step): Promise<void> {
  const order = { group: orderName({ resource: 'cache-cluster', id: cluster.id }), epoch: cluster.epoch };
  const tell = tellInDatabase(deps.database, deps.nowMs);
  switch (step.kind) {
    case 'start-node':
      return deps.host.startNode(
        nodeSpec(cluster, nodeOf(cluster, step.node), deps.wanted(step.node)),
        step.snapshot === undefined ? undefined : deps.startData(),
      );
    case 'stop-node':
      await tellOfShutdown(tell, cluster.id, step.node);
      return deps.host.stopNode(nodeIdOf(cluster, { id: step.node }), order);
    case 'kill-node':
      if (await deps.host.killNode(nodeIdOf(cluster, { id: step.node }), order, step.incarnation)) {
        await tellOfKill(tell, cluster.id, step.because, step.node);
      }
      return;
    case 'configure':
    case 'set-users':
    case 'set-ports':
    case 'renew-certificate':
      return executeSetting(
        { host: deps.host, tell },
        {
          nodeId: nodeIdOf(cluster, { id: step.node }),
          clusterId: cluster.id,
          cacheNodeId: step.node,
          order,
          certificateAddresses: certificateAddresses(cluster),
        },
        step,
      );
    case 'route':
      return deps.router.put(
        orderName({ resource: 'cache-cluster', id: cluster.id }),
        cluster.epoch,
        step.routes,
      );
    case 'remove-node':
      return deps.host.removeNode(nodeIdOf(cluster, { id: step.node }));
    case 'forget-node':
      return deps.database.transaction().execute(async (transaction) => {
        await deleteNode(transaction, cluster.id, step.node);
        const event = {
          atMs: deps.nowMs(),
          sourceType: 'cache-cluster' as const,
          sourceId: cluster.id,
          message: `Removed cache node ${step.node}`,
        };
        await recordEvent(transaction, event, 'RemoveCacheNodeComplete');
      });
    case 'forget-cluster':
      return deps.database.transaction().execute(async (transaction) => {
        const event = {
          atMs: deps.nowMs(),
          sourceType: 'cache-cluster' as const,
          sourceId: cluster.id,
          message: `Cache cluster ${cluster.id} deleted`,
        };
        await recordEvent(transaction, event, 'DeleteCacheClusterComplete');
        await deleteCacheCluster(transaction, cluster.id);
        await releaseAddresses(transaction, { resource: 'cache-cluster', id: cluster.id });
        await deleteTags(transaction, { resourceType: 'cluster', name: cluster.id });
        await deleteUpdateActions(transaction, 'cache-cluster', cluster.id);
      });
  }
}
