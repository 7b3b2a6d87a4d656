/** Changes that were accepted for the maintenance window. */
import type { Database } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { mergeChange } from '../node/service-intent.ts';
import { nextStatus } from './status.ts';
import { changeStatus, readReplicationGroup, writeIntent } from './store.ts';

/** Makes them part of what is asked for now. */
export async function applyPending(
  { database, nowMs }: { readonly database: Database; readonly nowMs: () => number },
  id: string,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const group = await readReplicationGroup(transaction, id);
    if (group?.pending === undefined) return;
    const status = nextStatus(group.status, 'modify-requested');
    // Something else began meanwhile: they wait for its end.
    if (status === 'refuse' || status === 'stay') return;
    const { pending, ...rest } = group;
    await writeIntent(transaction, { ...rest, intent: mergeChange(group.intent, pending) });
    await changeStatus(transaction, id, { from: group.status, to: status });
    await recordEvent(transaction, {
      atMs: nowMs(),
      sourceType: 'replication-group',
      sourceId: id,
      message: `The maintenance window of replication group ${id} began: its pending changes are applied`,
    });
  });
}
