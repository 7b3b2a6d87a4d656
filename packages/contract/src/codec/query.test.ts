import { expect, test } from 'vitest';
import { elastiCache, type OperationName, operationModel } from '../elasticache/model.ts';
import type { StructureShape } from '../service-model.ts';
import { MAX_KEY_LENGTH, MAX_PAIRS, parseForm } from './form.ts';
import { decodeQuery, MAX_LIST_INDEX } from './query.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function decode(operation: OperationName, body: string) {
  return decodeQuery(operationModel(operation), parseForm(bytes(body)), elastiCache.inputNumbers);
}

function refusal(operation: OperationName, body: string): unknown {
  try {
    return decode(operation, body);
  } catch (error) {
    return error;
  }
}

test('as the JavaScript SDK sends it', () => {
  const body =
    'Action=CreateReplicationGroup&Version=2015-02-02&ReplicationGroupId=rg&ReplicationGroupDescription=a%20b' +
    '&NodeGroupConfiguration.NodeGroupConfiguration.1.Slots=0-16383' +
    '&NodeGroupConfiguration.NodeGroupConfiguration.1.ReplicaAvailabilityZones.AvailabilityZone.1=a' +
    '&SecurityGroupIds.SecurityGroupId.1=sg-1&Tags.Tag.1.Key=k&UserGroupIds.member.1=ug1';
  expect(decode('CreateReplicationGroup', body)).toEqual({
    ReplicationGroupId: 'rg',
    ReplicationGroupDescription: 'a b',
    NodeGroupConfiguration: [{ Slots: '0-16383', ReplicaAvailabilityZones: ['a'] }],
    SecurityGroupIds: ['sg-1'],
    Tags: [{ Key: 'k' }],
    UserGroupIds: ['ug1'],
  });
});

test('as botocore sends it: plus for space, an empty list, microseconds', () => {
  expect(
    decode(
      'CreateReplicationGroup',
      'ReplicationGroupId=rg&ReplicationGroupDescription=a+b%2Bc&SecurityGroupIds=&Tags.member.1.Key=k',
    ),
  ).toEqual({
    ReplicationGroupId: 'rg',
    ReplicationGroupDescription: 'a b+c',
    SecurityGroupIds: [],
    Tags: [{ Key: 'k' }],
  });
  expect(decode('DescribeEvents', 'StartTime=2023-11-14T22%3A13%3A20.500000Z')).toEqual({
    StartTime: new Date('2023-11-14T22:13:20.500Z'),
  });
});

test.each([
  ['2023-11-14T22:13:20Z', '2023-11-14T22:13:20.000Z'],
  ['2023-11-14T22:13:20.5%2B02:00', '2023-11-14T20:13:20.500Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
])('the timestamp %s', (text, expected) => {
  expect(decode('DescribeEvents', `StartTime=${text}`)).toEqual({ StartTime: new Date(expected) });
});

test('nested structures; an empty one is present', () => {
  const base = 'ServerlessCacheName=s&Engine=valkey';
  expect(
    decode(
      'CreateServerlessCache',
      `${base}&CacheUsageLimits.DataStorage.Maximum=10&CacheUsageLimits.DataStorage.Unit=GB`,
    ).CacheUsageLimits,
  ).toEqual({ DataStorage: { Maximum: 10, Unit: 'GB' } });
  expect(decode('CreateServerlessCache', `${base}&CacheUsageLimits=`).CacheUsageLimits).toEqual({});
});

test('list items follow their indices, gaps close', () => {
  expect(
    decode(
      'DescribeUpdateActions',
      'CacheClusterIds.x.9999=c&CacheClusterIds.x.2=b&CacheClusterIds.member.1=a',
    ).CacheClusterIds,
  ).toEqual(['a', 'b', 'c']);
});

test('unknown members are ignored, names of prototypes among them', () => {
  const body =
    'ReplicationGroupId=rg&ReplicationGroupDescription=d&Future.X.1=1&__proto__.polluted=1&constructor.prototype.polluted=1' +
    '&Tags.__proto__.1.__proto__=x&Tags.Tag.1.constructor=1&toString=1';
  const input = decode('CreateReplicationGroup', body);
  expect(input).toEqual({ ReplicationGroupId: 'rg', ReplicationGroupDescription: 'd', Tags: [{}] });
  expect(Object.getPrototypeOf(input)).toBe(Object.prototype);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});

const RG = 'ReplicationGroupId=rg&ReplicationGroupDescription=d';

test.each<[string, OperationName, string]>([
  ['a word for an integer', 'CreateReplicationGroup', `${RG}&NumCacheClusters=abc`],
  ['a fraction for an integer', 'CreateReplicationGroup', `${RG}&NumCacheClusters=1.5`],
  ['hexadecimal', 'CreateReplicationGroup', `${RG}&NumCacheClusters=0x10`],
  ['an empty integer', 'CreateReplicationGroup', `${RG}&NumCacheClusters=`],
  ['beyond 32 bits', 'CreateReplicationGroup', `${RG}&NumCacheClusters=2147483648`],
  ['below 32 bits', 'CreateReplicationGroup', `${RG}&NumCacheClusters=-2147483649`],
  ['a boolean that is neither', 'CreateReplicationGroup', `${RG}&MultiAZEnabled=maybe`],
  ['a timestamp that is a word', 'DescribeEvents', 'StartTime=yesterday'],
  ['a day that is not in the calendar', 'DescribeEvents', 'StartTime=2023-02-30T00:00:00Z'],
  ['month 13', 'DescribeEvents', 'StartTime=2023-13-01T00:00:00Z'],
  ['hour 24', 'DescribeEvents', 'StartTime=2023-01-01T24:00:00Z'],
  ['a missing required member', 'CreateReplicationGroup', 'ReplicationGroupId=rg'],
  ['a missing required list', 'RebootCacheCluster', 'CacheClusterId=c'],
  [
    'a missing required member of a list item',
    'IncreaseReplicaCount',
    'ReplicationGroupId=r&ApplyImmediately=true&ReplicaConfiguration.ConfigureShard.1.NodeGroupId=0001',
  ],
])('InvalidParameterValue: %s', (_, operation, body) => {
  expect(refusal(operation, body)).toMatchObject({ code: 'InvalidParameterValue', httpStatus: 400 });
});

test('a missing member is named with its path', () => {
  expect(
    refusal(
      'IncreaseReplicaCount',
      'ReplicationGroupId=r&ApplyImmediately=true&ReplicaConfiguration.ConfigureShard.1.NodeGroupId=0001',
    ),
  ).toMatchObject({
    message: 'The parameter ReplicaConfiguration.ConfigureShard.1.NewReplicaCount must be provided.',
  });
});

test.each([
  ['a scalar twice', 'NumCacheClusters=1&NumCacheClusters=2'],
  ['the same list item under two item names', 'UserGroupIds.a.1=x&UserGroupIds.b.1=y'],
  ['a list without an index', 'UserGroupIds.member=x'],
  ['a list with a word for an index', 'UserGroupIds.member.x=1'],
  ['index 0', 'UserGroupIds.member.0=x'],
  ['a negative index', 'UserGroupIds.member.-1=x'],
  ['an index above the bound', `UserGroupIds.member.${MAX_LIST_INDEX + 1}=x`],
  ['an index of many digits', `UserGroupIds.member.${'9'.repeat(400)}=x`],
  ['a value for a list', 'UserGroupIds=x'],
  ['a value for a structure', 'NodeGroupConfiguration.member.1=x'],
  ['members for a scalar', 'NumCacheClusters.X=1'],
])('MalformedInput: %s', (_, parameters) => {
  expect(refusal('CreateReplicationGroup', `${RG}&${parameters}`)).toMatchObject({
    code: 'MalformedInput',
    httpStatus: 400,
  });
});

test.each([
  ['more pairs than the bound', 'a=1&'.repeat(MAX_PAIRS + 1)],
  ['a key above the bound', `${'a'.repeat(MAX_KEY_LENGTH + 1)}=1`],
  ['a broken escape', 'a=%zz'],
  ['an escape that is no UTF-8', 'a=%ff'],
])('MalformedQueryString: %s', (_, body) => {
  expect(() => parseForm(bytes(body))).toThrow(expect.objectContaining({ code: 'MalformedQueryString' }));
});

test('bytes that are no UTF-8', () => {
  expect(() => parseForm(new Uint8Array([0x61, 0x3d, 0xff]))).toThrow(
    expect.objectContaining({ code: 'MalformedQueryString' }),
  );
});

test('as many sparse items as a body may hold stay as small as they are', () => {
  const body = Array.from(
    { length: MAX_PAIRS - 2 },
    (_, index) => `UserGroupIds.m.${MAX_LIST_INDEX - index}=x`,
  );
  const input = decode('CreateReplicationGroup', `${RG}&${body.join('&')}`);
  expect(input.UserGroupIds).toHaveLength(MAX_PAIRS - 2);
});

test('doubles, for services that take them', () => {
  const input: StructureShape = {
    kind: 'structure',
    name: 'T',
    members: new Map([['N', { name: 'N', wireName: 'N', required: false, shape: { kind: 'number' } }]]),
  };
  const model = { name: 'T', input, output: undefined };
  expect(decodeQuery(model, [['N', '-1.5e3']], 'double')).toEqual({ N: -1500 });
  for (const text of ['NaN', 'Infinity', '1e999', '', '1'.repeat(100_000)]) {
    expect(() => decodeQuery(model, [['N', text]], 'double')).toThrow('a number');
  }
});
