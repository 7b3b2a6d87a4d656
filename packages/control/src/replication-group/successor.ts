/** (pure) Who follows a lost primary. */
import { mayHoldData, type SeenMember } from './seen-member.ts';

export type Succession =
  | { readonly kind: 'promote'; readonly member: string; readonly because: string }
  /** Somebody may have the data but does not answer yet. */
  | { readonly kind: 'wait'; readonly because: string }
  /** Nobody has anything: the node may start again in its place, empty. */
  | { readonly kind: 'start-empty'; readonly because: string };

/**
 * Chooses among the shard's other members: those that have the lost primary's own history first, the most
 * advanced of them, in another zone when equal. A copy of another or an unfinished history is better than an
 * empty primary, which would make every replica empty too, and comes after all whole ones.
 */
export function chooseSuccessor(
  lost: SeenMember,
  lineage: string | undefined,
  others: readonly SeenMember[],
): Succession {
  const answering = others.filter(({ engine }) => engine !== undefined && !engine.info.loading);

  const ranked = answering
    .map((candidate) => {
      const { replication, keys } = candidate.engine!.info;
      const sameHistory =
        lineage !== undefined &&
        (replication.replicationId === lineage || replication.previousReplicationId === lineage);
      const whole = sameHistory && !replication.syncInProgress;
      return {
        id: candidate.member.id,
        whole,
        keys,
        offset: replication.offset,
        otherZone: candidate.member.zone !== lost.member.zone,
      };
    })
    .filter(({ whole, keys }) => whole || keys > 0)
    .sort(
      (a, b) =>
        Number(b.whole) - Number(a.whole) ||
        b.offset - a.offset ||
        Number(b.otherZone) - Number(a.otherZone) ||
        a.id.localeCompare(b.id),
    );

  const best = ranked[0];
  if (best?.whole === true) {
    return { kind: 'promote', member: best.id, because: `it has the primary's history up to ${best.offset}` };
  }
  if ([lost, ...others].some(mayHoldData)) {
    return { kind: 'wait', because: 'an answer of the other members: one of them may hold the data' };
  }
  if (best !== undefined) {
    return { kind: 'promote', member: best.id, because: 'no whole copy is left; this one holds keys' };
  }
  return { kind: 'start-empty', because: 'no other member holds any data' };
}
