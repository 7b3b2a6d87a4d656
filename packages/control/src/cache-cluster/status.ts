/** (pure) Which status follows which, for every status and event. */
import type { CacheClusterStatus } from './cache-cluster.ts';

export type StatusEvent =
  | 'converged'
  | 'unable-to-create'
  | 'unable-to-restore'
  | 'modify-requested'
  | 'reboot-requested'
  | 'snapshot-requested'
  | 'snapshot-ended'
  | 'delete-requested';

/** `refuse`: the request is answered with InvalidCacheClusterState. `stay`: nothing changes. */
type Answer = CacheClusterStatus | 'refuse' | 'stay';

/** While something is under way only a deletion may come. */
const busy = {
  converged: 'available',
  'unable-to-create': 'stay',
  'unable-to-restore': 'stay',
  'modify-requested': 'refuse',
  'reboot-requested': 'refuse',
  'snapshot-requested': 'refuse',
  'snapshot-ended': 'stay',
  'delete-requested': 'deleting',
} as const;

const table = {
  creating: { ...busy, 'unable-to-create': 'create-failed', 'unable-to-restore': 'restore-failed' },
  // A node that ended is started again, empty: a cache without replicas has nothing to copy from.
  available: {
    converged: 'stay',
    'unable-to-create': 'stay',
    'unable-to-restore': 'stay',
    'modify-requested': 'modifying',
    'reboot-requested': 'rebooting cluster nodes',
    'snapshot-requested': 'snapshotting',
    'snapshot-ended': 'stay',
    'delete-requested': 'deleting',
  },
  modifying: busy,
  'rebooting cluster nodes': busy,
  snapshotting: { ...busy, converged: 'stay', 'snapshot-ended': 'available' },
  deleting: { ...busy, converged: 'stay', 'delete-requested': 'refuse' },
  'create-failed': { ...busy, converged: 'stay' },
  'restore-failed': { ...busy, converged: 'stay' },
} as const satisfies Record<CacheClusterStatus, Record<StatusEvent, Answer>>;

export function nextStatus(status: CacheClusterStatus, event: StatusEvent): Answer {
  return table[status][event];
}
