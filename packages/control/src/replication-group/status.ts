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

/** While something is under way only a deletion may come. */
const busy = {
  converged: 'stay',
  'unable-to-create': 'stay',
  'modify-requested': 'refuse',
  'snapshot-requested': 'refuse',
  'snapshot-ended': 'stay',
  'migration-requested': 'refuse',
  'delete-requested': 'deleting',
} as const;

const table = {
  creating: { ...busy, converged: 'available', 'unable-to-create': 'create-failed' },
  // A lost node does not leave `available`: the group serves, and repairs itself.
  available: {
    ...busy,
    'modify-requested': 'modifying',
    'snapshot-requested': 'snapshotting',
    'migration-requested': 'migrating',
  },
  modifying: { ...busy, converged: 'available' },
  snapshotting: { ...busy, 'snapshot-ended': 'available' },
  // It ends when the source was left, whatever else is seen.
  migrating: busy,
  deleting: { ...busy, 'delete-requested': 'refuse' },
  'create-failed': busy,
} as const satisfies Record<ReplicationGroupStatus, Record<StatusEvent, Answer>>;

export function nextStatus(status: ReplicationGroupStatus, event: StatusEvent): Answer {
  return table[status][event];
}
