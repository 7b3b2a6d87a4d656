/** (pure) What is done about a member that is to run and does not answer: it is waited for or, when it hangs, ended. */
import { type Copies, mayEnd } from '../node/hang.ts';
import type { NodeGroup } from './replication-group.ts';
import { isLost, type SeenMember } from './seen-member.ts';
import type { Step } from './step.ts';
import { chooseSuccessor } from './successor.ts';

/** @param copies whether others have what it holds. */
export function planSilent(
  { member, process }: Pick<SeenMember, 'member' | 'process'>,
  copies: Copies,
  steps: Step[],
  waitingFor: string[],
): void {
  if (process.kind !== 'running' || process.hang === undefined) {
    waitingFor.push(`${member.id} to answer`);
    return;
  }
  const { incarnation, hang } = process;
  if (!mayEnd(hang, copies)) {
    waitingFor.push(`${member.id} to answer: it is ${hang.how}, and nobody else has what it holds`);
    return;
  }
  steps.push({
    kind: 'kill-node',
    member: member.id,
    incarnation,
    because: `it did not answer for ${hang.silentMs} ms: it is ${hang.how}`,
  });
}

/** A primary that was ended can be followed by somebody who has all it had. */
export function planSilentPrimary(
  nodeGroup: Pick<NodeGroup, 'lineage'>,
  primary: SeenMember,
  others: readonly SeenMember[],
  steps: Step[],
  waitingFor: string[],
): void {
  const followed = chooseSuccessor(primary, nodeGroup.lineage, others).kind === 'promote';
  // The only node of its shard may be ended when it was asked to restart.
  const given = others.length === 0 && primary.outdated;
  planSilent(primary, followed || given ? 'elsewhere' : 'none', steps, waitingFor);
}

/** Who may hold the only data of a shard without a primary. */
export function planSilentHeirs(others: readonly SeenMember[], steps: Step[], waitingFor: string[]): void {
  for (const each of others) {
    if (!isLost(each) && each.engine === undefined) planSilent(each, 'none', steps, waitingFor);
  }
}
