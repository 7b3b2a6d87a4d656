/**
 * (pure) From whom a replica that has nothing takes its data. A process is copied by a fork, which holds up whoever it
 * serves for about 30 ms per GB: so it is taken from a replica where there is one, and the primary is followed from where
 * that copy ends, which costs it nothing. Replicas pass the primary's own stream on, under the same history and offsets.
 */
import { isLost, type SeenMember, streams } from './seen-member.ts';

export type Donor =
  | { readonly kind: 'member'; readonly seen: SeenMember }
  | { readonly kind: 'soon'; readonly seen: SeenMember };

/** A replica that lost its primary for longer than this is not waited for. */
const reattachSeconds = 3;

/**
 * `soon`: a whole replica is about to follow the leader, and is worth the wait; the primary itself is what is left.
 *
 * @param all the shard's members; @param leader who is the primary, or becomes it by the plan under way.
 */
export function donorFor(taker: SeenMember, leader: SeenMember, all: readonly SeenMember[]): Donor {
  const others = all.filter((each) => each !== taker && each !== leader && mayGive(each, leader));
  const ready = others.find((each) => streams(leader, each));
  if (ready !== undefined) return { kind: 'member', seen: ready };
  const soon = others.find(
    ({ engine }) => (engine?.info.replication.primary?.linkDownSeconds ?? 0) <= reattachSeconds,
  );
  return soon === undefined ? { kind: 'member', seen: leader } : { kind: 'soon', seen: soon };
}

/** Whether it takes its data from another replica just now. */
export function takesFrom(
  { engine, member }: SeenMember,
  leader: SeenMember,
  all: readonly SeenMember[],
): SeenMember | undefined {
  const primary = engine?.info.replication.primary;
  if (primary === undefined || primary.linkUp) return undefined;
  return all.find(
    (each) =>
      each !== leader &&
      each.member.id !== member.id &&
      each.member.address === primary.address &&
      each.replicationPort === primary.port &&
      streams(leader, each),
  );
}

/** It has a whole copy, in the leader's format: an older engine can't read a newer one's. */
function mayGive({ member, process, engine }: SeenMember, leader: SeenMember): boolean {
  if (engine === undefined || isLost({ process }) || member.status === 'deleting') return false;
  const { version, loading, replication } = engine.info;
  return (
    version === leader.engine?.info.version &&
    !loading &&
    replication.role === 'replica' &&
    !replication.syncInProgress &&
    (replication.primary?.linkUp === true || replication.primary?.linkDownSeconds !== undefined)
  );
}
