/** Puts the control plane together: three reconcilers and the delivery of logs, over one host and one database. */
import type { Handlers } from '@larder/contract/elasticache/handlers';
import type { EngineStore } from '@larder/engine/store/engine-store';
import type { Host } from '@larder/fleet/host';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import { nodeIdOf } from './cache-cluster/cache-cluster.ts';
import { reconcileCacheCluster } from './cache-cluster/reconcile.ts';
import { readCacheClusters } from './cache-cluster/store.ts';
import type { ControlContext } from './control-context.ts';
import type { Database } from './database/connect.ts';
import { controlHandlers } from './handlers.ts';
import { logDeliveryLoop } from './log-delivery/log-delivery.ts';
import type { Placement } from './placement/placement.ts';
import { type PassOutcome, type Reconciler, reconciler } from './reconciler/driver.ts';
import type { Logger } from './reconciler/logger.ts';
import { startHistory } from './reconciler/start-history.ts';
import { reconcileReplicationGroup } from './replication-group/reconcile.ts';
import { nodeIdOf as memberNodeId, membersOf } from './replication-group/replication-group.ts';
import { readReplicationGroups } from './replication-group/store.ts';
import { reconcileSnapshot } from './snapshot/reconcile.ts';
import { readSnapshots } from './snapshot/store.ts';

export interface ControlPlaneOptions {
  readonly database: Database;
  readonly host: Host;
  readonly engines: EngineStore;
  readonly scratch: ScratchEngines;
  readonly router: Pick<RouterClient, 'put' | 'routes'>;
  readonly secrets: NodeSecrets;
  readonly placement: Placement;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

export interface ControlPlane {
  readonly handlers: Handlers;
  /** Ends after the passes that run; nodes run on. */
  stop(): Promise<void>;
}

type Resource = 'replication-group' | 'cache-cluster' | 'snapshot';

const periodMs = 5_000;

/** Takes up every resource that is written down, as after a crash. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { database, host, logger, nowMs, router, secrets } = options;
  const starts = startHistory();
  const wake: ControlContext['wake'] = (resource, id) => {
    // Somebody asked for something: nodes that were given up are tried again.
    for (const [nodeId, owner] of owners) {
      if (owner.resource === resource && owner.id === id) starts.forgive(nodeId);
    }
    takeUp(resource, id).catch((error: Error) => logger.error({ resource, id, error }, 'A wake-up failed.'));
  };
  const deps = { database, host, logger, nowMs, router, secrets, wake, starts };
  const stopping = new AbortController();
  const loops: Record<Resource, Reconciler> = {
    'replication-group': reconciler({
      name: 'replication-group',
      reconcile: (id) => forgetWhenGone('replication-group', id, reconcileReplicationGroup(deps, id)),
      periodMs,
      logger,
    }),
    'cache-cluster': reconciler({
      name: 'cache-cluster',
      reconcile: (id) => forgetWhenGone('cache-cluster', id, reconcileCacheCluster(deps, id)),
      periodMs,
      logger,
    }),
    snapshot: reconciler({
      name: 'snapshot',
      reconcile: (name) => reconcileSnapshot({ ...deps, stopping: stopping.signal }, name),
      periodMs,
      logger,
    }),
  };
  const logs = logDeliveryLoop({ database, host, logger });
  /** Node id -> whose it is, so that a death is acted on without asking the database first. */
  const owners = new Map<string, { readonly resource: Resource; readonly id: string }>();

  async function forgetWhenGone(
    resource: Resource,
    id: string,
    pass: Promise<PassOutcome>,
  ): Promise<PassOutcome> {
    const outcome = await pass;
    if (outcome !== 'gone') return outcome;
    // Its automatic snapshots go with it.
    if (resource !== 'snapshot') {
      for (const { name } of await readSnapshots(database, { origin: { resource, id } })) {
        loops.snapshot.wake(name);
      }
    }
    for (const [nodeId, owner] of owners) {
      if (owner.id === id && owner.resource === resource) owners.delete(nodeId);
    }
    // Made anew under its name while the old one's last pass ended: its nodes were just struck off.
    for (const nodeId of await nodeIdsOf(resource, id)) owners.set(nodeId, { resource, id });
    return outcome;
  }

  async function takeUp(resource: Resource, id: string): Promise<void> {
    for (const nodeId of await nodeIdsOf(resource, id)) owners.set(nodeId, { resource, id });
    loops[resource].wake(id);
    if (resource !== 'snapshot') logs.wake(resource, id);
  }

  async function nodeIdsOf(resource: Resource, id: string): Promise<string[]> {
    if (resource === 'replication-group') {
      return (await readReplicationGroups(database, { id })).flatMap(membersOf).map(memberNodeId);
    }
    if (resource === 'snapshot') return [];
    const clusters = await readCacheClusters(database, { id });
    return clusters.flatMap((cluster) => cluster.nodes.map((node) => nodeIdOf(cluster, node)));
  }

  const context: ControlContext = { ...options, wake, logFailures: logs.failures };

  const stopListening = host.onChange((nodeId) => {
    const owner = owners.get(nodeId);
    if (owner !== undefined) loops[owner.resource].wake(owner.id);
  });
  for (const { id } of await readReplicationGroups(database)) await takeUp('replication-group', id);
  for (const { id } of await readCacheClusters(database)) await takeUp('cache-cluster', id);
  for (const { name } of await readSnapshots(database)) await takeUp('snapshot', name);

  return {
    handlers: controlHandlers(context),
    async stop() {
      stopListening();
      stopping.abort();
      await Promise.all([...Object.values(loops), logs].map((loop) => loop.stop()));
    },
  };
}
