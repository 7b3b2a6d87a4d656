/**
 * What Terraform's AWS provider sends and waits for, replayed: creation, reading, changes in the order of its update
 * function, deletion. Its waits fail at any status that they don't list, and so do these.
 */
import {
  CreateCacheClusterCommand,
  type CreateCacheClusterCommandInput,
  CreateCacheParameterGroupCommand,
  CreateCacheSubnetGroupCommand,
  CreateReplicationGroupCommand,
  type CreateReplicationGroupCommandInput,
  CreateUserCommand,
  CreateUserGroupCommand,
  DecreaseReplicaCountCommand,
  DeleteCacheClusterCommand,
  DeleteCacheParameterGroupCommand,
  DeleteCacheSubnetGroupCommand,
  DeleteReplicationGroupCommand,
  DeleteUserCommand,
  DeleteUserGroupCommand,
  DescribeCacheParameterGroupsCommand,
  DescribeCacheParametersCommand,
  DescribeCacheSubnetGroupsCommand,
  DescribeUserGroupsCommand,
  DescribeUsersCommand,
  IncreaseReplicaCountCommand,
  ListTagsForResourceCommand,
  ModifyCacheClusterCommand,
  ModifyCacheParameterGroupCommand,
  ModifyCacheSubnetGroupCommand,
  ModifyReplicationGroupCommand,
  ModifyUserCommand,
  ModifyUserGroupCommand,
  ResetCacheParameterGroupCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { transition } from '../../testing/aws-clients-transitions.ts';
import { describeCluster, describeGroup, errorName } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

async function groupAvailable(id: string) {
  const { seen } = await transition({
    look: () => describeGroup(larder, id),
    state: (group) => group?.Status,
    pending: ['creating', 'modifying', 'snapshotting'],
    target: 'available',
  });
  return seen!;
}

async function clusterAvailable(id: string) {
  const { seen } = await transition({
    look: () => describeCluster(larder, id),
    state: (cluster) => cluster?.CacheClusterStatus,
    pending: ['creating', 'modifying', 'snapshotting', 'rebooting cluster nodes'],
    target: 'available',
  });
  return seen!;
}

/** Deletes, and waits as the provider does; it also reads a group that is `deleting` as gone. */
async function deleteGroup(id: string): Promise<void> {
  await larder.client.send(new DeleteReplicationGroupCommand({ ReplicationGroupId: id }));
  const { states } = await transition({
    look: () => describeGroup(larder, id),
    state: (group) => group?.Status,
    notFound: 'ReplicationGroupNotFoundFault',
    pending: ['creating', 'available', 'deleting'],
    target: undefined,
  });
  expect(states.filter((state) => state !== 'deleting')).toEqual([]);
}

/** What the provider's read function takes out of the answers; it fails where an endpoint or a zone is missing. */
async function readState(id: string) {
  const group = await describeGroup(larder, id);
  const shard = group.NodeGroups![0]!;
  const member = await describeCluster(larder, shard.NodeGroupMembers![0]!.CacheClusterId!);
  const node = member.CacheNodes![0]!;
  expect(node.CustomerAvailabilityZone).toMatch(/^us-east-1[abc]$/);
  const { TagList } = await larder.client.send(new ListTagsForResourceCommand({ ResourceName: group.ARN! }));
  const sharded = group.ConfigurationEndpoint !== undefined;
  return {
    automatic_failover_enabled: group.AutomaticFailover,
    multi_az_enabled: group.MultiAZ,
    num_cache_clusters: group.MemberClusters!.length,
    num_node_groups: group.NodeGroups!.length,
    replicas_per_node_group: shard.NodeGroupMembers!.length - 1,
    cluster_enabled: group.ClusterEnabled,
    cluster_mode: group.ClusterMode,
    configuration_endpoint_address: group.ConfigurationEndpoint?.Address,
    primary_endpoint_address: sharded ? undefined : shard.PrimaryEndpoint!.Address,
    reader_endpoint_address: sharded ? undefined : shard.ReaderEndpoint!.Address,
    snapshot_retention_limit: group.SnapshotRetentionLimit,
    snapshot_window: group.SnapshotWindow,
    user_group_ids: group.UserGroupIds,
    description: group.Description,
    port: node.Endpoint!.Port,
    node_type: member.CacheNodeType,
    engine: member.Engine,
    engine_version: member.EngineVersion,
    auto_minor_version_upgrade: member.AutoMinorVersionUpgrade,
    subnet_group_name: member.CacheSubnetGroupName,
    security_group_ids: member.SecurityGroups!.map(({ SecurityGroupId }) => SecurityGroupId),
    parameter_group_name: member.CacheParameterGroup!.CacheParameterGroupName,
    maintenance_window: member.PreferredMaintenanceWindow,
    at_rest_encryption_enabled: group.AtRestEncryptionEnabled,
    transit_encryption_mode: group.TransitEncryptionMode,
    auth_token_enabled: member.AuthTokenEnabled,
    tags: TagList,
  };
}

describe('aws_elasticache_replication_group', () => {
  const create = (ReplicationGroupId: string, input: Partial<CreateReplicationGroupCommandInput>) =>
    larder.client.send(
      new CreateReplicationGroupCommand({
        ReplicationGroupId,
        ReplicationGroupDescription: 'terraform',
        AutoMinorVersionUpgrade: true,
        Tags: [{ Key: 'Name', Value: 'tf' }],
        ...input,
      }),
    );

  /** Each of its updates ends with the group available, and those of the count with every member. */
  async function modify(ReplicationGroupId: string, input: object) {
    const change = { ReplicationGroupId, ApplyImmediately: true, ...input };
    await larder.client.send(new ModifyReplicationGroupCommand(change));
    await groupAvailable(ReplicationGroupId);
  }

  async function count(
    Command: typeof IncreaseReplicaCountCommand | typeof DecreaseReplicaCountCommand,
    id: string,
    replicas: number,
  ) {
    const input = { ReplicationGroupId: id, NewReplicaCount: replicas, ApplyImmediately: true };
    await (Command === IncreaseReplicaCountCommand
      ? larder.client.send(new IncreaseReplicaCountCommand(input))
      : larder.client.send(new DecreaseReplicaCountCommand(input)));
    for (const member of (await groupAvailable(id)).MemberClusters!) await clusterAvailable(member);
  }

  test('without cluster mode', async () => {
    const id = 'tf-plain';
    await create(id, {
      CacheNodeType: 'cache.t4g.micro',
      Engine: 'redis',
      EngineVersion: '7.0',
      NumCacheClusters: 2,
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
      Port: 6379,
      AtRestEncryptionEnabled: true,
      TransitEncryptionEnabled: true,
      TransitEncryptionMode: 'required',
      AuthToken: 'terraform-has-a-token',
      CacheParameterGroupName: 'default.redis7',
      SecurityGroupIds: ['sg-12345678'],
      PreferredMaintenanceWindow: 'sun:05:00-sun:06:00',
      SnapshotWindow: '01:00-02:00',
    });
    await groupAvailable(id);
    const first = await readState(id);
    expect(first).toMatchObject({
      automatic_failover_enabled: 'enabled',
      multi_az_enabled: 'enabled',
      num_cache_clusters: 2,
      replicas_per_node_group: 1,
      cluster_enabled: false,
      cluster_mode: 'disabled',
      configuration_endpoint_address: undefined,
      snapshot_retention_limit: 0,
      snapshot_window: '01:00-02:00',
      port: 6379,
      engine: 'redis',
      engine_version: '7.0',
      parameter_group_name: 'default.redis7',
      security_group_ids: ['sg-12345678'],
      maintenance_window: 'sun:05:00-sun:06:00',
      transit_encryption_mode: 'required',
      auth_token_enabled: true,
      tags: [{ Key: 'Name', Value: 'tf' }],
    });

    await count(IncreaseReplicaCountCommand, id, 2);
    await modify(id, {
      ReplicationGroupDescription: 'changed',
      CacheNodeType: 'cache.t4g.small',
      PreferredMaintenanceWindow: 'mon:05:00-mon:06:00',
      SecurityGroupIds: ['sg-87654321'],
    });
    // The token by requests of their own, always at once.
    await modify(id, { AuthToken: 'terraform-has-another', AuthTokenUpdateStrategy: 'ROTATE' });
    await modify(id, { AuthToken: 'terraform-has-another', AuthTokenUpdateStrategy: 'SET' });
    // It ignores this one error, by its text.
    await expect(modify(id, { ReplicationGroupDescription: 'changed' })).rejects.toMatchObject({
      name: 'InvalidParameterCombinationException',
      message: expect.stringContaining('No modifications were requested'),
    });
    // Snapshots on: with the first member's name.
    await modify(id, { SnapshotRetentionLimit: 2, SnapshottingClusterId: `${id}-001` });
    await count(DecreaseReplicaCountCommand, id, 1);
    expect(await readState(id)).toMatchObject({
      num_cache_clusters: 2,
      primary_endpoint_address: first.primary_endpoint_address,
      description: 'changed',
      node_type: 'cache.t4g.small',
      maintenance_window: 'mon:05:00-mon:06:00',
      security_group_ids: ['sg-87654321'],
      snapshot_retention_limit: 2,
      auth_token_enabled: true,
    });
    await deleteGroup(id);
  });

  test('with cluster mode', async () => {
    const id = 'tf-sharded';
    await create(id, {
      CacheNodeType: 'cache.t4g.micro',
      Engine: 'valkey',
      EngineVersion: '9.1',
      NumNodeGroups: 2,
      ReplicasPerNodeGroup: 1,
      AutomaticFailoverEnabled: true,
      CacheParameterGroupName: 'default.valkey9.cluster.on',
    });
    expect((await groupAvailable(id)).NodeGroups!.map(({ Status }) => Status)).toEqual([
      'available',
      'available',
    ]);
    const first = await readState(id);
    expect(first).toMatchObject({
      num_node_groups: 2,
      replicas_per_node_group: 1,
      num_cache_clusters: 4,
      cluster_enabled: true,
      cluster_mode: 'enabled',
      configuration_endpoint_address: expect.stringMatching(/^127\./),
      automatic_failover_enabled: 'enabled',
    });
    await count(IncreaseReplicaCountCommand, id, 2);
    await modify(id, { ReplicationGroupDescription: 'changed', MultiAZEnabled: true });
    await count(DecreaseReplicaCountCommand, id, 1);
    expect(await readState(id)).toEqual({ ...first, description: 'changed', multi_az_enabled: 'enabled' });
    await deleteGroup(id);
  });
});

describe('aws_elasticache_cluster', () => {
  async function walk(input: CreateCacheClusterCommandInput, change: object) {
    const id = input.CacheClusterId!;
    await larder.client.send(new CreateCacheClusterCommand({ ...input, Tags: [{ Key: 'Name', Value: id }] }));
    const made = await clusterAvailable(id);
    expect(made.CacheNodes).toHaveLength(input.NumCacheNodes!);
    for (const { Endpoint, CustomerAvailabilityZone } of made.CacheNodes!) {
      expect(Endpoint).toMatchObject({ Address: expect.stringMatching(/^127\./), Port: input.Port });
      expect(CustomerAvailabilityZone).toMatch(/^us-east-1[abc]$/);
    }
    await larder.client.send(
      new ModifyCacheClusterCommand({ CacheClusterId: id, ApplyImmediately: true, ...change }),
    );
    const changed = await clusterAvailable(id);
    await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: id }));
    const { states } = await transition({
      look: () => describeCluster(larder, id),
      state: (cluster) => cluster?.CacheClusterStatus,
      notFound: 'CacheClusterNotFoundFault',
      pending: ['creating', 'available', 'deleting', 'incompatible-parameters', 'incompatible-network'],
      target: undefined,
    });
    expect(states.filter((state) => state !== 'deleting')).toEqual([]);
    return { made, changed };
  }

  test('memcached', async () => {
    const { made, changed } = await walk(
      {
        CacheClusterId: 'tf-memo',
        Engine: 'memcached',
        CacheNodeType: 'cache.t4g.micro',
        NumCacheNodes: 3,
        AZMode: 'cross-az',
        Port: 11_211,
        CacheParameterGroupName: 'default.memcached1.6',
      },
      // It removes from the highest number down.
      { NumCacheNodes: 1, CacheNodeIdsToRemove: ['0003', '0002'] },
    );
    expect(made.PreferredAvailabilityZone).toBe('Multiple');
    expect(made.ConfigurationEndpoint).toMatchObject({ Port: 11_211 });
    expect(changed.CacheNodes!.map(({ CacheNodeId }) => CacheNodeId)).toEqual(['0001']);
  });

  test('redis', async () => {
    const { made, changed } = await walk(
      {
        CacheClusterId: 'tf-redis',
        Engine: 'redis',
        EngineVersion: '7.0',
        CacheNodeType: 'cache.t4g.micro',
        NumCacheNodes: 1,
        Port: 6379,
        CacheParameterGroupName: 'default.redis7',
        NotificationTopicArn: 'arn:aws:sns:us-east-1:123456789012:cache',
      },
      { CacheNodeType: 'cache.t4g.small', PreferredMaintenanceWindow: 'tue:09:00-tue:10:00' },
    );
    expect(made.ConfigurationEndpoint).toBeUndefined();
    expect(made.NotificationConfiguration!.TopicStatus).toBe('active');
    expect(changed).toMatchObject({
      CacheNodeType: 'cache.t4g.small',
      PreferredMaintenanceWindow: 'tue:09:00-tue:10:00',
    });
  });
});

test('aws_elasticache_parameter_group', async () => {
  const { client } = larder;
  const group = { CacheParameterGroupName: 'tf-parameters' };
  const { CacheParameterGroup: made } = await client.send(
    new CreateCacheParameterGroupCommand({
      ...group,
      CacheParameterGroupFamily: 'redis7',
      Description: 'Managed by Terraform',
    }),
  );
  const named = (values: Readonly<Record<string, string>>) => ({
    ...group,
    ParameterNameValues: Object.entries(values).map(([ParameterName, ParameterValue]) => ({
      ParameterName,
      ParameterValue,
    })),
  });
  const read = async () => {
    const { Parameters } = await client.send(
      new DescribeCacheParametersCommand({ ...group, Source: 'user' }),
    );
    return Object.fromEntries(Parameters!.map((each) => [each.ParameterName, each.ParameterValue]));
  };
  const kept = { 'maxmemory-policy': 'allkeys-lru', 'hash-max-listpack-entries': '64' };
  await client.send(new ModifyCacheParameterGroupCommand(named({ ...kept, timeout: '60' })));
  expect(await read()).toEqual({ ...kept, timeout: '60' });
  await client.send(new ResetCacheParameterGroupCommand(named({ timeout: '60' })));
  expect(await read()).toMatchObject({ 'maxmemory-policy': 'allkeys-lru' });
  expect(await read()).not.toHaveProperty('timeout');
  const { CacheParameterGroups } = await client.send(new DescribeCacheParameterGroupsCommand(group));
  expect(CacheParameterGroups).toEqual([made]);
  const remove = () => client.send(new DeleteCacheParameterGroupCommand(group));
  await remove();
  expect(await errorName(remove())).toBe('CacheParameterGroupNotFoundFault');
});

test('aws_elasticache_subnet_group', async () => {
  const { client } = larder;
  const group = { CacheSubnetGroupName: 'tf-subnets' };
  const SubnetIds = ['subnet-us-east-1a', 'subnet-us-east-1b'];
  await client.send(
    new CreateCacheSubnetGroupCommand({
      ...group,
      CacheSubnetGroupDescription: 'Managed by Terraform',
      SubnetIds,
    }),
  );
  const read = async () =>
    (await client.send(new DescribeCacheSubnetGroupsCommand(group))).CacheSubnetGroups![0]!;
  const first = await read();
  expect(first.Subnets!.map(({ SubnetIdentifier }) => SubnetIdentifier)).toEqual(SubnetIds);
  expect(first.VpcId).toMatch(/^vpc-/);
  const change = { CacheSubnetGroupDescription: 'changed', SubnetIds: ['subnet-us-east-1c'] };
  await client.send(new ModifyCacheSubnetGroupCommand({ ...group, ...change }));
  expect(await read()).toMatchObject({
    CacheSubnetGroupDescription: 'changed',
    Subnets: [{ SubnetIdentifier: 'subnet-us-east-1c' }],
  });
  await client.send(new DeleteCacheSubnetGroupCommand(group));
  expect(await errorName(read())).toBe('CacheSubnetGroupNotFoundFault');
});

test('aws_elasticache_user, aws_elasticache_user_group and its association', async () => {
  const { client } = larder;
  const readUser = async (UserId: string) =>
    (await client.send(new DescribeUsersCommand({ UserId }))).Users![0]!;
  const readGroup = async () =>
    (await client.send(new DescribeUserGroupsCommand({ UserGroupId: 'tf-users' }))).UserGroups![0]!;
  const userState = (id: string, pending: readonly string[], target: string | undefined) =>
    transition({
      look: () => readUser(id),
      state: (user) => user?.Status,
      notFound: 'UserNotFoundFault',
      pending,
      target,
    });
  const groupState = (pending: readonly string[], target: string | undefined) =>
    transition({
      look: readGroup,
      state: (group) => group?.Status,
      notFound: 'UserGroupNotFoundFault',
      pending,
      target,
    });
  const modifyGroup = (change: object) =>
    client.send(new ModifyUserGroupCommand({ UserGroupId: 'tf-users', ...change }));

  const users = { 'tf-default': 'default', 'tf-app': 'app' };
  for (const [UserId, UserName] of Object.entries(users)) {
    await client.send(
      new CreateUserCommand({
        UserId,
        UserName,
        Engine: 'REDIS',
        AccessString: 'on ~app::* +@read',
        AuthenticationMode: { Type: 'password', Passwords: ['a-password-of-sixteen'] },
        NoPasswordRequired: false,
      }),
    );
    // `modifying` right after a creation would be its end.
    await userState(UserId, ['creating'], 'active');
  }
  await client.send(
    new CreateUserGroupCommand({ UserGroupId: 'tf-users', Engine: 'REDIS', UserIds: ['tf-default'] }),
  );
  await groupState(['creating', 'modifying'], 'active');
  await modifyGroup({ UserIdsToAdd: ['tf-app'] });
  await groupState(['modifying'], 'active');

  await client.send(
    new CreateReplicationGroupCommand({
      ReplicationGroupId: 'tf-secured',
      ReplicationGroupDescription: 'x',
      Engine: 'valkey',
      NumCacheClusters: 1,
      TransitEncryptionEnabled: true,
      UserGroupIds: ['tf-users'],
    }),
  );
  expect((await groupAvailable('tf-secured')).UserGroupIds).toEqual(['tf-users']);
  await client.send(new ModifyUserCommand({ UserId: 'tf-app', AccessString: 'on ~* +@all' }));
  await userState('tf-app', ['modifying'], 'active');
  expect(await readUser('tf-app')).toMatchObject({ AccessString: 'on ~* +@all', UserGroupIds: ['tf-users'] });
  await groupState(['modifying'], 'active');
  expect(await readGroup()).toMatchObject({
    ReplicationGroups: ['tf-secured'],
    UserIds: ['tf-app', 'tf-default'],
  });
  await modifyGroup({ UserIdsToRemove: ['tf-app'] });
  await groupState(['modifying'], 'active');

  const removeGroup = () => client.send(new DeleteUserGroupCommand({ UserGroupId: 'tf-users' }));
  expect(await errorName(removeGroup())).toBe('InvalidUserGroupStateFault');
  await deleteGroup('tf-secured');
  await removeGroup();
  await groupState(['deleting'], undefined);
  for (const UserId of Object.keys(users)) {
    await client.send(new DeleteUserCommand({ UserId }));
    await userState(UserId, ['deleting'], undefined);
  }
  expect(larder.processes()).toEqual([]);
});
