import { expect, expectTypeOf, test } from 'vitest';
import { errorCatalogue, isServiceError, serviceError } from '../errors.ts';
import { elastiCache, type Input, isOperationName, type Output, operationNames } from './model.ts';

test('all 75 operations have an input; three return nothing', () => {
  expect(operationNames).toHaveLength(75);
  const silent = operationNames.filter((name) => elastiCache.operations.get(name)?.output === undefined);
  expect(silent.sort()).toEqual([
    'DeleteCacheParameterGroup',
    'DeleteCacheSecurityGroup',
    'DeleteCacheSubnetGroup',
  ]);
});

test('names of an object prototype are no operations', () => {
  for (const name of ['__proto__', 'constructor', 'toString', '']) expect(isOperationName(name)).toBe(false);
});

test('a required member has lost its undefined, an optional one keeps it', () => {
  type Create = Input<'CreateReplicationGroup'>;
  expectTypeOf<Create['ReplicationGroupId']>().toEqualTypeOf<string>();
  expectTypeOf<Create['NumCacheClusters']>().toEqualTypeOf<number | undefined>();
  expectTypeOf<Input<'RebootCacheCluster'>['CacheNodeIdsToReboot']>().toEqualTypeOf<string[]>();
  expectTypeOf<Output<'DescribeUsers'>>().not.toHaveProperty('$metadata');
  expectTypeOf<Output<'DescribeUsers'>['Marker']>().toEqualTypeOf<string | undefined>();
});

// As AWS documents them: 400 unless marked, wire code unless it equals the shape's name.
const CODES_LIKE_THEIR_SHAPES = `CacheSubnetGroupInUse CacheSubnetGroupNotFoundFault CacheSubnetQuotaExceededFault
  DefaultUserRequired GlobalReplicationGroupAlreadyExistsFault GlobalReplicationGroupNotFoundFault:404
  InvalidCredentialsException:408 InvalidKMSKeyFault InvalidServerlessCacheSnapshotStateFault
  InvalidServerlessCacheStateFault InvalidSubnet InvalidVPCNetworkStateFault NoOperationFault
  NodeGroupNotFoundFault:404 ReplicationGroupAlreadyUnderMigrationFault ReplicationGroupNotFoundFault:404
  ReplicationGroupNotUnderMigrationFault ServerlessCacheAlreadyExistsFault ServerlessCacheNotFoundFault:404
  ServerlessCacheQuotaForCustomerExceededFault ServerlessCacheSnapshotAlreadyExistsFault
  ServerlessCacheSnapshotNotFoundFault:404 ServerlessCacheSnapshotQuotaExceededFault ServiceLinkedRoleNotFoundFault
  ServiceUpdateNotFoundFault:404 SnapshotAlreadyExistsFault SnapshotFeatureNotSupportedFault
  SnapshotNotFoundFault:404 SnapshotQuotaExceededFault SubnetInUse SubnetNotAllowedFault TagQuotaPerResourceExceeded
  TestFailoverNotAvailableFault`;
const CODES_WITHOUT_SUFFIX = `APICallRateForCustomerExceeded AuthorizationAlreadyExists AuthorizationNotFound:404
  CacheClusterAlreadyExists CacheClusterNotFound:404 CacheParameterGroupAlreadyExists CacheParameterGroupNotFound:404
  CacheParameterGroupQuotaExceeded CacheSecurityGroupAlreadyExists CacheSecurityGroupNotFound:404
  CacheSubnetGroupAlreadyExists CacheSubnetGroupQuotaExceeded ClusterQuotaForCustomerExceeded
  DefaultUserAssociatedToUserGroup DuplicateUserName InsufficientCacheClusterCapacity InvalidARN
  InvalidCacheClusterState InvalidCacheParameterGroupState InvalidCacheSecurityGroupState
  InvalidGlobalReplicationGroupState InvalidParameterCombination InvalidParameterValue InvalidReplicationGroupState
  InvalidSnapshotState InvalidUserGroupState InvalidUserState NodeGroupsPerReplicationGroupQuotaExceeded
  NodeQuotaForClusterExceeded NodeQuotaForCustomerExceeded QuotaExceeded.CacheSecurityGroup
  ReplicationGroupAlreadyExists ReservedCacheNodeAlreadyExists:404 ReservedCacheNodeNotFound:404
  ReservedCacheNodeQuotaExceeded ReservedCacheNodesOfferingNotFound:404 TagNotFound:404 UserAlreadyExists
  UserGroupAlreadyExists UserGroupNotFound:404 UserGroupQuotaExceeded UserNotFound:404 UserQuotaExceeded`;

test('76 modelled codes with their statuses', () => {
  const documented = `${CODES_LIKE_THEIR_SHAPES} ${CODES_WITHOUT_SUFFIX}`
    .split(/\s+/)
    .map((text) => (text.includes(':') ? text : `${text}:400`));
  const modelled = [...elastiCache.errors.values()].map((error) => `${error.wireCode}:${error.httpStatus}`);
  expect(documented).toHaveLength(76);
  expect(modelled.sort()).toEqual(documented.sort());
});

test('a shape whose code differs is thrown by its shape name and sent by its code', () => {
  const error = serviceError('CacheSecurityGroupQuotaExceededFault', 'too many', { hint: 'delete one' });
  expect(error).toMatchObject({
    code: 'QuotaExceeded.CacheSecurityGroup',
    httpStatus: 400,
    fault: 'Sender',
    hint: 'delete one',
  });
  expect(isServiceError(error, 'CacheSecurityGroupQuotaExceededFault')).toBe(true);
  expect(isServiceError(error, 'UserNotFoundFault')).toBe(false);
  expect(errorCatalogue.get('InternalFailure')).toMatchObject({ httpStatus: 500, fault: 'Receiver' });
});
