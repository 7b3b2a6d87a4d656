/** Performs one step that sets a node, of a replication group or of a cache cluster. Safe to repeat. */
import { cacheNodeIdOf } from '@larder/contract/ids';
import type { Host, Order } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import type { CacheNotice } from '../topic/cache-notice.ts';
import type { SettingStep } from './node-settings.ts';

/** What the service sets by itself in the life of a node: nobody asked for it, and nobody need hear of it. */
const ownBusiness = new Set(['cluster-node-timeout']);

export interface SettingTarget {
  readonly nodeId: string;
  readonly clusterId: string;
  /** Its number in the cluster, `0001`. */
  readonly cacheNodeId?: string;
  readonly order: Order;
  /** What its certificate is made out to, besides its own address. */
  readonly certificateAddresses: readonly string[];
}

/** Tells people of something about a cluster's node: an event of that cluster. */
export type TellOfNode = (clusterId: string, message: string, notice?: CacheNotice) => Promise<void>;

export function tellInDatabase(database: Database, nowMs: () => number): TellOfNode {
  return (sourceId, message, notice) =>
    database
      .transaction()
      .execute((transaction) =>
        recordEvent(transaction, { atMs: nowMs(), sourceType: 'cache-cluster', sourceId, message }, notice),
      );
}

export async function executeSetting(
  { host, tell }: { readonly host: Host; readonly tell: TellOfNode },
  { nodeId, clusterId, cacheNodeId = cacheNodeIdOf(1), order, certificateAddresses }: SettingTarget,
  step: SettingStep,
): Promise<void> {
  switch (step.kind) {
    case 'set-users':
      return host.setUsers(nodeId, order, step.users);
    case 'set-ports':
      return host.setPorts(nodeId, order, step.ports, certificateAddresses);
    case 'renew-certificate':
      return host.renewCertificate(nodeId, order, certificateAddresses);
    case 'configure': {
      const words = Object.entries(step.parameters).flat();
      await host.command(nodeId, order, [['CONFIG', 'SET', ...words]]);
      const names = Object.keys(step.parameters)
        .filter((name) => !ownBusiness.has(name))
        .join(', ');
      if (names === '') return;
      const message = step.drift
        ? `Cache node ${cacheNodeId} was changed by hand in ${names}; it was set back to its parameter group`
        : `Cache node ${cacheNodeId} took on its parameters: ${names}`;
      await tell(clusterId, message, 'CacheClusterParametersChanged');
    }
  }
}

/** Tells that a node is ended to be started anew. */
export function tellOfShutdown(
  tell: TellOfNode,
  clusterId: string,
  cacheNodeId = cacheNodeIdOf(1),
): Promise<void> {
  return tell(clusterId, `Cache node ${cacheNodeId} shutdown`);
}

/** Tells that a node was ended because it hung. */
export function tellOfKill(
  tell: TellOfNode,
  clusterId: string,
  because: string,
  cacheNodeId = cacheNodeIdOf(1),
): Promise<void> {
  return tell(clusterId, `Cache node ${cacheNodeId} was ended: ${because}`);
}
