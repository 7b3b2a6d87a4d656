/**
 * (pure) The plan of a group without cluster mode: one primary, up to five replicas, and two endpoints that
 * are addresses which nodes take and give up.
 */
import type { Route } from '@larder/fleet/router/route-table';
import { asAddress, isName } from '../placement/endpoint-names.ts';
import { donorFor, takesFrom } from './donor.ts';
import { planReader, readerHolder, readersOf } from './plan-reader.ts';
import { planRoutes } from './plan-routes.ts';
import { planSilent, planSilentHeirs, planSilentPrimary } from './plan-silent.ts';
import type { NodeGroup, ReplicationGroup } from './replication-group.ts';
import {
  type Front,
  fenceOf,
  isLost,
  isSilent,
  type PlanInput,
  planLift,
  planStream,
  type SeenMember,
  sameAddresses,
  seeMember,
  startable,
  startingData,
  streams,
} from './seen-member.ts';
import type { Plan, Step } from './step.ts';
import { chooseSuccessor } from './successor.ts';

export function planReplicated(input: PlanInput): Plan {
  const nodeGroup = input.group.nodeGroups[0]!;
  const steps: Step[] = [];
  const waitingFor: string[] = [];
  const seen = nodeGroup.members.map((member) => seeMember(input, member));
  const primary = seen.find(({ member }) => member.id === nodeGroup.primary)!;
  const others = seen.filter((each) => each !== primary);

  const leader = planLeader(input, nodeGroup, primary, others, steps, waitingFor);
  if (leader === undefined) return { steps, converged: false, waitingFor, lineages: new Map() };
  // The endpoint first: clients wait for it, replicas can wait.
  const settled = planListening(input, nodeGroup, seen, leader, steps);
  if (steps.some(({ kind }) => kind === 'promote')) {
    const because = 'its replicas are to follow it in a new history';
    steps.push({ kind: 'note-history', nodeGroup: nodeGroup.id, member: leader.member.id, because });
  }
  for (const each of seen) {
    if (each !== leader) planReplica(input, each, leader, seen, steps, waitingFor);
  }
  const served = planReader(input, nodeGroup, seen, leader, steps);
  const converged =
    settled && served && steps.length === 0 && waitingFor.length === 0 && inSync(seen, leader);
  const lineage = leader.engine?.info.replication;
  return {
    steps,
    converged,
    waitingFor,
    lineages:
      lineage?.role === 'primary' && lineage.replicationId !== nodeGroup.lineage
        ? new Map([[nodeGroup.id, lineage.replicationId]])
        : new Map(),
  };
}

/** Who is, or by the steps added becomes, the primary; undefined when nobody can be for now. */
function planLeader(
  input: PlanInput,
  nodeGroup: NodeGroup,
  primary: SeenMember,
  others: readonly SeenMember[],
  steps: Step[],
  waitingFor: string[],
): SeenMember | undefined {
  if (!isLost(primary)) {
    if (primary.engine === undefined) {
      planSilentPrimary(nodeGroup, primary, others, steps, waitingFor);
      return undefined;
    }
    if (primary.engine.info.loading && !nodeGroup.formed) {
      waitingFor.push(`${primary.member.id} to load its data`);
      return undefined;
    }
    if (primary.engine.info.replication.role === 'replica') {
      const ruling = others.find(({ engine }) => engine?.info.replication.role === 'primary');
      if (ruling !== undefined) {
        planInterruptedSwitch(nodeGroup, primary, ruling, steps, waitingFor);
        return undefined;
      }
      // A host that let go of the old primary may have its lease again since it was decided: its silence proves nothing.
      const followed = others.find((other) => isFollowed(other, primary) && isSilent(other));
      if (followed !== undefined) {
        planSilent(followed, 'elsewhere', steps, waitingFor);
        return undefined;
      }
      // Decided, but its service died before the command was sent.
      demoteOthers(nodeGroup, primary, others, steps);
      steps.push({ kind: 'promote', member: primary.member.id, because: 'it was decided to be the primary' });
    }
    planLift(primary, steps);
    return primary;
  }

  const succession = chooseSuccessor(primary, nodeGroup.lineage, others);
  switch (succession.kind) {
    case 'wait':
      waitingFor.push(succession.because);
      planSilentHeirs(others, steps, waitingFor);
      return undefined;
    case 'promote': {
      const successor = others.find(({ member }) => member.id === succession.member)!;
      steps.push({
        kind: 'decide-primary',
        nodeGroup: nodeGroup.id,
        member: succession.member,
        previous: primary.member.id,
        fence: fenceOf(primary),
        because: succession.because,
      });
      demoteOthers(
        nodeGroup,
        successor,
        others.filter((each) => each !== successor),
        steps,
      );
      steps.push({ kind: 'promote', member: succession.member, because: `${primary.member.id} is lost` });
      return successor;
    }
    case 'start-empty': {
      const ready = startable(input, primary);
      if (ready !== true) {
        waitingFor.push(ready);
        return undefined;
      }
      steps.push({
        kind: 'start-node',
        member: primary.member.id,
        endpointAddresses: endpointsAtStart(input, nodeGroup, primary, others).filter(
          // Another node still listens there; it gives the address up first.
          (address) => !others.some(({ engine }) => engine?.boundAddresses.includes(address)),
        ),
        ...startingData(input, nodeGroup, primary),
        because: succession.because,
      });
      return primary;
    }
  }
}

/**
 * A switchover was written down and then cut off: the old primary lives and may have taken writes since. It is
 * done again from the start, so that none is lost.
 */
function planInterruptedSwitch(
  nodeGroup: NodeGroup,
  decided: SeenMember,
  ruling: SeenMember,
  steps: Step[],
  waitingFor: string[],
): void {
  if (follows(decided, ruling)) {
    steps.push({
      kind: 'switch-over',
      nodeGroup: nodeGroup.id,
      member: decided.member.id,
      previous: ruling.member.id,
      because: 'it was decided to be the primary, and the old one still is',
    });
    return;
  }
  if (decided.engine!.info.replication.primary?.address !== ruling.member.address) {
    steps.push({
      kind: 'replicate',
      member: decided.member.id,
      primary: ruling.member.id,
      port: ruling.replicationPort,
      because: 'it is to take over and lacks what the old primary has',
    });
    return;
  }
  waitingFor.push(`${decided.member.id} to be in sync before it takes over`);
}

/** Whether it is the one that the replica was told to follow. */
function isFollowed({ member }: SeenMember, { engine }: SeenMember): boolean {
  return engine?.info.replication.primary?.address === member.address;
}

function follows({ engine }: SeenMember, { member }: SeenMember): boolean {
  const primary = engine?.info.replication.primary;
  return primary?.linkUp === true && primary.address === member.address;
}

/** Who came to a demoted primary by a name is cut off: no address is taken from it, which would do that. */
function endsClients({ primaryAddress }: NodeGroup): { readonly endsClients?: true } {
  return isName(primaryAddress!) ? { endsClients: true } : {};
}

function demoteOthers(
  nodeGroup: NodeGroup,
  primary: SeenMember,
  others: readonly SeenMember[],
  steps: Step[],
): void {
  for (const { member, engine } of others) {
    if (engine?.info.replication.role !== 'primary') continue;
    steps.push({
      kind: 'replicate',
      member: member.id,
      primary: primary.member.id,
      port: primary.replicationPort,
      ...endsClients(nodeGroup),
      because: 'only one may be the primary',
    });
  }
}

export function planReplica(
  input: PlanInput,
  seen: SeenMember,
  leader: SeenMember,
  all: readonly SeenMember[],
  steps: Step[],
  waitingFor: string[],
): void {
  const { member, process, engine } = seen;
  if (isLost(seen)) {
    if (member.status === 'deleting') return;
    const ready = startable(input, seen);
    if (ready !== true) {
      waitingFor.push(ready);
      return;
    }
    const donor = donorFor(seen, leader, all);
    if (donor.kind === 'soon') {
      waitingFor.push(`${donor.seen.member.id} to be in sync: ${member.id} is to take its data from there`);
      return;
    }
    steps.push({
      kind: 'start-node',
      member: member.id,
      replicaOf: donor.seen.member.id,
      endpointAddresses: [],
      because:
        process.kind === 'absent' ? 'it has no process yet' : 'its process ended; it returns as a replica',
    });
    return;
  }
  if (engine === undefined) {
    planSilent(seen, 'elsewhere', steps, waitingFor);
    return;
  }
  const { role, primary } = engine.info.replication;
  const led = primary?.address === leader.member.address && primary.port === leader.replicationPort;
  if (role === 'replica' && led) {
    planStream(leader, seen, steps, waitingFor);
    return;
  }
  const already = steps.some((step) => step.kind === 'replicate' && step.member === member.id);
  if (already) return;
  const donor = takesFrom(seen, leader, all);
  if (donor !== undefined) {
    waitingFor.push(`${member.id} to take its data from ${donor.member.id}`);
    return;
  }
  if (engine.info.loading) {
    // Until it has, it refuses to be told whom to follow.
    waitingFor.push(`${member.id} to load its data`);
    return;
  }
  steps.push({
    kind: 'replicate',
    member: member.id,
    primary: leader.member.id,
    port: leader.replicationPort,
    ...(role === 'primary' && endsClients(input.group.nodeGroups[0]!)),
    because: role === 'primary' ? 'it is not the primary' : `it follows ${primary?.address ?? 'nobody'}`,
  });
}

/** A primary that starts without others takes all that nobody else is to have. */
function endpointsAtStart(
  input: PlanInput,
  nodeGroup: NodeGroup,
  primary: SeenMember,
  others: readonly SeenMember[],
): string[] {
  if (input.front.routeTo !== undefined) return [];
  const reader = readerHolder(input, nodeGroup, [primary, ...others], primary);
  const readsHere = reader.kind === 'member' && reader.seen === primary;
  return [nodeGroup.primaryAddress!, ...(readsHere ? [nodeGroup.readerAddress!] : [])].flatMap(asAddress);
}

/** @returns whether the endpoints are where they belong already. */
export function planListening(
  input: PlanInput,
  nodeGroup: NodeGroup,
  seen: readonly SeenMember[],
  leader: SeenMember,
  steps: Step[],
): boolean {
  const { front, group } = input;
  const reader = readerHolder(input, nodeGroup, seen, leader);
  const readerAddress = nodeGroup.readerAddress!;
  const hasReader = ({ member, engine }: SeenMember) => {
    if (front.routeTo !== undefined) return false;
    if (reader.kind === 'as-it-is') return engine!.boundAddresses.includes(readerAddress);
    return reader.kind === 'member' && reader.seen.member === member;
  };
  const changes: (Step & { kind: 'listen' })[] = [];
  for (const each of seen) {
    const { member, engine } = each;
    if (engine === undefined) continue;
    const addresses = [
      member.address,
      ...(front.routeTo === undefined && member === leader.member
        ? asAddress(nodeGroup.primaryAddress!)
        : []),
      ...(hasReader(each) ? asAddress(readerAddress) : []),
    ];
    if (sameAddresses(addresses, engine.boundAddresses)) continue;
    changes.push({
      kind: 'listen',
      member: member.id,
      addresses,
      dropped: engine.boundAddresses.filter((address) => !addresses.includes(address)),
      because: member === leader.member ? 'the primary endpoint is where the primary is' : 'endpoints moved',
    });
  }
  // The router gives the reader endpoint up before a node takes it.
  const direct = front.routeTo === undefined && reader.kind === 'member';
  const givenUp = !direct || planRoutes(front, [], steps);
  steps.push(...inTurn(changes, seen));
  const routed =
    front.routeTo === undefined ||
    planRoutes(front, routesOf(input, front.routeTo, group, seen, leader), steps);
  return changes.length === 0 && givenUp && routed;
}

/** An address can be taken only after the other gave it up; two that swap give up first what the other takes. */
function inTurn(
  changes: readonly (Step & { kind: 'listen' })[],
  seen: readonly SeenMember[],
): (Step & { kind: 'listen' })[] {
  const boundBy = (id: string) => seen.find(({ member }) => member.id === id)?.engine?.boundAddresses ?? [];
  const takes = ({ member, addresses }: Step & { kind: 'listen' }) =>
    addresses.filter((address) => !boundBy(member).includes(address));
  const handsOn = ({ member, dropped }: Step & { kind: 'listen' }) =>
    changes.some((other) => other.member !== member && takes(other).some((each) => dropped.includes(each)));
  const swapping = changes.filter((each) => takes(each).length > 0 && handsOn(each));
  return [
    ...swapping.map((each) => ({
      ...each,
      addresses: each.addresses.filter((address) => boundBy(each.member).includes(address)),
      because: 'another is to have the endpoint',
    })),
    ...[...changes].sort((a, b) => b.dropped.length - a.dropped.length),
  ];
}

function routesOf(
  input: PlanInput,
  routeTo: NonNullable<Front['routeTo']>,
  group: ReplicationGroup,
  seen: readonly SeenMember[],
  leader: SeenMember,
): Route[] {
  const nodeGroup = group.nodeGroups[0]!;
  const [first, ...moreAddresses] = readersOf(input, nodeGroup, seen, leader);
  return [
    ...nodeGroup.members
      .filter(({ status }) => status !== 'deleting')
      .map(({ address }) => routeTo({ listenAddress: address, nodeAddress: address })),
    ...asAddress(nodeGroup.primaryAddress!).map((listenAddress) =>
      routeTo({ listenAddress, nodeAddress: leader.member.address }),
    ),
    ...asAddress(nodeGroup.readerAddress!).map((listenAddress) =>
      routeTo({ listenAddress, nodeAddress: first ?? leader.member.address, moreAddresses }),
    ),
  ];
}

function inSync(seen: readonly SeenMember[], leader: SeenMember): boolean {
  return seen.every((each) => {
    const { member, engine } = each;
    if (member.status === 'deleting') return true;
    const replication = engine?.info.replication;
    if (member === leader.member) return replication?.role === 'primary';
    return replication?.primary?.address === leader.member.address && streams(leader, each);
  });
}
