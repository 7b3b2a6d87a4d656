/** Performs one step about shards and their slots. Makes no choices, and is safe to repeat. */
import type { ExecuteDeps } from './execute.ts';
import { closing, giveBackSlots, moveSlots } from './move-slots.ts';
import { type NodeGroup, nodeIdOf, type ReplicationGroup } from './replication-group.ts';
import type { ShardStep } from './step.ts';

/** @returns the group as it is after the step. @throws what the host or the engine answered. */
export async function executeShardStep(
  deps: ExecuteDeps,
  group: ReplicationGroup,
  step: ShardStep,
): Promise<ReplicationGroup> {
  const order = { group: group.id, epoch: group.epoch };
  const send = (member: string, commands: string[][]) =>
    deps.host.command(nodeIdOf({ id: member }), order, commands);

  switch (step.kind) {
    case 'copy-functions': {
      const [libraries] = (await send(step.from, [['FUNCTION', 'LIST', 'WITHCODE']])) as [unknown[]];
      const codes = libraries.map(codeOf).filter((code) => code !== undefined);
      if (codes.length > 0) {
        await send(
          step.member,
          codes.map((code) => ['FUNCTION', 'LOAD', 'REPLACE', code]),
        );
      }
      return group;
    }
    case 'form-shards':
      await deps.records.markShardsFormed(group, step.nodeGroups);
      return {
        ...group,
        nodeGroups: group.nodeGroups.map((each) =>
          step.nodeGroups.includes(each.id) ? { ...each, formed: true } : each,
        ),
      };
    case 'migrate-slots':
      await send(step.member, [
        [
          'CLUSTER',
          'MIGRATESLOTS',
          ...step.moves.flatMap(({ slots, targetClusterNodeId }) => [
            'SLOTSRANGE',
            ...slots.flatMap(({ first, last }) => [String(first), String(last)]),
            'NODE',
            targetClusterNodeId,
          ]),
        ],
      ]);
      return group;
    case 'cancel-slot-migrations':
      await send(step.member, [['CLUSTER', 'CANCELSLOTMIGRATIONS']]);
      return group;
    case 'move-slots':
      await moveSlots(deps, group, step);
      return group;
    case 'give-back-slots':
      await giveBackSlots(deps, group, step);
      return group;
    case 'close-slots':
      await send(step.member, closing(step.slots));
      return group;
    case 'dismiss-shard':
      await deps.records.dismissShard(group, step.nodeGroup);
      return changed(group, step.nodeGroup, (nodeGroup) => ({
        ...nodeGroup,
        members: nodeGroup.members.map((member) => ({ ...member, status: 'deleting' as const })),
      }));
    case 'forget-shard':
      await deps.records.forgetShard(group, step.nodeGroup);
      return { ...group, nodeGroups: group.nodeGroups.filter(({ id }) => id !== step.nodeGroup) };
    case 'end-resharding':
      await deps.records.endResharding(group);
      return {
        ...group,
        nodeGroups: group.nodeGroups.map(({ resharding: _, ...nodeGroup }) => nodeGroup),
      };
  }
}

function changed(
  group: ReplicationGroup,
  id: string,
  change: (nodeGroup: NodeGroup) => NodeGroup,
): ReplicationGroup {
  return { ...group, nodeGroups: group.nodeGroups.map((each) => (each.id === id ? change(each) : each)) };
}

/** Of one library in the reply of FUNCTION LIST: names and values in turn. */
function codeOf(library: unknown): string | undefined {
  if (!Array.isArray(library)) return undefined;
  const at = library.indexOf('library_code');
  return at < 0 ? undefined : String(library[at + 1]);
}
