/**
 * What is refused: wrong requests to each of the operations, operations that have no effect here, and each error that
 * a rule can produce, with the status that the model gives it.
 */
import * as sdk from '@aws-sdk/client-elasticache';
import {
  elastiCache,
  type OperationName,
  operationModel,
  operationNames,
} from '@larder/contract/elasticache/model';
import type { Shape, StructureShape } from '@larder/contract/service-model';
import { controlHandlers } from '@larder/control/handlers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusal } from '../../testing/api-coverage.ts';
import { createGroup, groupAvailable } from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
  await createGroup(larder, 'here', {});
  await groupAvailable(larder, 'here');
});

afterAll(() => larder?.remove());

interface Refused {
  readonly name: string;
  readonly Code?: string;
  readonly message: string;
  readonly $metadata: { readonly httpStatusCode?: number };
}

/** By name the SDK's command classes share no type; each takes its input. */
async function refusedBy(operation: OperationName, input: object): Promise<Refused> {
  const exported: Readonly<Record<string, unknown>> = sdk;
  const Command = exported[`${operation}Command`] as new (input: object) => never;
  return larder.client.send(new Command(input)).then(
    (answer) => {
      throw new Error(`${operation} answered ${JSON.stringify(answer)} to ${JSON.stringify(input)}.`);
    },
    (error: Refused) => error,
  );
}

describe('each operation refuses a request that is wrong', () => {
  /** Without what is required; else with the first number or truth value of the model as neither. */
  function wrong(operation: OperationName): object {
    const members = [...operationModel(operation).input.members.values()];
    if (members.some(({ required }) => required)) return {};
    const typed = members.find(({ shape }) => shape.kind === 'number' || shape.kind === 'boolean');
    return typed === undefined ? {} : { [typed.name]: 'neither' };
  }

  test.each(operationNames)('%s', async (operation) => {
    const { Code, $metadata } = await refusedBy(operation, wrong(operation));
    expect(Code).toMatch(/^InvalidParameter(Value|Combination)$/);
    expect($metadata.httpStatusCode).toBe(400);
  });
});

describe('operations without an effect say so', () => {
  // Only its keys are looked at.
  const handled = new Set(Object.keys(controlHandlers({} as never)));
  const unhandled = operationNames.filter((operation) => !handled.has(operation));

  /** The least that the decoder takes. */
  function least(shape: StructureShape): object {
    const required = [...shape.members.values()].filter((member) => member.required);
    return Object.fromEntries(required.map(({ name, shape: of }) => [name, leastValue(of)]));
  }

  function leastValue(shape: Shape): unknown {
    switch (shape.kind) {
      case 'string':
        return 'x';
      case 'number':
        return 1;
      case 'boolean':
        return true;
      case 'timestamp':
        return new Date(0);
      case 'list':
        return [leastValue(shape.item)];
      case 'structure': {
        // An empty structure has no form in a query.
        const [first] = [...shape.members.values()];
        const needed = least(shape);
        return Object.keys(needed).length > 0 ? needed : { [first!.name]: leastValue(first!.shape) };
      }
    }
  }

  test.each(unhandled)('%s', async (operation) => {
    const { name, message, $metadata } = await refusedBy(operation, least(operationModel(operation).input));
    expect([name, $metadata.httpStatusCode]).toEqual(['UnsupportedOperation', 400]);
    expect(message).toContain(`has no effect for it yet`);
    refusal(operation, `UnsupportedOperation: ${message}`);
  });

  const securityGroup = { CacheSecurityGroupName: 'classic', Description: 'x' };
  const ingress = { ...securityGroup, EC2SecurityGroupName: 'x', EC2SecurityGroupOwnerId: 'x' };
  test.each([
    ['CreateCacheSecurityGroup', securityGroup],
    ['DeleteCacheSecurityGroup', securityGroup],
    ['AuthorizeCacheSecurityGroupIngress', ingress],
    ['RevokeCacheSecurityGroupIngress', ingress],
  ] as const)('%s: there is no EC2-Classic', async (operation, input) => {
    const { Code, message } = await refusedBy(operation, input);
    expect(Code).toBe('InvalidParameterValue');
    expect(message).toContain('cache security groups is not permitted');
    refusal(operation, `${Code}: ${message}`);
  });

  test('DescribeCacheSecurityGroups: there are none', async () => {
    const { Code, message } = await refusedBy('DescribeCacheSecurityGroups', {
      CacheSecurityGroupName: 'classic',
    });
    expect(Code).toBe('CacheSecurityGroupNotFound');
    const all = await larder.client.send(new sdk.DescribeCacheSecurityGroupsCommand({}));
    expect(all.CacheSecurityGroups).toEqual([]);
    refusal('DescribeCacheSecurityGroups', `${Code}: ${message} Lists none.`);
  });

  test('members of requests that have no effect yet are refused, never taken and forgotten', async () => {
    const group = { ReplicationGroupId: 'later', ReplicationGroupDescription: 'x' };
    for (const [operation, input] of [
      ['CreateReplicationGroup', { ...group, Durability: 'sync' }],
      ['CreateReplicationGroup', { ...group, DataTieringEnabled: true }],
      ['CreateReplicationGroup', { ...group, NetworkType: 'ipv6' }],
      ['CreateReplicationGroup', { ...group, GlobalReplicationGroupId: 'world' }],
      ['CreateCacheCluster', { CacheClusterId: 'later', Engine: 'valkey', OutpostMode: 'single-outpost' }],
      ['ModifyReplicationGroup', { ReplicationGroupId: 'here', IpDiscovery: 'ipv6' }],
    ] as const) {
      const { Code, message } = await refusedBy(operation, input);
      expect(Code).toBe('InvalidParameterCombination');
      expect(message).toContain('no effect in this version of Larder');
    }
  });
});

describe('errors have the code and the status of the model', () => {
  const arn = (type: string, name = 'nobody') => `arn:aws:elasticache:us-east-1:000000000000:${type}:${name}`;
  const tagsOf = (ResourceName: string) => ['ListTagsForResource', { ResourceName }] as const;
  const group = { ReplicationGroupId: 'other', ReplicationGroupDescription: 'x' };
  const user = {
    UserId: 'mine',
    UserName: 'mine',
    Engine: 'redis',
    AccessString: 'on ~* +@all',
    NoPasswordRequired: true,
  };

  const cases: readonly (readonly [shapeName: string, OperationName, object])[] = [
    ['CacheClusterNotFoundFault', ...tagsOf(arn('cluster'))],
    ['ReplicationGroupNotFoundFault', ...tagsOf(arn('replicationgroup'))],
    ['CacheParameterGroupNotFoundFault', ...tagsOf(arn('parametergroup'))],
    ['CacheSubnetGroupNotFoundFault', ...tagsOf(arn('subnetgroup'))],
    ['CacheSecurityGroupNotFoundFault', ...tagsOf(arn('securitygroup'))],
    ['UserNotFoundFault', ...tagsOf(arn('user'))],
    ['UserGroupNotFoundFault', ...tagsOf(arn('usergroup'))],
    ['SnapshotNotFoundFault', ...tagsOf(arn('snapshot'))],
    ['ServerlessCacheNotFoundFault', ...tagsOf(arn('serverlesscache'))],
    ['ServerlessCacheSnapshotNotFoundFault', ...tagsOf(arn('serverlesscachesnapshot'))],
    ['ReservedCacheNodeNotFoundFault', ...tagsOf(arn('reserved-instance'))],
    ['InvalidARNFault', ...tagsOf('arn:of:nothing')],
    [
      'TagNotFoundFault',
      'RemoveTagsFromResource',
      { ResourceName: arn('replicationgroup', 'here'), TagKeys: ['x'] },
    ],
    [
      'ReplicationGroupAlreadyExistsFault',
      'CreateReplicationGroup',
      { ...group, ReplicationGroupId: 'here' },
    ],
    [
      'CacheClusterAlreadyExistsFault',
      'CreateCacheCluster',
      { CacheClusterId: 'here-001', Engine: 'valkey' },
    ],
    [
      'NodeQuotaForClusterExceededFault',
      'CreateReplicationGroup',
      { ...group, NumNodeGroups: 46, ReplicasPerNodeGroup: 1 },
    ],
    ['InvalidKMSKeyFault', 'CreateReplicationGroup', { ...group, KmsKeyId: 'mine' }],
    ['NodeGroupNotFoundFault', 'TestFailover', { ReplicationGroupId: 'here', NodeGroupId: '0009' }],
    [
      'InvalidReplicationGroupStateFault',
      'TestFailover',
      { ReplicationGroupId: 'here', NodeGroupId: '0001' },
    ],
    [
      'NoOperationFault',
      'DecreaseReplicaCount',
      { ReplicationGroupId: 'here', NewReplicaCount: 0, ApplyImmediately: true },
    ],
    ['InvalidCacheClusterStateFault', 'DeleteCacheCluster', { CacheClusterId: 'here-001' }],
    ['CacheSubnetGroupInUse', 'DeleteCacheSubnetGroup', { CacheSubnetGroupName: 'default' }],
    ['SubnetNotAllowedFault', 'ModifyCacheSubnetGroup', { CacheSubnetGroupName: 'default' }],
    [
      'InvalidCacheParameterGroupStateFault',
      'DeleteCacheParameterGroup',
      { CacheParameterGroupName: 'default.valkey9' },
    ],
    ['DuplicateUserNameFault', 'CreateUser', { ...user, UserName: 'larder' }],
    ['UserAlreadyExistsFault', 'CreateUser', { ...user, UserId: 'default', UserName: 'default' }],
    ['DefaultUserRequired', 'CreateUserGroup', { UserGroupId: 'x', Engine: 'redis' }],
    ['UserNotFoundFault', 'CreateUserGroup', { UserGroupId: 'x', Engine: 'redis', UserIds: ['nobody'] }],
    ['InvalidParameterCombinationException', 'ModifyUser', { UserId: 'default' }],
  ];

  test.each(cases)('%s by %s', async (shapeName, operation, input) => {
    const model = elastiCache.errors.get(shapeName)!;
    const { Code, name, $metadata } = await refusedBy(operation, input);
    expect([Code, $metadata.httpStatusCode]).toEqual([model.wireCode, model.httpStatus]);
    expect(name).toBe(shapeName);
  });

  test('users and user groups that are in each other’s way', async () => {
    const { client } = larder;
    await client.send(
      new sdk.CreateUserCommand({ ...user, UserId: 'nobody-else', UserName: 'default', AccessString: 'off' }),
    );
    await client.send(
      new sdk.CreateUserGroupCommand({ UserGroupId: 'readers', Engine: 'redis', UserIds: ['nobody-else'] }),
    );
    const refused: readonly (readonly [string, OperationName, object])[] = [
      [
        'UserGroupAlreadyExistsFault',
        'CreateUserGroup',
        { UserGroupId: 'Readers', Engine: 'redis', UserIds: ['default'] },
      ],
      ['DefaultUserAssociatedToUserGroupFault', 'DeleteUser', { UserId: 'nobody-else' }],
      [
        'DefaultUserRequired',
        'ModifyUserGroup',
        { UserGroupId: 'readers', UserIdsToRemove: ['nobody-else'] },
      ],
      ['DuplicateUserNameFault', 'ModifyUserGroup', { UserGroupId: 'readers', UserIdsToAdd: ['default'] }],
      ['UserGroupNotFoundFault', 'DeleteUserGroup', { UserGroupId: 'writers' }],
    ];
    for (const [shapeName, operation, input] of refused) {
      const { name, $metadata } = await refusedBy(operation, input);
      expect([name, $metadata.httpStatusCode]).toEqual([
        shapeName,
        elastiCache.errors.get(shapeName)!.httpStatus,
      ]);
    }
  });

  test('nothing came of any of it', async () => {
    const { ReplicationGroups } = await larder.client.send(new sdk.DescribeReplicationGroupsCommand({}));
    expect(ReplicationGroups!.map((each) => each.ReplicationGroupId)).toEqual(['here']);
    expect(larder.processes().map(({ nodeId }) => nodeId)).toEqual(['here-001.0001']);
  });
});
