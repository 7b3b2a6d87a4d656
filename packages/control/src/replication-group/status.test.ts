import { describe, expect, test } from 'vitest';
import { cacheClusterStatuses } from '../cache-cluster/cache-cluster.ts';
import { nextStatus as nextClusterStatus } from '../cache-cluster/status.ts';
import { replicationGroupStatuses } from './replication-group.ts';
import { nextStatus } from './status.ts';

const events = ['converged', 'unable-to-create', 'delete-requested'] as const;

describe.each([
  ['replication group', replicationGroupStatuses, nextStatus],
  ['cache cluster', cacheClusterStatuses, nextClusterStatus],
] as const)('the statuses of a %s', (_, statuses, next) => {
  test('every one answers every event with a status, stay or refuse', () => {
    for (const status of statuses) {
      for (const event of events) {
        expect([...statuses, 'stay', 'refuse']).toContain(next(status, event));
      }
    }
  });

  test('only a creation becomes available, and a deletion never ends otherwise', () => {
    expect(statuses.filter((status) => next(status, 'converged') === 'available')).toEqual(['creating']);
    for (const event of events) expect(['stay', 'refuse']).toContain(next('deleting', event));
  });

  test('everything but a deletion can be deleted', () => {
    expect(statuses.filter((status) => next(status, 'delete-requested') !== 'deleting')).toEqual([
      'deleting',
    ]);
  });
});
