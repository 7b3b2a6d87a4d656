/** Performs one step of taking on data from elsewhere. Makes no choices, and is safe to repeat. */
import type { ExecuteDeps } from './execute.ts';
import { memberOfGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { MigrationStep } from './step.ts';

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
      await deps.records.noteSource(group, noted);
      return { ...group, migration: noted };
    }
    case 'end-migration': {
      await deps.records.endMigration(group);
      const { migration: _, ...rest } = group;
      return { ...rest, status: 'available' };
    }
  }
}
