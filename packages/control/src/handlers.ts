/** Which operations have an effect, and who carries them out. */
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { serviceError } from '@larder/contract/errors';
import { describeCacheClusters, showCacheCluster, showMember } from './cache-cluster/describe.ts';
import { createMember, deleteMember, rebootMemberCluster } from './cache-cluster/member-requests.ts';
import { modifyCacheCluster } from './cache-cluster/modify.ts';
import {
  createCacheCluster,
  deleteCacheCluster,
  groupOfMember,
  rebootCacheCluster,
} from './cache-cluster/requests.ts';
import type { ControlContext } from './control-context.ts';
import { describeEvents } from './event-log/describe.ts';
import { listAllowedNodeTypes } from './node/node-types.ts';
import {
  describeEngineDefaults,
  describeEngineVersions,
  describeParameterGroups,
  describeParameters,
  showParameterGroup,
} from './parameter-group/describe.ts';
import {
  createParameterGroup,
  deleteParameterGroup,
  modifyParameterGroup,
  resetParameterGroup,
} from './parameter-group/requests.ts';
import { describeReplicationGroups, showReplicationGroup } from './replication-group/describe.ts';
import { completeMigration, startMigration, testMigration } from './replication-group/migrate.ts';
import { modifyReplicationGroup } from './replication-group/modify.ts';
import { decreaseReplicaCount, increaseReplicaCount } from './replication-group/replicas.ts';
import { createReplicationGroup, deleteReplicationGroup } from './replication-group/requests.ts';
import { modifyShardConfiguration } from './replication-group/reshard.ts';
import { testFailover } from './replication-group/test-failover.ts';
import { describeSecurityGroups, refuseSecurityGroups } from './security-group/refuse.ts';
import { describeServiceUpdates, describeUpdateActions } from './service-update/describe.ts';
import { applyUpdate, stopUpdate } from './service-update/requests.ts';
import { describeSnapshots, showSnapshot } from './snapshot/describe.ts';
import { copySnapshot, createSnapshot, deleteSnapshot } from './snapshot/requests.ts';
import { describeSubnetGroups, showSubnetGroup } from './subnet-group/describe.ts';
import { createSubnetGroup, deleteSubnetGroup, modifySubnetGroup } from './subnet-group/requests.ts';
import { addTags, listTags, removeTags } from './tag/requests.ts';
import { describeUsers, showUser } from './user/describe.ts';
import { createUser, deleteUser, modifyUser } from './user/requests.ts';
import { describeUserGroups, showChangedUserGroup } from './user-group/describe.ts';
import { createUserGroup, deleteUserGroup, modifyUserGroup } from './user-group/requests.ts';

/** A member of a replication group is a cache cluster too, and answers by its group. */
function cacheClusterHandlers(context: ControlContext): Handlers {
  const groupOf = (id: string) => groupOfMember(context.database, id.toLowerCase());
  return {
    CreateCacheCluster: async (input, caller) => {
      if (input.ReplicationGroupId !== undefined) {
        const { group, id } = await createMember(context, caller.region, input);
        return { CacheCluster: showMember(group, id, caller) };
      }
      const cluster = await createCacheCluster(context, caller.region, input);
      return { CacheCluster: showCacheCluster(cluster, caller) };
    },
    DescribeCacheClusters: (input, caller) => describeCacheClusters(context, caller, input),
    ModifyCacheCluster: async (input, caller) => {
      const member = await groupOf(input.CacheClusterId);
      if (member !== undefined) throw modifiedByItsGroup(input.CacheClusterId, member);
      const cluster = await modifyCacheCluster(context, caller.region, input);
      return { CacheCluster: showCacheCluster(cluster, caller) };
    },
    DeleteCacheCluster: async (input, caller) => {
      const groupId = await groupOf(input.CacheClusterId);
      if (groupId !== undefined) {
        const { group, id } = await deleteMember(context, groupId, input);
        return { CacheCluster: showMember(group, id, caller) };
      }
      const cluster = await deleteCacheCluster(context, input);
      return { CacheCluster: showCacheCluster(cluster, caller) };
    },
    RebootCacheCluster: async (input, caller) => {
      const groupId = await groupOf(input.CacheClusterId);
      if (groupId !== undefined) {
        const { group, id } = await rebootMemberCluster(context, groupId, input);
        return { CacheCluster: showMember(group, id, caller) };
      }
      const cluster = await rebootCacheCluster(context, input);
      return { CacheCluster: showCacheCluster(cluster, caller) };
    },
  };
}

function modifiedByItsGroup(id: string, groupId: string) {
  return serviceError(
    'InvalidParameterCombinationException',
    `Cache cluster ${id} is a member of replication group ${groupId}; use ModifyReplicationGroup.`,
  );
}

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
    ModifyReplicationGroup: async (input, caller) => {
      const group = await modifyReplicationGroup(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    IncreaseReplicaCount: async (input, caller) => {
      const group = await increaseReplicaCount(context, caller.region, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    DecreaseReplicaCount: async (input, caller) => {
      const group = await decreaseReplicaCount(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    ModifyReplicationGroupShardConfiguration: async (input, caller) => {
      const group = await modifyShardConfiguration(context, caller.region, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    TestMigration: async (input, caller) => {
      const group = await testMigration(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    StartMigration: async (input, caller) => {
      const group = await startMigration(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    CompleteMigration: async (input, caller) => {
      const group = await completeMigration(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    TestFailover: async (input, caller) => {
      const group = await testFailover(context, input);
      return { ReplicationGroup: showReplicationGroup(group, caller) };
    },
    ListAllowedNodeTypeModifications: (input) => listAllowedNodeTypes(context, input),
    ...cacheClusterHandlers(context),
    DescribeEvents: (input) => describeEvents(context, input),
    DescribeServiceUpdates: (input) => describeServiceUpdates(context, input),
    DescribeUpdateActions: (input) => describeUpdateActions(context, input),
    BatchApplyUpdateAction: (input) => applyUpdate(context, input),
    BatchStopUpdateAction: (input) => stopUpdate(context, input),
    CreateCacheParameterGroup: async (input, caller) => {
      const group = await createParameterGroup(context, input);
      return { CacheParameterGroup: showParameterGroup(group, caller) };
    },
    DescribeCacheParameterGroups: (input, caller) => describeParameterGroups(context, caller, input),
    DescribeCacheParameters: (input) => describeParameters(context, input),
    ModifyCacheParameterGroup: async (input) => ({
      CacheParameterGroupName: await modifyParameterGroup(context, input),
    }),
    ResetCacheParameterGroup: async (input) => ({
      CacheParameterGroupName: await resetParameterGroup(context, input),
    }),
    DeleteCacheParameterGroup: async (input) => {
      await deleteParameterGroup(context, input);
      return {};
    },
    DescribeEngineDefaultParameters: describeEngineDefaults,
    DescribeCacheEngineVersions: (input) => describeEngineVersions(context, input),
    CreateSnapshot: async (input, caller) => ({
      Snapshot: showSnapshot(await createSnapshot(context, input), caller),
    }),
    DescribeSnapshots: (input, caller) => describeSnapshots(context, caller, input),
    CopySnapshot: async (input, caller) => ({
      Snapshot: showSnapshot(await copySnapshot(context, input), caller),
    }),
    DeleteSnapshot: async (input, caller) => ({
      Snapshot: showSnapshot(await deleteSnapshot(context, input), caller),
    }),
    CreateCacheSubnetGroup: async (input, caller) => {
      const group = await createSubnetGroup(context, caller.region, input);
      return { CacheSubnetGroup: showSubnetGroup(group, caller) };
    },
    DescribeCacheSubnetGroups: (input, caller) => describeSubnetGroups(context, caller, input),
    ModifyCacheSubnetGroup: async (input, caller) => {
      const group = await modifySubnetGroup(context, caller.region, input);
      return { CacheSubnetGroup: showSubnetGroup(group, caller) };
    },
    DeleteCacheSubnetGroup: async (input, caller) => {
      await deleteSubnetGroup(context, caller.region, input);
      return {};
    },
    CreateCacheSecurityGroup: refuseSecurityGroups,
    DescribeCacheSecurityGroups: describeSecurityGroups,
    DeleteCacheSecurityGroup: refuseSecurityGroups,
    AuthorizeCacheSecurityGroupIngress: refuseSecurityGroups,
    RevokeCacheSecurityGroupIngress: refuseSecurityGroups,
    AddTagsToResource: (input, caller) => addTags(context, caller, input),
    RemoveTagsFromResource: (input, caller) => removeTags(context, caller, input),
    ListTagsForResource: (input, caller) => listTags(context, caller, input),
    CreateUser: async (input, caller) => {
      const { user, standing } = await createUser(context, input);
      return showUser(user, standing, caller);
    },
    DescribeUsers: (input, caller) => describeUsers(context, caller, input),
    ModifyUser: async (input, caller) => {
      const { user, standing } = await modifyUser(context, input);
      return showUser(user, standing, caller);
    },
    DeleteUser: async (input, caller) => {
      const { user, standing } = await deleteUser(context, input);
      return showUser(user, standing, caller);
    },
    CreateUserGroup: async (input, caller) =>
      showChangedUserGroup(context, await createUserGroup(context, input), caller),
    DescribeUserGroups: (input, caller) => describeUserGroups(context, caller, input),
    ModifyUserGroup: async (input, caller) =>
      showChangedUserGroup(context, await modifyUserGroup(context, input), caller),
    DeleteUserGroup: async (input, caller) => ({
      ...(await showChangedUserGroup(context, await deleteUserGroup(context, input), caller)),
      Status: 'deleting',
    }),
  };
}
