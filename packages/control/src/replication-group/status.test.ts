import { describe, expect, test } from 'vitest';
import { cacheClusterStatuses } from '../cache-cluster/cache-cluster.ts';
import { nextStatus as nextClusterStatus } from '../cache-cluster/status.ts';
import { replicationGroupStatuses } from './replication-group.ts';
import { nextStatus } from './status.ts';

const groupEvents = [
  'converged',
  'unable-to-create',
  'modify-requested',
  'snapshot-requested',
  'snapshot-ended',
  'migration-requested',
  'delete-requested',
] as const;
const clusterEvents = [
  ...groupEvents.filter((event) => event !== 'migration-requested'),
  'reboot-requested',
  'unable-to-restore',
] as const;

interface Resource {
  readonly title: string;
  readonly statuses: readonly string[];
  readonly events: readonly string[];
  readonly next: (status: string, event: string) => string;
}

const resources: readonly Resource[] = [
  {
    title: 'replication group',
    statuses: replicationGroupStatuses,
    events: groupEvents,
    next: nextStatus as Resource['next'],
  },
  {
    title: 'cache cluster',
    statuses: cacheClusterStatuses,
    events: clusterEvents,
    next: nextClusterStatus as Resource['next'],
  },
];

describe.each(resources)('the statuses of a $title', ({ statuses, events, next }) => {
  test('every one answers every event with a status, stay or refuse', () => {
    for (const status of statuses) {
      for (const event of events) {
        expect([...statuses, 'stay', 'refuse']).toContain(next(status, event));
      }
    }
  });

  test('what was under way becomes available, and a deletion never ends otherwise', () => {
    const underWay = statuses.filter(
      (status) =>
        !['available', 'snapshotting', 'migrating', 'deleting', 'create-failed', 'restore-failed'].includes(
          status,
        ),
    );
    expect(statuses.filter((status) => next(status, 'converged') === 'available')).toEqual(underWay);
    for (const event of events) expect(['stay', 'refuse']).toContain(next('deleting', event));
  });

  test('a snapshot is over when it ended, whatever the nodes do meanwhile', () => {
    expect(statuses.filter((status) => next(status, 'snapshot-ended') !== 'stay')).toEqual(['snapshotting']);
    expect(next('snapshotting', 'snapshot-ended')).toBe('available');
    expect(next('snapshotting', 'converged')).toBe('stay');
  });

  test('nothing but an available one is changed', () => {
    const changing = events.filter((event) => event !== 'delete-requested' && event.endsWith('-requested'));
    for (const event of changing) {
      expect(statuses.filter((status) => next(status, event) !== 'refuse')).toEqual(['available']);
    }
  });

  test('everything but a deletion can be deleted', () => {
    expect(statuses.filter((status) => next(status, 'delete-requested') !== 'deleting')).toEqual([
      'deleting',
    ]);
  });
});
