/** How far the source of a migration has got, where the planner waits for it. */
import { askForeignNode } from '@larder/fleet/foreign-node';
import type { ReplicationGroup } from './replication-group.ts';
import type { PlanInput } from './seen-member.ts';

/** Asked after our own node was: what we have seen there is then no more than what we have. */
export async function sourceOf({ migration }: ReplicationGroup): Promise<Pick<PlanInput, 'sourceOffset'>> {
  if (migration?.completing !== 'in-sync') return {};
  const { address, port } = migration.source;
  try {
    return { sourceOffset: (await askForeignNode(address, port)).offset };
  } catch {
    return {};
  }
}
