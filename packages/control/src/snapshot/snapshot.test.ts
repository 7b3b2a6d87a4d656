import { splitEvenly } from '@larder/engine/slots';
import { describe, expect, test } from 'vitest';
import { openSinceMs } from '../request/snapshot-window.ts';
import { automaticName, hasExpired } from './automatic.ts';
import { showSnapshot } from './describe.ts';
import { checkRestore, clusterRequestOf, groupRequestOf, type RestoreTarget } from './restore.ts';
import { saved, settings, snapshot } from './snapshot.test-support.ts';
import { snapshotStatuses } from './snapshot.ts';
import { nextStatus } from './status.ts';

const requests = ['copy-requested', 'restore-requested', 'delete-requested'] as const;

test('what was begun is ended before anything else is done with a snapshot', () => {
  for (const request of requests) {
    const open = snapshotStatuses.filter((status) => nextStatus(status, request) !== 'refuse');
    expect(open).toEqual(request === 'delete-requested' ? ['available', 'failed'] : ['available']);
  }
  for (const event of ['kept', 'given-up'] as const) {
    expect(snapshotStatuses.filter((status) => nextStatus(status, event) !== 'stay')).toEqual([
      'creating',
      'copying',
      'importing',
    ]);
  }
});

describe('the daily window', () => {
  const at = (time: string) => Date.parse(`2026-11-23T${time}:00Z`);

  test.each([
    ['03:00-04:00', '02:59', undefined],
    ['03:00-04:00', '03:00', '2026-11-23T03:00:00.000Z'],
    ['03:00-04:00', '03:59', '2026-11-23T03:00:00.000Z'],
    ['03:00-04:00', '04:00', undefined],
    ['23:30-00:30', '23:45', '2026-11-23T23:30:00.000Z'],
    ['23:30-00:30', '00:15', '2026-11-22T23:30:00.000Z'],
  ])('%s at %s', (window, time, since) => {
    const sinceMs = openSinceMs(window, at(time));
    expect(sinceMs === undefined ? undefined : new Date(sinceMs).toISOString()).toBe(since);
  });

  test('a snapshot has its source and the minute in its name', () => {
    expect(automaticName('shop-001', at('03:04'))).toBe('automatic.shop-001-2026-11-23-03-04');
  });

  test('it is kept for the days asked for now; when none are, for those of its own time; and goes with its source', () => {
    const dayMs = 24 * 3_600_000;
    const of = {
      kind: 'automated',
      createdAtMs: 0,
      settings: { ...settings, snapshotRetentionDays: 3 },
    } as const;
    expect(hasExpired(of, { retentionDays: 2 }, 2 * dayMs - 1)).toBe(false);
    expect(hasExpired(of, { retentionDays: 2 }, 2 * dayMs)).toBe(true);
    expect(hasExpired(of, { retentionDays: 0 }, 3 * dayMs - 1)).toBe(false);
    expect(hasExpired(of, undefined, 0)).toBe(true);
    expect(hasExpired({ ...of, kind: 'manual' }, undefined, 1e15)).toBe(false);
  });
});

const sharded = snapshot({
  status: 'available',
  settings: { ...settings, clusterEnabled: true, parameterGroup: 'default.valkey9.cluster.on' },
  shards: splitEvenly(2).map((range, index) => ({
    id: `000${index + 1}`,
    slots: [range],
    zones: ['us-east-1a', 'us-east-1b'],
    saved,
  })),
});
const single = snapshot({
  status: 'available',
  shards: [{ id: '0001', slots: splitEvenly(1), zones: ['us-east-1a'], saved }],
});
const request = { ReplicationGroupId: 'copy', ReplicationGroupDescription: 'a copy' };

describe('a request for a restored one', () => {
  test('takes over what it leaves out', () => {
    expect(groupRequestOf(single, { ...request, Port: 6400 })).toMatchObject({
      ...request,
      Engine: 'valkey',
      EngineVersion: '9.1.2',
      CacheNodeType: 'cache.t4g.micro',
      CacheParameterGroupName: 'default.valkey9',
      Port: 6400,
      AtRestEncryptionEnabled: true,
    });
    expect(groupRequestOf(sharded, request)).toMatchObject({
      NumNodeGroups: 2,
      CacheParameterGroupName: 'default.valkey9.cluster.on',
      NodeGroupConfiguration: [
        { NodeGroupId: '0001', Slots: '0-8191', ReplicaCount: 1 },
        { NodeGroupId: '0002', Slots: '8192-16383', ReplicaCount: 1 },
      ],
    });
    expect(groupRequestOf(sharded, { ...request, ReplicasPerNodeGroup: 0 })).toMatchObject({
      NodeGroupConfiguration: [{ ReplicaCount: 0 }, { ReplicaCount: 0 }],
    });
  });

  test('has the default parameters of another engine or version', () => {
    for (const change of [{ Engine: 'redis' }, { EngineVersion: '9.2' }]) {
      expect(groupRequestOf(single, { ...request, ...change }).CacheParameterGroupName).toBeUndefined();
    }
    expect(groupRequestOf(single, { ...request, Engine: 'redis' }).EngineVersion).toBeUndefined();
  });

  test('has other shards when it asks for them', () => {
    expect(groupRequestOf(sharded, { ...request, NumNodeGroups: 3 })).toMatchObject({
      NumNodeGroups: 3,
      ReplicasPerNodeGroup: 1,
      CacheParameterGroupName: 'default.valkey9.cluster.on',
    });
    expect(groupRequestOf(sharded, { ...request, NumNodeGroups: 3 }).NodeGroupConfiguration).toBeUndefined();
    const several = groupRequestOf(single, { ...request, NumNodeGroups: 2 });
    expect(several.CacheParameterGroupName).toBeUndefined();
    expect(() => clusterRequestOf(sharded, { CacheClusterId: 'copy' })).toThrow('CreateReplicationGroup');
  });
});

describe('what a snapshot can be restored into', () => {
  const like: RestoreTarget = {
    engine: 'valkey',
    engineVersion: '9.1.2',
    clusterEnabled: false,
    nodeType: 'cache.t4g.micro',
    shards: 1,
  };
  const clusterLike = { ...like, clusterEnabled: true };
  const redis = (version: string) =>
    snapshot({ ...single, settings: { ...settings, engine: 'redis', engineVersion: version } });

  test.each([
    ['the same', single, like],
    ['a newer version', single, { ...like, engineVersion: '9.2.0' }],
    ['one shard with cluster mode', single, clusterLike],
    ['the same shards', sharded, { ...clusterLike, shards: 2 }],
    ['more shards', single, { ...clusterLike, shards: 2 }],
    ['fewer shards', sharded, clusterLike],
    ['Valkey, from Redis', redis('7.0.15'), like],
  ])('%s', (_, from, target) => {
    expect(() => checkRestore(from, target)).not.toThrow();
  });

  test.each([
    ['an older version', single, { ...like, engineVersion: '8.1.1' }, 'older'],
    [
      'Redis, from Valkey',
      single,
      { ...like, engine: 'redis', engineVersion: '7.0.15' },
      "can't be restored",
    ],
    ['Valkey, from a Redis of another format', redis('8.0.2'), like, "can't be restored"],
    ['Memcached', single, { ...like, engine: 'memcached' }, "can't be restored"],
    ['no cluster mode, from several shards', sharded, like, 'cluster mode'],
    [
      'fewer shards than its data needs',
      snapshot({
        ...sharded,
        shards: sharded.shards.map((each) => ({ ...each, saved: { ...saved, usedMemoryBytes: 2 ** 29 } })),
      }),
      clusterLike,
      'bytes of memory',
    ],
    [
      'cluster mode, with other databases',
      snapshot({ ...single, shards: [{ ...single.shards[0]!, saved: { ...saved, databases: [0, 3] } }] }),
      clusterLike,
      'database 3',
    ],
  ] as const)('not %s', (_, from, target, message) => {
    expect(() => checkRestore(from, target as RestoreTarget)).toThrow(message);
  });
});

test('as ElastiCache shows it', () => {
  const owner = { region: 'us-east-1', accountId: '000000000000' };
  expect(showSnapshot(sharded, owner, { withConfiguration: true, use: 'restoring' })).toMatchObject({
    SnapshotName: 'kept',
    ReplicationGroupId: 'shop',
    SnapshotStatus: 'restoring',
    SnapshotSource: 'manual',
    EngineVersion: '9.1',
    NumNodeGroups: 2,
    AutomaticFailover: 'enabled',
    ARN: 'arn:aws:elasticache:us-east-1:000000000000:snapshot:kept',
    NodeSnapshots: [
      {
        NodeGroupId: '0001',
        CacheClusterId: 'shop-002',
        CacheSize: '4 MB',
        NodeGroupConfiguration: {
          Slots: '0-8191',
          ReplicaCount: 1,
          ReplicaAvailabilityZones: ['us-east-1b'],
        },
      },
      { NodeGroupId: '0002' },
    ],
  });
  const member = snapshot({ origin: { resource: 'replication-group', id: 'shop', member: 'shop-002' } });
  const shown = showSnapshot(member, owner);
  expect(shown).toMatchObject({ CacheClusterId: 'shop-002', NumCacheNodes: 1, SnapshotStatus: 'creating' });
  expect(shown).not.toHaveProperty('ReplicationGroupId');
  expect(shown.NodeSnapshots![0]).not.toHaveProperty('NodeGroupConfiguration');
});
