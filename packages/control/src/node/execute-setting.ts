/** Performs one step that sets a node, of a replication group or of a cache cluster. Safe to repeat. */
import { cacheNodeIdOf } from '@larder/contract/ids';
import type { Host, Order } from '@larder/fleet/host';
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
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

export async function executeSetting(
  deps: { readonly database: Database; readonly host: Host; readonly nowMs: () => number },
  { nodeId, clusterId, cacheNodeId = cacheNodeIdOf(1), order, certificateAddresses }: SettingTarget,
  step: SettingStep,
): Promise<void> {
  const { database, host, nowMs } = deps;
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
      await database.transaction().execute((transaction) =>
        recordEvent(transaction, {
          atMs: nowMs(),
          sourceType: 'cache-cluster',
          sourceId: clusterId,
          message,
        }),
      );
    }
  }
}

/** Tells that a node is ended to be started anew. */
export async function recordShutdown(
  { database, nowMs }: { readonly database: Database; readonly nowMs: () => number },
  clusterId: string,
  cacheNodeId = cacheNodeIdOf(1),
): Promise<void> {
  await database.transaction().execute((transaction) =>
    recordEvent(transaction, {
      atMs: nowMs(),
      sourceType: 'cache-cluster',
      sourceId: clusterId,
      message: `Cache node ${cacheNodeId} shutdown`,
    }),
  );
}
