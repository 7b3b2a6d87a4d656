/** Puts the control plane together: reconcilers, the delivery of logs and restore drills, over one host and one database. */
import type { ScalingHandlers } from '@larder/contract/application-auto-scaling/handlers';
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import type { LogsHandlers } from '@larder/contract/cloudwatch-logs/handlers';
import type { Handlers } from '@larder/contract/elasticache/handlers';
import type { EngineStore } from '@larder/engine/store/engine-store';
import type { Host } from '@larder/fleet/host';
import type { NodeSecrets } from '@larder/fleet/node-secrets';
import type { RouterClient } from '@larder/fleet/router/router-client';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import type { MetricFamily } from '@larder/metrics/exposition/open-metrics';
import type { Place } from './alarm/alarm.ts';
import { type CloudWatch, type CloudWatchOptions, startCloudWatch } from './alarm/cloudwatch.ts';
import type { Buckets } from './bucket/bucket.ts';
import { nodeIdOf } from './cache-cluster/cache-cluster.ts';
import { reconcileCacheCluster } from './cache-cluster/reconcile.ts';
import { readCacheClusters } from './cache-cluster/store.ts';
import type { ControlContext } from './control-context.ts';
import type { Database } from './database/connect.ts';
import { type EventStream, eventStream } from './event-log/event-stream.ts';
import { countEvents, exposition, nodeLooks } from './exposition/exposition.ts';
import { type ServiceCounts, serviceCounts } from './exposition/service-counts.ts';
import { controlHandlers } from './handlers.ts';
import { logDeliveryLoop } from './log-delivery/log-delivery.ts';
import type { DeliveredLine } from './log-store/collect-log.ts';
import { logsHandlers } from './log-store/handlers.ts';
import { logForgetter } from './log-store/log-store.ts';
import type { LogDatabase } from './log-store/tables.ts';
import { everySecond } from './metric/every-second.ts';
import { startMetrics } from './metric/start-metrics.ts';
import type { MetricDatabase } from './metric/tables.ts';
import type { NodePlaces, Owner, PlacedNode } from './placement/node-places.ts';
import type { Placement } from './placement/placement.ts';
import { type EndedPass, type PassOutcome, type Reconciler, reconciler } from './reconciler/driver.ts';
import type { Logger } from './reconciler/logger.ts';
import { startHistory } from './reconciler/start-history.ts';
import { reconcileReplicationGroup } from './replication-group/reconcile.ts';
import { nodeIdOf as memberNodeId } from './replication-group/replication-group.ts';
import { readReplicationGroups } from './replication-group/store.ts';
import { sentinelTeller, tellsNobody } from './replication-group/tell-sentinel.ts';
import { type RestoreDrills, restoreDrills } from './restore-drill/restore-drills.ts';
import { scalingHandlers } from './scaling/handlers.ts';
import { reconcileScaling } from './scaling/reconcile.ts';
import { readTargets } from './scaling/store.ts';
import { reconcileSnapshot } from './snapshot/reconcile.ts';
import { readSnapshots } from './snapshot/store.ts';
import { reconcileExport } from './snapshot-export/reconcile.ts';
import { readExports } from './snapshot-export/store.ts';
import { countDeliveries } from './topic/store.ts';
import { type NotificationSettings, startTopics, type Topics } from './topic/topics.ts';

export interface ControlPlaneOptions {
  readonly database: Database;
  readonly metricDatabase: MetricDatabase;
  readonly logDatabase: LogDatabase;
  /** Set: told of each line that is delivered. */
  readonly printLogs?: ((line: DeliveredLine) => void) | undefined;
  readonly host: Host;
  readonly engines: EngineStore;
  readonly scratch: ScratchEngines;
  readonly router: Pick<RouterClient, 'put' | 'ready' | 'recorded' | 'routes'>;
  /** Missing: clients of Sentinel are not served. */
  readonly sentinel?: Pick<RouterClient, 'putMaster' | 'masters'>;
  /** Missing: there is no object store. */
  readonly buckets?: Buckets;
  /** How often each source's last snapshot is loaded to see that it can be; 0 for never by itself. */
  readonly drillEveryMs: number;
  readonly secrets: NodeSecrets;
  readonly placement: Placement;
  /** Where and whose this service is. */
  readonly place: Place;
  /** Kept up to date here. */
  readonly places: NodePlaces;
  readonly nowMs: () => number;
  /** How often autoscaling looks at the load. */
  readonly scalingPeriodMs: number;
  readonly notifications: NotificationSettings;
  /** Of this process, so far. */
  /** Told of each pass over a resource. */
  readonly onPass?: ((pass: EndedPass) => void) | undefined;
  readonly processUsage: () => { readonly residentBytes: number; readonly cpuSeconds: number };
  /** Set: every cache gets the recommended alarms. */
  readonly recommendedAlarms?: CloudWatchOptions['recommendedAlarms'];
  readonly logger: Logger;
}

export interface ControlPlane {
  readonly handlers: Handlers;
  readonly scalingHandlers: ScalingHandlers;
  readonly cloudWatchHandlers: CloudWatchHandlers;
  readonly topics: Omit<Topics, 'publish' | 'stop'>;
  readonly alarms: Pick<CloudWatch, 'recommend' | 'showAlarms'>;
  readonly logsHandlers: LogsHandlers;
  readonly events: EventStream;
  readonly counts: Pick<ServiceCounts, 'request'>;
  /** Everything that is measured now. */
  readonly exposition: () => Promise<MetricFamily[]>;
  readonly wake: ControlContext['wake'];
  /** Loads each source's last snapshot now, or that of one source, to see that it can be. */
  readonly drill: RestoreDrills['run'];
  /** Looks at everything that has a node on the host: what is known of it changed. */
  wakeHost(host: string): void;
  /** Ends after the passes that run; nodes run on. */
  stop(): Promise<void>;
}

type Resource = Owner['resource'] | 'snapshot' | 'snapshot-export' | 'scaling';

const periodMs = 5_000;

/** Whether the resource is nodes, and not something about them. */
function hasNodes(resource: Resource): resource is Owner['resource'] {
  return resource === 'replication-group' || resource === 'cache-cluster';
}

/** Takes up every resource that is written down, as after a crash. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { database, host, logger, nowMs, places, router, scalingPeriodMs, secrets } = options;
  const sentinel = options.sentinel === undefined ? tellsNobody : sentinelTeller(options.sentinel, logger);
  const starts = startHistory();
  const wake: ControlContext['wake'] = (resource, id) => {
    // Somebody asked for something: nodes that were given up are tried again.
    if (hasNodes(resource)) {
      for (const { nodeId } of places.nodesOf({ resource, id })) starts.forgive(nodeId);
    }
    takeUp(resource, id).catch((error: Error) => logger.error({ resource, id, error }, 'A wake-up failed.'));
  };
  const { buckets } = options;
  const deps = { database, host, logger, nowMs, router, secrets, sentinel, wake, starts, buckets };
  const stopping = new AbortController();
  const counts = serviceCounts();
  const onPass = (pass: EndedPass) => {
    counts.pass(pass);
    options.onPass?.(pass);
  };
  const loops: Record<Resource, Reconciler> = {
    'replication-group': reconciler({
      name: 'replication-group',
      reconcile: (id) => forgetWhenGone('replication-group', id, reconcileReplicationGroup(deps, id)),
      periodMs,
      onPass,
      logger,
    }),
    'cache-cluster': reconciler({
      name: 'cache-cluster',
      reconcile: (id) => forgetWhenGone('cache-cluster', id, reconcileCacheCluster(deps, id)),
      periodMs,
      onPass,
      logger,
    }),
    snapshot: reconciler({
      name: 'snapshot',
      reconcile: (name) => reconcileSnapshot({ ...deps, stopping: stopping.signal }, name),
      periodMs,
      onPass,
      logger,
    }),
    scaling: reconciler({
      name: 'scaling',
      reconcile: (id) => reconcileScaling(scaling, id),
      periodMs: scalingPeriodMs,
      onPass,
      logger,
    }),
    'snapshot-export': reconciler({
      name: 'snapshot-export',
      reconcile: (id) => reconcileExport({ ...deps, stopping: stopping.signal }, id),
      periodMs,
      onPass,
      logger,
    }),
  };
  const looks = nodeLooks();
  const measuring = startMetrics({ ...options, onLook: looks.put });
  const metrics = measuring.store;
  const { logDatabase } = options;
  const logs = logDeliveryLoop({ database, host, logger, logDatabase, nowMs, print: options.printLogs });
  const forgettingLogs = everySecond(logForgetter(logDatabase, nowMs), logger, 'Old logs were not dropped.');
  const topics = startTopics({
    settings: options.notifications,
    database,
    webhookSecret: secrets.webhook,
    nowMs,
    logger,
  });
  const context: ControlContext = {
    ...options,
    metrics,
    wake,
    logFailures: logs.failures,
    publish: topics.publish,
  };
  const scaling = {
    context,
    periodMs: scalingPeriodMs,
    logger,
  };
  const drills = restoreDrills({
    database,
    host,
    logger,
    nowMs,
    everyMs: options.drillEveryMs,
    stopping: stopping.signal,
  });
  const events = eventStream(database, (error) => logger.warn({ error }, 'Events could not be read.'));
  const countingEvents = countEvents(events, counts, stopping.signal).catch((error: Error) =>
    logger.warn({ error }, 'Events are not counted any more.'),
  );
  const cloudWatch = startCloudWatch({ ...options, metrics, publish: topics.publish });

  async function forgetWhenGone(
    resource: Resource,
    id: string,
    pass: Promise<PassOutcome>,
  ): Promise<PassOutcome> {
    const outcome = await pass;
    if (outcome !== 'gone') return outcome;
    if (resource === 'replication-group') sentinel.forget(id);
    // Its automatic snapshots go with it.
    if (hasNodes(resource)) {
      for (const { name } of await readSnapshots(database, { origin: { resource, id } })) {
        loops.snapshot.wake(name);
      }
    }
    // None, unless it was made anew under its name while the old one's last pass ended.
    if (hasNodes(resource)) places.put({ resource, id }, await nodesOf(resource, id));
    return outcome;
  }

  async function takeUp(resource: Resource, id: string): Promise<void> {
    if (hasNodes(resource)) {
      places.put({ resource, id }, await nodesOf(resource, id));
      logs.wake(resource, id);
    }
    loops[resource].wake(id);
  }

  async function nodesOf(resource: Owner['resource'], id: string): Promise<PlacedNode[]> {
    if (resource === 'replication-group') {
      const groups = await readReplicationGroups(database, { id });
      return groups.flatMap(({ nodeGroups }) =>
        nodeGroups.flatMap(({ id: shard, members }) =>
          members.map((member) => ({
            nodeId: memberNodeId(member),
            host: member.host,
            address: member.address,
            shard,
          })),
        ),
      );
    }
    const clusters = await readCacheClusters(database, { id });
    return clusters.flatMap((cluster) =>
      cluster.nodes.map((node) => ({
        nodeId: nodeIdOf(cluster, node),
        host: node.host,
        address: node.address,
        shard: node.id,
      })),
    );
  }

  const stopListening = host.onChange((nodeId) => {
    const owner = places.ownerOf(nodeId);
    if (owner !== undefined) loops[owner.resource].wake(owner.id);
  });
  const groups = await readReplicationGroups(database);
  sentinel.keepOnly(groups.map(({ id }) => id));
  for (const { id } of groups) await takeUp('replication-group', id);
  for (const { id } of await readCacheClusters(database)) await takeUp('cache-cluster', id);
  for (const { name } of await readSnapshots(database)) await takeUp('snapshot', name);
  for (const { groupId } of await readTargets(database)) await takeUp('scaling', groupId);
  for (const { id } of await readExports(database)) await takeUp('snapshot-export', id);

  return {
    handlers: controlHandlers(context),
    scalingHandlers: scalingHandlers(context),
    cloudWatchHandlers: cloudWatch.handlers,
    topics,
    events,
    counts,
    exposition: () =>
      exposition({
        counts,
        nodes: looks,
        showAlarms: cloudWatch.showAlarms,
        countDeliveries: (status) => countDeliveries(database, status),
        nowMs,
        processUsage: options.processUsage,
      }),
    alarms: cloudWatch,
    logsHandlers: logsHandlers({ logDatabase, nowMs }),
    wake,
    drill: drills.run,
    wakeHost(name) {
      for (const { resource, id } of places.ownersOn(name)) loops[resource].wake(id);
    },
    async stop() {
      events.stop();
      stopListening();
      stopping.abort();
      const all = [...Object.values(loops), logs, drills, topics, forgettingLogs, cloudWatch];
      await Promise.all(all.map((loop) => loop.stop()));
      await countingEvents;
      await measuring.stop();
    },
  };
}
