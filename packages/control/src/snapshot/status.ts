/** (pure) Which status of a snapshot follows which, for every status and event. */
import type { SnapshotStatus } from './snapshot.ts';

export type StatusEvent = 'kept' | 'given-up' | 'copy-requested' | 'restore-requested' | 'delete-requested';

/** `refuse`: the request is answered with InvalidSnapshotState. `stay`: nothing changes. */
type Answer = SnapshotStatus | 'refuse' | 'stay';

/** What was begun is ended before anything else is done with it. */
const underWay = {
  kept: 'available',
  'given-up': 'failed',
  'copy-requested': 'refuse',
  'restore-requested': 'refuse',
  'delete-requested': 'refuse',
} as const;

const table = {
  creating: underWay,
  copying: underWay,
  importing: underWay,
  available: {
    kept: 'stay',
    'given-up': 'stay',
    'copy-requested': 'stay',
    'restore-requested': 'stay',
    'delete-requested': 'deleting',
  },
  deleting: { ...underWay, kept: 'stay', 'given-up': 'stay' },
  failed: { ...underWay, kept: 'stay', 'given-up': 'stay', 'delete-requested': 'deleting' },
} as const satisfies Record<SnapshotStatus, Record<StatusEvent, Answer>>;

export function nextStatus(status: SnapshotStatus, event: StatusEvent): Answer {
  return table[status][event];
}
