/**
 * Delivers the logs of groups and clusters that ask for it. A loop of its own: a slow disk must not keep a group's
 * own loop from a failover.
 */
import { cacheNodeIdOf } from '@larder/contract/ids';
import type { Host } from '@larder/fleet/host';
import type { LogSource, LogType } from '@larder/fleet/log-delivery/log-stream';
import { nodeIdOf } from '../cache-cluster/cache-cluster.ts';
import { readCacheCluster } from '../cache-cluster/store.ts';
import type { Database } from '../database/connect.ts';
import { collectLog, type DeliveredLine } from '../log-store/collect-log.ts';
import type { LogDatabase } from '../log-store/tables.ts';
import type { ServiceIntent } from '../node/service-intent.ts';
import { type PassOutcome, reconciler } from '../reconciler/driver.ts';
import type { Logger } from '../reconciler/logger.ts';
import { nodeIdOf as memberNodeId, membersOf } from '../replication-group/replication-group.ts';
import { readReplicationGroup } from '../replication-group/store.ts';
import { type LogFailures, noFailures } from './log-failures.ts';

const periodMs = 5_000;

type Resource = 'replication-group' | 'cache-cluster';

export interface LogDeliveryDeps {
  readonly database: Database;
  readonly host: Pick<Host, 'deliverLogs' | 'readLog'>;
  readonly logDatabase: LogDatabase;
  readonly nowMs: () => number;
  /** Set: told of each line that is delivered; of some twice after a kill. */
  readonly print?: ((line: DeliveredLine) => void) | undefined;
  readonly logger: Logger;
}

export interface LogDeliveryLoop {
  /** Looks whether there is anything to deliver of it, and goes on as long as there is. */
  wake(resource: Resource, id: string): void;
  /** What the last delivery of it failed with. */
  failures(resource: Resource, id: string): LogFailures;
  /** Resolves when what is being delivered is. */
  stop(): Promise<void>;
}

export function logDeliveryLoop(deps: LogDeliveryDeps): LogDeliveryLoop {
  const { database, host, logger } = deps;
  /** Not written down: the next pass finds it out again, and a full disk would not take it. */
  const failures = new Map<string, LogFailures>();
  const loop = reconciler({ name: 'log-delivery', reconcile: pass, periodMs, logger });

  async function pass(key: string): Promise<PassOutcome> {
    const [resource, id] = key.split('/') as [Resource, string];
    const logging = await readLogging(database, resource, id);
    if (logging === undefined || logging.intent.logDelivery.length === 0) {
      failures.delete(key);
      return 'gone';
    }
    const targets = logging.intent.logDelivery.map(({ logType, logFormat, destination, sinceMs }) => ({
      logType,
      format: logFormat,
      destination,
      sinceMs,
    }));
    const failed = new Map<LogType, string>();
    let more = false;
    for (const source of logging.sources) {
      for (const delivered of await host.deliverLogs(source, targets)) {
        more ||= delivered.more;
        if (delivered.failure !== undefined) failed.set(delivered.logType, delivered.failure);
      }
      for (const target of targets) {
        if (!failed.has(target.logType)) more = (await collectLog(deps, source, target)) || more;
      }
    }
    const before = failures.get(key) ?? noFailures;
    for (const [logType, failure] of failed) {
      if (!before.has(logType)) logger.warn({ resource, id, logType, failure }, 'A log was not delivered.');
    }
    failures.set(key, failed);
    return more ? 'again' : 'settled';
  }

  return {
    wake: (resource, id) => loop.wake(`${resource}/${id}`),
    failures: (resource, id) => failures.get(`${resource}/${id}`) ?? noFailures,
    stop: loop.stop,
  };
}

/** The nodes that log, and what is asked of their logs. */
async function readLogging(
  database: Database,
  resource: Resource,
  id: string,
): Promise<{ readonly intent: ServiceIntent; readonly sources: readonly LogSource[] } | undefined> {
  if (resource === 'replication-group') {
    const group = await readReplicationGroup(database, id);
    if (group === undefined) return undefined;
    const { intent } = group;
    const sources = membersOf(group).map((member) => ({
      nodeId: memberNodeId(member),
      engine: intent.engine,
      clusterId: member.id,
      cacheNodeId: cacheNodeIdOf(1),
    }));
    return { intent, sources };
  }
  const cluster = await readCacheCluster(database, id);
  if (cluster === undefined) return undefined;
  const { intent } = cluster;
  const sources = cluster.nodes.map((node) => ({
    nodeId: nodeIdOf(cluster, node),
    engine: intent.engine,
    clusterId: cluster.id,
    cacheNodeId: node.id,
  }));
  return { intent, sources };
}
