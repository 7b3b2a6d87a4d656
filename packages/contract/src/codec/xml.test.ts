import { expect, test } from 'vitest';
import { elastiCache, type OperationName, operationModel } from '../elasticache/model.ts';
import { serviceError } from '../errors.ts';
import { encodeError } from './error-body.ts';
import { encodeResponse, escapeXml } from './xml.ts';

const encode = (operation: OperationName, output: unknown) =>
  encodeResponse(operationModel(operation), output, 'id-1', elastiCache.xmlNamespace);

test('the wrapper, the modelled item names, and nothing for what is undefined', () => {
  const xml = encode('CreateReplicationGroup', {
    ReplicationGroup: {
      ReplicationGroupId: 'rg',
      Description: undefined,
      MemberClusters: ['rg-001'],
      NodeGroups: [],
      ClusterEnabled: false,
      SnapshotRetentionLimit: 0,
      ReplicationGroupCreateTime: new Date('2015-02-02T18:22:18.202Z'),
      NotInTheModel: 'x',
    },
  });
  expect(xml).toBe(
    '<CreateReplicationGroupResponse xmlns="http://elasticache.amazonaws.com/doc/2015-02-02/">' +
      '<CreateReplicationGroupResult><ReplicationGroup><ReplicationGroupId>rg</ReplicationGroupId>' +
      '<MemberClusters><ClusterId>rg-001</ClusterId></MemberClusters><NodeGroups></NodeGroups>' +
      '<SnapshotRetentionLimit>0</SnapshotRetentionLimit><ClusterEnabled>false</ClusterEnabled>' +
      '<ReplicationGroupCreateTime>2015-02-02T18:22:18.202Z</ReplicationGroupCreateTime></ReplicationGroup>' +
      '</CreateReplicationGroupResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>' +
      '</CreateReplicationGroupResponse>',
  );
});

test('an operation that returns nothing has no result element', () => {
  expect(encode('DeleteCacheSubnetGroup', undefined)).toBe(
    '<DeleteCacheSubnetGroupResponse xmlns="http://elasticache.amazonaws.com/doc/2015-02-02/">' +
      '<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></DeleteCacheSubnetGroupResponse>',
  );
});

test('list item names that differ from what one would guess', () => {
  const pending = { PendingModifiedValues: { LogDeliveryConfigurations: [{ LogType: 'slow-log' }] } };
  expect(encode('ModifyReplicationGroup', { ReplicationGroup: pending })).toContain(
    '<LogDeliveryConfigurations><member><LogType>',
  );
  expect(encode('AddTagsToResource', { TagList: [{ Key: 'k' }] })).toContain(
    '<AddTagsToResourceResult><TagList><Tag><Key>k</Key></Tag></TagList></AddTagsToResourceResult>',
  );
  expect(encode('DescribeUsers', { Users: [{ UserId: 'u' }] })).toContain('<Users><member><UserId>');
});

test('a value of the wrong type is a mistake of the handler, named by its path', () => {
  expect(() => encode('DescribeUsers', { Users: [{ UserId: 7 }] })).toThrow(
    new TypeError("DescribeUsers.Users[0].UserId: a string can't be written from a number"),
  );
  expect(() => encode('DescribeUsers', { Users: 'all' })).toThrow(TypeError);
  expect(() => encode('DescribeUsers', undefined)).toThrow(TypeError);
});

test('escaping keeps what XML can hold and replaces what it cannot', () => {
  expect(escapeXml(`<a b="c" d='e'>&`)).toBe('&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;');
  expect(escapeXml('\t\n\r')).toBe('&#x9;&#xA;&#xD;');
  expect(escapeXml('\u0085\u2028')).toBe('&#x85;&#x2028;');
  expect(escapeXml('a\u0000\u001b\ufffeb')).toBe('a\ufffd\ufffd\ufffdb');
  expect(escapeXml('\ud800x\u{1f600}')).toBe('\ufffdx\u{1f600}');
});

test('an error in each protocol', () => {
  const error = serviceError('CacheClusterNotFoundFault', 'no <x>', { hint: 'Create it.' });
  const query = encodeError(error, 'id-1', { kind: 'query', xmlNamespace: elastiCache.xmlNamespace });
  expect(query.body).toBe(
    '<ErrorResponse xmlns="http://elasticache.amazonaws.com/doc/2015-02-02/"><Error><Type>Sender</Type>' +
      '<Code>CacheClusterNotFound</Code><Message>no &lt;x&gt; Create it.</Message></Error>' +
      '<RequestId>id-1</RequestId></ErrorResponse>',
  );
  const json = encodeError(error, 'id-1', { kind: 'json-1.0' });
  expect(json.headers['x-amzn-query-error']).toBe('CacheClusterNotFound;Sender');
  expect(JSON.parse(String(json.body))).toEqual({
    __type: 'CacheClusterNotFound',
    message: 'no <x> Create it.',
  });
});
