/** Replication groups and cache clusters as service updates see them. */

import { nodeIdOf } from '../cache-cluster/cache-cluster.ts';
import { readCacheClusters } from '../cache-cluster/store.ts';
import type { ControlContext } from '../control-context.ts';
import type { ServiceIntent } from '../node/service-intent.ts';
import {
  nodeIdOf as memberNodeId,
  membersOf,
  type NodeGroup,
} from '../replication-group/replication-group.ts';
import { readReplicationGroups } from '../replication-group/store.ts';
import type { UpdatedResource } from './service-update.ts';

export interface Updatable {
  readonly resource: UpdatedResource;
  readonly id: string;
  readonly status: string;
  readonly intent: ServiceIntent;
  readonly nodes: readonly UpdatableNode[];
  readonly nodeGroups: readonly NodeGroup[];
}

export interface UpdatableNode {
  readonly nodeId: string;
  /** The cluster it is of and its number there. */
  readonly clusterId: string;
  readonly cacheNodeId: string;
  /** What its process runs, or ran last; undefined for one that was never started. */
  readonly version: string | undefined;
}

export async function readUpdatables({ database, host }: ControlContext): Promise<Updatable[]> {
  const groups = (await readReplicationGroups(database)).map(
    (group): Updatable => ({
      resource: 'replication-group',
      id: group.id,
      status: group.status,
      intent: group.intent,
      nodeGroups: group.nodeGroups,
      nodes: membersOf(group).map((member) => ({
        nodeId: memberNodeId(member),
        clusterId: member.id,
        cacheNodeId: '0001',
        version: undefined,
      })),
    }),
  );
  const clusters = (await readCacheClusters(database)).map(
    (cluster): Updatable => ({
      resource: 'cache-cluster',
      id: cluster.id,
      status: cluster.status,
      intent: cluster.intent,
      nodeGroups: [],
      nodes: cluster.nodes.map((node) => ({
        nodeId: nodeIdOf(cluster, node),
        clusterId: cluster.id,
        cacheNodeId: node.id,
        version: undefined,
      })),
    }),
  );
  const all = [...groups, ...clusters];
  const seen = await host.observe(all.flatMap(({ nodes }) => nodes.map(({ nodeId }) => nodeId)));
  return all.map((each) => ({
    ...each,
    nodes: each.nodes.map((node) => ({ ...node, version: seen.get(node.nodeId)?.started?.version })),
  }));
}
