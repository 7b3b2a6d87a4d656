/** Which operations have an effect, and who carries them out. */
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { describeCacheClusters, showCacheCluster } from './cache-cluster/describe.ts';
import { createCacheCluster, deleteCacheCluster } from './cache-cluster/requests.ts';
import type { ControlContext } from './control-context.ts';
import { describeEvents } from './event-log/describe.ts';
import { describeReplicationGroups, showReplicationGroup } from './replication-group/describe.ts';
import { createReplicationGroup, deleteReplicationGroup } from './replication-group/requests.ts';

export function controlHandlers(context: ControlContext): Handlers {
  return {
    CreateReplicationGroup: async (input, caller) => {
      const group = await createReplicationGroup(context, caller.region, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    DescribeReplicationGroups: (input, caller) => describeReplicationGroups(context, caller, input),
    DeleteReplicationGroup: async (input, caller) => {
      const group = await deleteReplicationGroup(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    CreateCacheCluster: async (input, caller) => {
      const cluster = await createCacheCluster(context, caller.region, input);
      return { CacheCluster: showCacheCluster(cluster, caller) };
    },
    DescribeCacheClusters: (input, caller) => describeCacheClusters(context, caller, input),
    DeleteCacheCluster: async (input, caller) => {
      const cluster = await deleteCacheCluster(context, input);
      return { CacheCluster: showCacheCluster(cluster, caller) };
    },
    DescribeEvents: (input) => describeEvents(context, input),
  };
}
