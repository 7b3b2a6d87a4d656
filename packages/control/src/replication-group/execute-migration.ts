/** Performs one step of taking on data from elsewhere. Makes no choices, and is safe to repeat. */
import { recordEvent } from '../event-log/event-log.ts';
import type { ExecuteDeps } from './execute.ts';
import { memberOfGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { MigrationStep } from './step.ts';
import { changeStatus, setMigration } from './store.ts';

/** @returns the group as it is after the step. @throws what the host or the engine answered. */
export async function executeMigrationStep(
  deps: ExecuteDeps,
  group: ReplicationGroup,
  step: MigrationStep,
): Promise<ReplicationGroup> {
  const migration = group.migration;
  if (migration === undefined) return group;
  const { address, port } = migration.source;
  const order = { group: group.id, epoch: group.epoch };
  const event = (message: string) => ({
    atMs: deps.nowMs(),
    sourceType: 'replication-group' as const,
    sourceId: group.id,
    message,
  });
  switch (step.kind) {
    case 'follow-source':
      await deps.host.command(nodeIdOf({ id: step.member }), order, [
        // Our own replicas' login is unknown there, and a node's loopback address reaches no other machine.
        ['CONFIG', 'SET', 'masteruser', '', 'masterauth', '', 'bind-source-addr', ''],
        ['REPLICAOF', address, String(port)],
      ]);
      return group;
    case 'leave-source': {
      const { user, password } = deps.wanted(step.member).replication;
      const own = memberOfGroup(group, step.member).address;
      await deps.host.command(nodeIdOf({ id: step.member }), order, [
        ['CONFIG', 'SET', 'masteruser', user, 'masterauth', password, 'bind-source-addr', own],
        ['REPLICAOF', 'NO', 'ONE'],
      ]);
      return group;
    }
    case 'note-source': {
      const noted = { ...migration, inSync: step.inSync };
      await deps.database.transaction().execute(async (transaction) => {
        await setMigration(transaction, group.id, noted);
        await recordEvent(
          transaction,
          event(
            step.inSync
              ? `The data of ${address}:${port} is in sync with replication group ${group.id}`
              : `The connection of replication group ${group.id} to ${address}:${port} was lost; it is tried again`,
          ),
        );
      });
      return { ...group, migration: noted };
    }
    case 'end-migration': {
      await deps.database.transaction().execute(async (transaction) => {
        await setMigration(transaction, group.id, undefined);
        if (!(await changeStatus(transaction, group.id, { from: 'migrating', to: 'available' }))) return;
        await recordEvent(transaction, event(`Complete Migration successful for ${group.id}`));
      });
      const { migration: _, ...rest } = group;
      return { ...rest, status: 'available' };
    }
  }
}
