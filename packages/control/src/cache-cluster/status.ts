/** (pure) Which status follows which, for every status and event. */
import type { CacheClusterStatus } from './cache-cluster.ts';

export type StatusEvent = 'converged' | 'unable-to-create' | 'delete-requested';
type Answer = CacheClusterStatus | 'refuse' | 'stay';

const table = {
  creating: { converged: 'available', 'unable-to-create': 'create-failed', 'delete-requested': 'deleting' },
  // A node that ended is started again, empty: a cache without replicas has nothing to copy from.
  available: { converged: 'stay', 'unable-to-create': 'stay', 'delete-requested': 'deleting' },
  deleting: { converged: 'stay', 'unable-to-create': 'stay', 'delete-requested': 'refuse' },
  'create-failed': { converged: 'stay', 'unable-to-create': 'stay', 'delete-requested': 'deleting' },
} as const satisfies Record<CacheClusterStatus, Record<StatusEvent, Answer>>;

export function nextStatus(status: CacheClusterStatus, event: StatusEvent): Answer {
  return table[status][event];
}
