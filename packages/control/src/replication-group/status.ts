/** (pure) Which status follows which, for every status and event. */
import type { ReplicationGroupStatus } from './replication-group.ts';

export type StatusEvent =
  | 'converged'
  | 'unable-to-create'
  | 'modify-requested'
  | 'snapshot-requested'
  | 'snapshot-ended'
  | 'migration-requested'
  | 'delete-requested';

/** `refuse`: the request is answered with InvalidReplicationGroupState. `stay`: nothing changes. */
type Answer = ReplicationGroupStatus | 'refuse' | 'stay';

const table = {
  creating: {
    converged: 'available',
    'unable-to-create': 'create-failed',
    'modify-requested': 'refuse',
    'snapshot-requested': 'refuse',
    'snapshot-ended': 'stay',
    'migration-requested': 'refuse',
    'delete-requested': 'deleting',
  },
  // A lost node does not leave `available`: the group serves, and repairs itself.
  available: {
    converged: 'stay',
    'unable-to-create': 'stay',
    'modify-requested': 'modifying',
    'snapshot-requested': 'snapshotting',
    'snapshot-ended': 'stay',
    'migration-requested': 'migrating',
    'delete-requested': 'deleting',
  },
  modifying: {
    converged: 'available',
    'unable-to-create': 'stay',
    'modify-requested': 'refuse',
    'snapshot-requested': 'refuse',
    'snapshot-ended': 'stay',
    'migration-requested': 'refuse',
    'delete-requested': 'deleting',
  },
  snapshotting: {
    converged: 'stay',
    'unable-to-create': 'stay',
    'modify-requested': 'refuse',
    'snapshot-requested': 'refuse',
    'snapshot-ended': 'available',
    'migration-requested': 'refuse',
    'delete-requested': 'deleting',
  },
  // It ends when the source was left, whatever else is seen.
  migrating: {
    converged: 'stay',
    'unable-to-create': 'stay',
    'modify-requested': 'refuse',
    'snapshot-requested': 'refuse',
    'snapshot-ended': 'stay',
    'migration-requested': 'refuse',
    'delete-requested': 'deleting',
  },
  deleting: {
    converged: 'stay',
    'unable-to-create': 'stay',
    'modify-requested': 'refuse',
    'snapshot-requested': 'refuse',
    'snapshot-ended': 'stay',
    'migration-requested': 'refuse',
    'delete-requested': 'refuse',
  },
  'create-failed': {
    converged: 'stay',
    'unable-to-create': 'stay',
    'modify-requested': 'refuse',
    'snapshot-requested': 'refuse',
    'snapshot-ended': 'stay',
    'migration-requested': 'refuse',
    'delete-requested': 'deleting',
  },
} as const satisfies Record<ReplicationGroupStatus, Record<StatusEvent, Answer>>;

export function nextStatus(status: ReplicationGroupStatus, event: StatusEvent): Answer {
  return table[status][event];
}
