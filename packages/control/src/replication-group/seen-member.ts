/** (pure) A member as a planner sees it: what was decided about it beside what was observed. */
import type { NodeObservation, NodeProcess } from '@larder/fleet/host';
import type { Route } from '@larder/fleet/router/route-table';
import {
  type Member,
  type NodeGroup,
  nodeIdOf,
  type ReplicationGroup,
  replicationPort,
} from './replication-group.ts';
import type { Fence, Step } from './step.ts';

export interface PlanInput {
  readonly group: ReplicationGroup;
  /** By node id. A node that is missing was not asked about: a mistake of the caller. */
  readonly observations: ReadonlyMap<string, NodeObservation>;
  /** Nodes whose process keeps ending are not started again before this time. */
  readonly earliestStartMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
  /** What stands between clients and engines, and what it serves for the group now. */
  readonly front: Front;
  /** How far a migration's source has got; asked when it is to end with everything, and missing without an answer. */
  readonly sourceOffset?: number;
}

export interface Front {
  /** Undefined: clients reach the engines themselves, and endpoints are addresses that engines listen on. */
  readonly routeTo?: (target: RouteTarget) => Route;
  /**
   * Where clients reach the engines themselves, and the router can still spread those of the reader endpoint over
   * several nodes. Undefined: it can't, or does not run yet.
   */
  readonly spreadOver?: (target: SpreadTarget) => Route;
  readonly routes: readonly Route[];
}

/** An address that clients know, and the node that is to answer there, or several of which any may. */
export interface RouteTarget {
  readonly listenAddress: string;
  readonly nodeAddress: string;
  readonly moreAddresses?: readonly string[];
}

export interface SpreadTarget {
  readonly listenAddress: string;
  readonly nodeAddresses: readonly string[];
  /** Answers when none of them does. */
  readonly fallbackAddress: string;
}

/** What the planners of both modes ask about one member. */
export interface SeenMember {
  readonly member: Member;
  readonly process: NodeProcess;
  /** Runs and answered just now. */
  readonly engine: NodeObservation['engine'];
  /** Its process is of an older version or generation than it is to be. */
  readonly outdated: boolean;
  readonly keptData: NodeObservation['keptData'];
  /** Where replicas reach it. */
  readonly replicationPort: number;
}

export function seeMember({ observations, group }: PlanInput, member: Member): SeenMember {
  const seen = observations.get(nodeIdOf(member));
  if (seen === undefined) throw new Error(`No observation of ${nodeIdOf(member)}.`);
  const { started } = seen;
  const outdated =
    started !== undefined &&
    ((started.version !== group.intent.engineVersion && group.intent.holdsVersions !== true) ||
      started.generation < member.generation);
  return {
    member,
    process: seen.process,
    engine: seen.engine,
    outdated,
    keptData: seen.keptData,
    replicationPort: started === undefined ? group.intent.port : replicationPort(started.ports),
  };
}

/** Whether it takes no more writes and never will by itself: another may be made the primary. */
export function isLost({ process }: Pick<SeenMember, 'process'>): boolean {
  return process.kind !== 'running' && process.kind !== 'unreachable';
}

/** Whether it may be alive and does not tell: what it listens on, or who it follows, is not known. */
export function isSilent({ process, engine }: SeenMember): boolean {
  return engine === undefined && !isLost({ process });
}

/** Whether it may hold data that we can't see now. */
export function mayHoldData({ process, engine }: SeenMember): boolean {
  if (process.kind === 'unreachable' || process.kind === 'fenced') return true;
  return process.kind === 'running' && (engine === undefined || engine.info.loading);
}

/** Whether a process may be started in its place now, and if not what is waited for. */
export function startable(
  { earliestStartMs, nowMs }: PlanInput,
  { member, process }: SeenMember,
): string | true {
  if (process.kind === 'unreachable' || process.kind === 'fenced')
    return `${member.id}'s host ${process.host}`;
  // Its sockets are still open: the new process could not listen.
  if (process.kind === 'dead' && process.how === 'exiting') return `the end of ${member.id}'s old process`;
  const earliest = earliestStartMs.get(nodeIdOf(member)) ?? 0;
  if (earliest === Number.POSITIVE_INFINITY)
    return `somebody to look at ${member.id}: its process kept ending`;
  return earliest <= nowMs || `${member.id}: it ended soon after its last starts`;
}

/** What a primary that is started now begins with: the snapshot that a new group is made from, if it is. */
export function startingData(
  { group }: PlanInput,
  { formed, primary, slots }: NodeGroup,
  { member }: SeenMember,
): { readonly snapshot?: string } {
  const { restoreFrom } = group.intent;
  const begins = group.status === 'creating' && !formed && member.id === primary && slots.length > 0;
  return begins && restoreFrom !== undefined ? { snapshot: restoreFrom } : {};
}

/** Whether writes of the primary reach the replica: it called itself in sync, and the primary heard of it since. */
export function streams(primary: SeenMember, { member, engine }: SeenMember): boolean {
  if (engine?.info.replication.primary?.linkUp !== true) return false;
  const heard = primary.engine?.info.replication.replicas.find(({ address }) => address === member.address);
  return heard?.online === true && heard.acknowledgedOffset > 0;
}

/**
 * Adds what is missing until a replica that calls itself in sync streams: the primary asks its replicas how far they
 * are. By themselves they tell it once a second.
 */
export function planStream(
  primary: SeenMember,
  replica: SeenMember,
  steps: Step[],
  waitingFor: string[],
): void {
  if (streams(primary, replica)) return;
  waitingFor.push(`${replica.member.id} to be in sync`);
  const linkUp = replica.engine?.info.replication.primary?.linkUp === true;
  const asked = steps.some((step) => step.kind === 'ask-replicas' && step.member === primary.member.id);
  if (!linkUp || primary.engine?.info.replication.role !== 'primary' || asked) return;
  steps.push({
    kind: 'ask-replicas',
    member: primary.member.id,
    because: 'a replica says that it follows and was not heard of since',
  });
}

/** A handover that was cut off, or a host that lost its lease, left it refusing writes: it is the primary, and may. */
export function planLift({ member, engine }: SeenMember, steps: Step[]): void {
  if (engine?.writesFenced !== true) return;
  steps.push({ kind: 'lift-fence', member: member.id, because: 'it is the primary, and refuses writes' });
}

export function sameAddresses(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each) => right.includes(each));
}

/** The proof that a lost member takes no more writes. @throws when it may run: a mistake of the planner. */
export function fenceOf({ process, member }: SeenMember): Fence {
  switch (process.kind) {
    case 'dead':
      return { kind: 'dead', incarnation: process.incarnation, how: process.how };
    case 'absent':
      return { kind: 'absent' };
    case 'fenced':
      return { kind: 'lease-expired', host: process.host };
    case 'running':
    case 'unreachable':
      throw new Error(`${member.id} may run; there is no fence.`);
  }
}
