/**
 * (pure) The plan of a group with cluster mode. The engines keep their own map of slots and roles; we form the
 * cluster, start votes at once when a primary died, and bring nodes back.
 */
import { slotCount, withoutSlots } from '@larder/engine/slots';
import { planRoutes } from './plan-routes.ts';
import type { NodeGroup } from './replication-group.ts';
import {
  fenceOf,
  type PlanInput,
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

interface SeenShard {
  readonly nodeGroup: NodeGroup;
  readonly primary: SeenMember;
  readonly members: readonly SeenMember[];
}

export function planCluster(input: PlanInput): Plan {
  const steps: Step[] = [];
  const waitingFor: string[] = [];
  const shards = input.group.nodeGroups.map((nodeGroup): SeenShard => {
    const members = nodeGroup.members.map((member) => seeMember(input, member));
    const primary = members.find(({ member }) => member.id === nodeGroup.primary)!;
    return { nodeGroup, members, primary };
  });

  for (const shard of shards) planShard(input, shard, shards, steps, waitingFor);
  if (shards.some(({ nodeGroup }) => !nodeGroup.formed)) planForming(shards, steps, waitingFor);
  const routed = planConfigurationEndpoint(input, shards, steps);

  return {
    steps,
    converged: routed && steps.length === 0 && waitingFor.length === 0 && shards.every(healthy),
    waitingFor,
    lineages: new Map(
      shards.flatMap(({ nodeGroup, primary }) => {
        const replication = primary.engine?.info.replication;
        return replication?.role === 'primary' && replication.replicationId !== nodeGroup.lineage
          ? [[nodeGroup.id, replication.replicationId] as const]
          : [];
      }),
    ),
  };
}

/** Starts what has no process, and has a successor elected for a lost primary first. */
function planShard(
  input: PlanInput,
  { nodeGroup, primary, members }: SeenShard,
  shards: readonly SeenShard[],
  steps: Step[],
  waitingFor: string[],
): void {
  const others = members.filter((each) => each !== primary);
  const elected = others.find(ownsSlots);
  const primaryLost = primary.process.kind !== 'running';
  if (nodeGroup.formed && elected !== undefined && (primaryLost || !ownsSlots(primary))) {
    steps.push({
      kind: 'decide-primary',
      nodeGroup: nodeGroup.id,
      member: elected.member.id,
      previous: primary.member.id,
      fence: { kind: 'engine-vote' },
      because: 'the engines made it the primary of its slots',
    });
    return;
  }
  if (primaryLost) {
    const succession = chooseSuccessor(primary, nodeGroup.lineage, others);
    if (succession.kind === 'wait') {
      waitingFor.push(succession.because);
      return;
    }
    if (succession.kind === 'promote') {
      steps.push({
        kind: 'elect',
        nodeGroup: nodeGroup.id,
        member: succession.member,
        // A vote needs most of the primaries. With fewer, the proof that the old one is dead takes its place.
        how:
          2 * shards.filter((each) => ownsSlots(each.primary)).length > shards.length ? 'vote' : 'takeover',
        fence: fenceOf(primary),
        because: `${primary.member.id} is lost; ${succession.because}`,
      });
      return;
    }
  }
  for (const each of members) {
    if (each.process.kind === 'running') {
      if (each.engine === undefined) waitingFor.push(`${each.member.id} to answer`);
      else if (!nodeGroup.formed && each.engine.info.loading) {
        waitingFor.push(`${each.member.id} to load its data`);
      } else if (nodeGroup.formed && each !== primary) planReturned(each, primary, steps, waitingFor);
      continue;
    }
    if (each.member.status === 'deleting') continue;
    const ready = startable(input, each);
    if (ready !== true) {
      waitingFor.push(ready);
      continue;
    }
    steps.push({
      kind: 'start-node',
      member: each.member.id,
      endpointAddresses: [],
      ...startingData(input, nodeGroup, each),
      because: each.process.kind === 'absent' ? 'it has no process yet' : 'its process ended',
    });
  }
}

/** A node that came back learns from the cluster that it lost its slots; one that owns none is told whose replica it is. */
function planReturned(seen: SeenMember, primary: SeenMember, steps: Step[], waitingFor: string[]): void {
  const primaryId = clusterNodeId(primary);
  if (primaryId === undefined) return;
  const replication = seen.engine!.info.replication;
  if (replication.role === 'replica' && myself(seen)?.primaryId === primaryId) {
    planStream(primary, seen, steps, waitingFor);
    return;
  }
  if (isAlone(seen)) {
    planMeeting(seen, primary, steps, waitingFor);
    return;
  }
  if (ownsSlots(seen) || !knows(seen, primaryId)) {
    waitingFor.push(`${seen.member.id} to learn its shard's primary`);
    return;
  }
  steps.push({
    kind: 'join-shard',
    member: seen.member.id,
    primaryClusterNodeId: primaryId,
    because: 'it returned and is not the primary any more',
  });
}

function planForming(shards: readonly SeenShard[], steps: Step[], waitingFor: string[]): void {
  const all = shards.flatMap(({ members }) => members);
  if (all.some(({ engine }) => engine?.cluster === undefined || engine.info.loading)) return;
  const first = all[0]!;

  for (const [index, each] of all.entries()) {
    const peers = each.engine!.cluster!.peers;
    // Unique epochs before they meet: nodes with equal ones would quarrel about who is right.
    if (peers.length === 1 && myself(each)!.configEpoch === 0) {
      steps.push({
        kind: 'set-config-epoch',
        member: each.member.id,
        configEpoch: index + 1,
        because: 'a node needs an epoch of its own before it meets others',
      });
    }
  }
  for (const { nodeGroup, primary } of shards) {
    // One that began with a snapshot took the slots of its keys by itself.
    const missing = withoutSlots(nodeGroup.slots, myself(primary)!.slots);
    if (missing.length > 0) {
      steps.push({
        kind: 'add-slots',
        member: primary.member.id,
        slots: missing,
        because: 'its slots belong to nobody yet',
      });
    }
  }
  // Everybody meets the first; a replica also its primary, so as not to wait until gossip tells it.
  for (const { primary, members } of shards) {
    for (const each of members) {
      planMeeting(first, each, steps, waitingFor);
      planMeeting(each, primary, steps, waitingFor);
    }
  }
  for (const { primary, members } of shards) {
    const primaryId = clusterNodeId(primary)!;
    for (const each of members) {
      if (each === primary) continue;
      if (myself(each)?.primaryId === primaryId) {
        planStream(primary, each, steps, waitingFor);
      } else if (knows(each, primaryId)) {
        steps.push({
          kind: 'join-shard',
          member: each.member.id,
          primaryClusterNodeId: primaryId,
          because: 'it is a replica of its shard',
        });
      } else {
        waitingFor.push(`${each.member.id} to meet its primary`);
      }
    }
  }
  if (!all.every((each) => seesWholeCluster(each, all.length))) waitingFor.push('the cluster to agree');
}

function planMeeting(one: SeenMember, other: SeenMember, steps: Step[], waitingFor: string[]): void {
  const id = clusterNodeId(other)!;
  if (one === other || knows(one, id) || knows(other, clusterNodeId(one)!)) return;
  // An unanswered MEET is repeated by the engine; a second one would only begin a second handshake.
  const address = other.member.address;
  if (one.engine!.cluster!.peers.some((peer) => peer.handshake && peer.address === address)) {
    waitingFor.push(`${one.member.id} and ${other.member.id} to meet`);
    return;
  }
  steps.push({
    kind: 'meet',
    member: one.member.id,
    peer: other.member.id,
    because: 'they do not know each other',
  });
}

/**
 * The configuration endpoint is an address of one living node; it moves only when that node is gone.
 * @returns whether the router, where there is one, serves what it should.
 */
function planConfigurationEndpoint(
  { group: { configurationAddress }, front }: PlanInput,
  shards: readonly SeenShard[],
  steps: Step[],
): boolean {
  if (configurationAddress === undefined) return true;
  const all = shards.flatMap(({ members }) => members);
  const answering = all.filter(({ engine }) => engine !== undefined);
  const { routeTo } = front;
  const present = answering.find(({ engine }) => engine!.boundAddresses.includes(configurationAddress));
  // One that runs and does not answer may still listen there: the address stays where it is until we know.
  const unknown = all.some(({ process, engine }) => process.kind === 'running' && engine === undefined);
  if (routeTo === undefined && present === undefined && unknown) return false;
  const holder = present ?? shards.map(({ primary }) => primary).find(ownsSlots);
  for (const { member, engine } of answering) {
    const holds = routeTo === undefined && member === holder?.member;
    const addresses = [member.address, ...(holds ? [configurationAddress] : [])];
    if (sameAddresses(addresses, engine!.boundAddresses)) continue;
    steps.push({
      kind: 'listen',
      member: member.id,
      addresses,
      dropped: engine!.boundAddresses.filter((address) => !addresses.includes(address)),
      because: 'the configuration endpoint needs a node that lives',
    });
  }
  if (routeTo === undefined) return planRoutes(front, [], steps);
  const contact = shards.map(({ primary }) => primary).find(({ engine }) => engine !== undefined);
  if (contact === undefined) return false;
  const routes = all
    .filter(({ member }) => member.status !== 'deleting')
    .map(({ member: { address } }) => routeTo({ listenAddress: address, nodeAddress: address }));
  const entry = routeTo({ listenAddress: configurationAddress, nodeAddress: contact.member.address });
  return planRoutes(front, [...routes, entry], steps);
}

function healthy({ primary, members }: SeenShard): boolean {
  return (
    ownsSlots(primary) &&
    members.every(
      (each) =>
        each.member.status === 'deleting' ||
        (each.engine?.cluster?.state === 'ok' && (each === primary || streams(primary, each))),
    )
  );
}

function myself({ engine }: SeenMember) {
  return engine?.cluster?.peers.find((peer) => peer.myself);
}

function clusterNodeId(seen: SeenMember): string | undefined {
  return myself(seen)?.id;
}

function ownsSlots(seen: SeenMember): boolean {
  const self = myself(seen);
  return self !== undefined && self.role === 'primary' && self.slots.length > 0;
}

/** Added to a cluster that stands, and not introduced yet. */
function isAlone({ engine }: SeenMember): boolean {
  return engine?.cluster?.peers.every((peer) => peer.myself || peer.handshake) === true;
}

function knows({ engine }: SeenMember, id: string): boolean {
  return engine?.cluster?.peers.some((peer) => peer.id === id && !peer.handshake) === true;
}

function seesWholeCluster({ engine }: SeenMember, nodeCount: number): boolean {
  const cluster = engine!.cluster!;
  const owned = cluster.peers.flatMap((peer) => peer.slots);
  const slots = owned.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const agreed =
    cluster.peers.length === nodeCount &&
    cluster.peers.every(
      // A replica passes for a primary without slots until gossip tells of its role.
      (peer) => !peer.handshake && (peer.slots.length > 0 || peer.primaryId !== undefined),
    );
  return cluster.state === 'ok' && agreed && slots === slotCount;
}
