/** Which operations have an effect, and who carries them out. */
import type { Handlers } from '@larder/contract/elasticache/handlers';
import { describeCacheClusters, showCacheCluster } from './cache-cluster/describe.ts';
import { createCacheCluster, deleteCacheCluster } from './cache-cluster/requests.ts';
import type { ControlContext } from './control-context.ts';
import { describeEvents } from './event-log/describe.ts';
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
import { createReplicationGroup, deleteReplicationGroup } from './replication-group/requests.ts';
import { describeSecurityGroups, refuseSecurityGroups } from './security-group/refuse.ts';
import { describeSubnetGroups, showSubnetGroup } from './subnet-group/describe.ts';
import { createSubnetGroup, deleteSubnetGroup, modifySubnetGroup } from './subnet-group/requests.ts';
import { addTags, listTags, removeTags } from './tag/requests.ts';
import { describeUsers, showUser } from './user/describe.ts';
import { createUser, deleteUser, modifyUser } from './user/requests.ts';
import { describeUserGroups, showChangedUserGroup } from './user-group/describe.ts';
import { createUserGroup, deleteUserGroup, modifyUserGroup } from './user-group/requests.ts';

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
