/**
 * (pure) Where the reader endpoint of a group without cluster mode leads. With one replica that node listens on the
 * endpoint's address itself. With more the router listens there and deals connections out to those that are near their
 * primary; with none of them near, to the primary. Which of the two does not depend on who is well at the moment, since
 * each change from one to the other ends every connection. Why: docs/decisions/0011.
 */
import { type Route, targetsOf } from '@larder/fleet/router/route-table';
import { isName } from '../placement/endpoint-names.ts';
import { planRoutes } from './plan-routes.ts';
import type { NodeGroup } from './replication-group.ts';
import { isLost, isSilent, type PlanInput, type SeenMember, streams } from './seen-member.ts';
import type { Step } from './step.ts';

const mebibyte = 2 ** 20;
/** Taken in when it is as near as this, left out when it is farther than that: between them nothing changes. */
const nearBytes = mebibyte;
const farBytes = 16 * mebibyte;
const nearSeconds = 2;
const farSeconds = 10;

export function hasManyReplicas({ members }: Pick<NodeGroup, 'members'>): boolean {
  return members.filter(({ status }) => status !== 'deleting').length > 2;
}

/** Who listens on the reader endpoint's address, where clients reach the engines themselves. */
export type ReaderHolder =
  | { readonly kind: 'router' }
  /** Not known now: who listens there goes on. */
  | { readonly kind: 'as-it-is' }
  | { readonly kind: 'member'; readonly seen: SeenMember };

export function readerHolder(
  { front }: Pick<PlanInput, 'front'>,
  nodeGroup: NodeGroup,
  seen: readonly SeenMember[],
  leader: SeenMember,
): ReaderHolder {
  const { readerAddress } = nodeGroup;
  const binds = ({ engine }: SeenMember) => engine?.boundAddresses.includes(readerAddress!) === true;
  // One that may run and does not answer may still listen there: the address stays where it is until we know.
  const unknown = seen.some(isSilent) && front.routes.length === 0;
  if (front.spreadOver !== undefined && hasManyReplicas(nodeGroup)) {
    return unknown && !seen.some(binds) ? { kind: 'as-it-is' } : { kind: 'router' };
  }
  const replicas = seen.filter((each) => each !== leader && each.engine !== undefined);
  const holder =
    replicas.find((each) => binds(each) && mayStay(each, leader)) ??
    replicas.find((each) => mayJoin(each, leader)) ??
    leader;
  return unknown && !binds(holder) ? { kind: 'as-it-is' } : { kind: 'member', seen: holder };
}

/**
 * The route of the reader endpoint, where clients reach the engines themselves. Comes after all that makes roles what
 * they are to be: readers can wait.
 * @returns whether the router serves what it should.
 */
export function planReader(
  input: PlanInput,
  nodeGroup: NodeGroup,
  seen: readonly SeenMember[],
  leader: SeenMember,
  steps: Step[],
): boolean {
  const { front } = input;
  // A name leads to all readers by itself.
  if (front.routeTo !== undefined || isName(nodeGroup.readerAddress!)) return true;
  const holder = readerHolder(input, nodeGroup, seen, leader);
  if (holder.kind === 'as-it-is') return false;
  // The router gave it up before the member took it.
  if (holder.kind === 'member') return true;
  const route = front.spreadOver!({
    listenAddress: nodeGroup.readerAddress!,
    nodeAddresses: readersOf(input, nodeGroup, seen, leader),
    fallbackAddress: leader.member.address,
  });
  return planRoutes(front, [route], steps);
}

/** Addresses of the replicas that readers are led to: none when none is near enough. */
export function readersOf(
  { front }: Pick<PlanInput, 'front'>,
  nodeGroup: NodeGroup,
  seen: readonly SeenMember[],
  leader: SeenMember,
): string[] {
  const led = ledTo(front.routes, nodeGroup.readerAddress!);
  return seen
    .filter((each) => each !== leader && each.member.status !== 'deleting')
    .filter((each) => (led.has(each.member.address) ? mayStay(each, leader) : mayJoin(each, leader)))
    .map(({ member }) => member.address);
}

function ledTo(routes: readonly Route[], readerAddress: string): ReadonlySet<string> {
  const route = routes.find(({ listen }) => listen.address === readerAddress);
  const targets = route === undefined ? [] : route.kind === 'spread' ? route.targets : targetsOf(route);
  return new Set(targets.map(({ address }) => address));
}

function mayJoin(replica: SeenMember, leader: SeenMember): boolean {
  return (
    replica.engine?.info.loading === false &&
    streams(leader, replica) &&
    bytesBehind(replica, leader) <= nearBytes &&
    (heardOf(replica, leader)?.silentSeconds ?? 0) <= nearSeconds
  );
}

/** More lenient: after a change of the primary every link is down for a moment, and its data is as good as before. */
function mayStay(replica: SeenMember, leader: SeenMember): boolean {
  const { process, engine } = replica;
  if (isLost(replica) || process.kind !== 'running' || process.hang !== undefined) return false;
  if (engine === undefined) return true;
  const { role, primary, syncInProgress } = engine.info.replication;
  if (role !== 'replica' || engine.info.loading || syncInProgress) return false;
  // A replica that was just told of another primary does not say since when.
  const linked = primary?.linkUp === true || (primary?.linkDownSeconds ?? 0) <= farSeconds;
  return (
    linked &&
    bytesBehind(replica, leader) <= farBytes &&
    (heardOf(replica, leader)?.silentSeconds ?? 0) <= farSeconds
  );
}

/** By what both say at about the same time: what the primary has heard is up to a second old. */
function bytesBehind({ engine }: SeenMember, leader: SeenMember): number {
  // A primary that is only being started has nothing that others could lack.
  return (leader.engine?.info.replication.offset ?? 0) - engine!.info.replication.offset;
}

function heardOf({ member }: SeenMember, { engine }: SeenMember) {
  return engine?.info.replication.replicas.find(({ address }) => address === member.address);
}
