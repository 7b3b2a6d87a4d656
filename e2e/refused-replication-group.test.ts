/** The promise: what can't be done is refused with the error a client knows, and changes nothing. */
import {
  type CreateReplicationGroupCommandInput,
  DescribeReplicationGroupsCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createGroup,
  deleteGroup,
  describeGroup,
  errorName,
  groupAvailable,
  groupGone,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';

let larder: TestLarder;

type Bad = readonly [error: string, input: Partial<CreateReplicationGroupCommandInput>, what?: string];
const value = 'InvalidParameterValueException';
const combination = 'InvalidParameterCombinationException';
const bad: readonly Bad[] = [
  ['ReplicationGroupAlreadyExistsFault', { ReplicationGroupId: 'TAKEN' }],
  ...['', '1abc', 'a_b', 'a--b', 'a-', 'ä', 'a'.repeat(41)].map(
    (id): Bad => [value, { ReplicationGroupId: id }, `the id ${JSON.stringify(id)}`],
  ),
  [value, { NumCacheClusters: 7 }],
  [value, { NumCacheClusters: 0 }],
  [value, { NumCacheClusters: -1 }],
  [value, { NumNodeGroups: 0 }],
  [value, { NumNodeGroups: 2, ReplicasPerNodeGroup: 6 }],
  [combination, { NumCacheClusters: 2, ReplicasPerNodeGroup: 1 }],
  [combination, { NumCacheClusters: 2, NumNodeGroups: 2 }],
  [combination, { MultiAZEnabled: true, NumCacheClusters: 2 }],
  [combination, { AutomaticFailoverEnabled: true }],
  [combination, { AutomaticFailoverEnabled: false, NumNodeGroups: 2 }],
  ['NodeQuotaForClusterExceededFault', { NumNodeGroups: 46, ReplicasPerNodeGroup: 1 }],
  [value, { NumNodeGroups: 91 }],
  [value, { NodeGroupConfiguration: [{ Slots: '0-100' }, { Slots: '102-16383' }] }],
  [value, { NodeGroupConfiguration: [{ Slots: '0-8000' }, { Slots: '8000-16383' }] }],
  [value, { NodeGroupConfiguration: [{ Slots: '0-8000' }, { Slots: '8001-16384' }] }],
  [value, { NodeGroupConfiguration: [{ Slots: '0-8000' }, { ReplicaCount: 0 }] }],
  [combination, { NodeGroupConfiguration: [{ Slots: '0-16383' }] }],
  [combination, { NumNodeGroups: 3, NodeGroupConfiguration: [{ ReplicaCount: 0 }, { ReplicaCount: 1 }] }],
  [combination, { NumNodeGroups: 1, NodeGroupConfiguration: [{ ReplicaCount: 0 }, { ReplicaCount: 1 }] }],
  [combination, { NodeGroupConfiguration: [{ ReplicaAvailabilityZones: ['us-east-1a'] }] }],
  [value, { NodeGroupConfiguration: [{ NodeGroupId: '0001' }, { NodeGroupId: '0003' }] }],
  [value, { PreferredCacheClusterAZs: ['us-east-1z'] }],
  [value, { PreferredCacheClusterAZs: ['eu-west-1a'] }],
  [combination, { PreferredCacheClusterAZs: ['us-east-1a', 'us-east-1b'] }],
  [value, { Engine: 'dragonfly' }],
  [value, { EngineVersion: '99.1' }],
  [value, { EngineVersion: '../../etc' }],
  [value, { CacheNodeType: 'cache.huge' }],
  [value, { Engine: 'memcached' }],
  ...[80, 0, -1, 22_768, 65_536].map((port): Bad => [value, { Port: port }]),
  ['CacheParameterGroupNotFoundFault', { CacheParameterGroupName: 'mine' }],
  [value, { PreferredMaintenanceWindow: 'sun:05:00-sun:05:30' }],
  [value, { Tags: [{ Key: '' }] }],
  [
    'TagQuotaPerResourceExceeded',
    { Tags: Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}` })) },
    '51 tags',
  ],
  [combination, { ClusterMode: 'compatible' }],
  [combination, { ClusterMode: 'disabled', NumNodeGroups: 2 }],
  // What has no effect yet is refused, never taken and forgotten.
  ['SnapshotNotFoundFault', { SnapshotName: 'yesterday' }],
  [value, { SnapshotRetentionLimit: 36 }],
  [value, { SnapshotWindow: '05:00-05:30' }],
  [combination, { AuthToken: 'a-secret-of-sixteen' }],
  [value, { AuthToken: 'too short', TransitEncryptionEnabled: true }],
  [combination, { TransitEncryptionMode: 'preferred' }],
  [value, { TransitEncryptionEnabled: true, TransitEncryptionMode: 'always' as 'required' }],
  [combination, { UserGroupIds: ['everyone'] }],
  ['UserGroupNotFoundFault', { UserGroupIds: ['everyone'], TransitEncryptionEnabled: true }],
  ['CacheSubnetGroupNotFoundFault', { CacheSubnetGroupName: 'nowhere' }],
  [value, { SecurityGroupIds: ['open'] }],
  [value, { CacheSecurityGroupNames: ['classic'] }],
  ['InvalidKMSKeyFault', { KmsKeyId: 'mine' }],
  [value, { NotificationTopicArn: 'topic' }],
  [value, { LogDeliveryConfigurations: [{ LogType: 'audit' as 'slow-log' }] }],
  ['CacheClusterNotFoundFault', { PrimaryClusterId: 'nobody' }],
  [combination, { DataTieringEnabled: true }],
  [combination, { GlobalReplicationGroupId: 'world' }],
];

beforeAll(async () => {
  larder = await startLarder();
  await createGroup(larder, 'taken', {});
  await groupAvailable(larder, 'taken');
});

afterAll(() => larder?.remove());

test.each(
  bad.map(([error, input, what = JSON.stringify(input)]) => ({ error, input, what })),
)('$what: $error', async ({ error, input }) => {
  expect(await errorName(createGroup(larder, 'refused', input))).toBe(error);
});

test('afterwards there is what was there before', async () => {
  expect(await errorName(describeGroup(larder, 'refused'))).toBe('ReplicationGroupNotFoundFault');
  expect(larder.processes().map(({ nodeId }) => nodeId)).toEqual(['taken-001.0001']);
  expect(await larder.nodeFolders()).toEqual(['taken-001.0001']);
});

test('requests about groups that are not there', async () => {
  expect(await errorName(describeGroup(larder, 'nobody'))).toBe('ReplicationGroupNotFoundFault');
  expect(await errorName(deleteGroup(larder, 'nobody'))).toBe('ReplicationGroupNotFoundFault');
  // A member's id is not a group's.
  expect(await errorName(deleteGroup(larder, 'taken-001'))).toBe('ReplicationGroupNotFoundFault');
});

test('pages outside their bounds', async () => {
  const page = (input: object) => errorName(larder.client.send(new DescribeReplicationGroupsCommand(input)));
  expect(await page({ MaxRecords: 19 })).toBe(value);
  expect(await page({ MaxRecords: 101 })).toBe(value);
  expect(await page({ Marker: 'made up' })).toBe(value);
});

test('a second deletion: the first is under way', async () => {
  await createGroup(larder, 'twice', { NumCacheClusters: 3 });
  await groupAvailable(larder, 'twice');
  const [first, second] = await Promise.all([
    errorName(deleteGroup(larder, 'twice')),
    errorName(deleteGroup(larder, 'twice')),
  ]);
  expect([first, second].sort()).toEqual(['InvalidReplicationGroupStateFault', 'no error']);
  await groupGone(larder, 'twice');
});

test('of twenty requests for one id at once one is taken', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => errorName(createGroup(larder, 'wanted', {}))),
  );
  expect(answers.filter((each) => each === 'no error')).toHaveLength(1);
  expect(answers.filter((each) => each === 'ReplicationGroupAlreadyExistsFault')).toHaveLength(19);
  await groupAvailable(larder, 'wanted');
  expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith('wanted'))).toHaveLength(1);
});
