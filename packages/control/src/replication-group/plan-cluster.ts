/**
 * (pure) The plan of a group with cluster mode. The engines keep their own map of slots and roles; we form the
 * cluster, start votes at once when a primary died, and bring nodes back.
 */
import { withoutSlots } from '@larder/engine/slots';
import { asAddress, isName } from '../placement/endpoint-names.ts';
import { planResharding, slotOwners } from './plan-reshard.ts';
import { planRoutes } from './plan-routes.ts';
import { planSilent, planSilentHeirs, planSilentPrimary } from './plan-silent.ts';
import {
  fenceOf,
  isLost,
  isSilent,
  type PlanInput,
  planLift,
  planStream,
  type SeenMember,
  sameAddresses,
  startable,
  startingData,
  streams,
} from './seen-member.ts';
import {
  clusterNodeId,
  dismissed,
  isAlone,
  isTakenForOwner,
  knows,
  myself,
  ownsSlots,
  type SeenShard,
  seeShards,
  seesEverySlot,
  seesWholeCluster,
} from './seen-shard.ts';
import type { Plan, Step } from './step.ts';
import { chooseSuccessor } from './successor.ts';

export function planCluster(input: PlanInput): Plan {
  const steps: Step[] = [];
  const waitingFor: string[] = [];
  const shards = seeShards(input);
  const staying = shards.filter((shard) => !dismissed(shard));
  const stands = staying.some(({ nodeGroup }) => nodeGroup.formed);
  // A shard that gets its slots from others joins when those are whole.
  const beginning = shards.filter(({ nodeGroup }) => nodeGroup.slots.length > 0);

  for (const shard of staying) planShard(input, shard, shards, steps, waitingFor);
  if (stands) {
    for (const shard of staying) {
      if (!shard.nodeGroup.formed) planJoining(shard, staying, steps, waitingFor);
    }
    planStrangers(shards, steps);
  } else {
    planForming(beginning, steps, waitingFor);
  }
  const routed = planConfigurationEndpoint(input, shards, steps);
  // Slots move while every role is settled: whoever dies in between is replaced first.
  const settled = routed && steps.every(({ kind }) => kind === 'ask-replicas');
  if (stands && settled) planResharding(input, shards, steps, waitingFor);
  const loaded = !stands && routed && steps.length === 0 && waitingFor.length === 0;
  if (loaded && beginning.some(isOnItsWay) && beginning.every(inSync)) {
    const nodeGroups = beginning.map(({ nodeGroup }) => nodeGroup.id);
    steps.push({ kind: 'form-shards', nodeGroups, because: 'the data is loaded; its slots are to go on' });
  }

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
    ...(stands && { slots: slotOwners(shards)?.changed ?? new Map() }),
  };
}

/** Starts what has no process, and has a successor elected for a lost primary first. */
function planShard(
  input: PlanInput,
  shard: SeenShard,
  shards: readonly SeenShard[],
  steps: Step[],
  waitingFor: string[],
): void {
  const { nodeGroup, primary, members } = shard;
  const others = members.filter((each) => each !== primary);
  const elected = others.find(ownsSlots);
  const primaryLost = isLost(primary);
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
  const joins =
    !nodeGroup.formed &&
    shards.some((each) => each.nodeGroup.formed) &&
    others.every(({ engine }) => (engine?.info.keys ?? 0) === 0);
  // A shard that joins holds nothing yet: whoever of it ends starts again in its place.
  if (primaryLost && !joins) {
    const succession = chooseSuccessor(primary, nodeGroup.lineage, others);
    if (succession.kind === 'wait') {
      waitingFor.push(succession.because);
      planSilentHeirs(others, steps, waitingFor);
      return;
    }
    if (succession.kind === 'promote') {
      const successor = others.find(({ member }) => member.id === succession.member)!;
      if (nodeGroup.formed && successor.engine!.info.replication.role === 'primary') {
        steps.push({
          kind: 'decide-primary',
          nodeGroup: nodeGroup.id,
          member: succession.member,
          previous: primary.member.id,
          fence: { kind: 'engine-vote' },
          because: 'it took over from a primary that had no slots yet',
        });
        return;
      }
      steps.push({
        kind: 'elect',
        nodeGroup: nodeGroup.id,
        member: succession.member,
        how: canVote(shard, shards) ? 'vote' : 'takeover',
        fence: fenceOf(primary),
        because: `${primary.member.id} is lost; ${succession.because}`,
      });
      return;
    }
  }
  if (ownsSlots(primary)) planLift(primary, steps);
  for (const each of members) {
    if (!isLost(each)) {
      if (each.engine === undefined) {
        if (each === primary) planSilentPrimary(nodeGroup, primary, others, steps, waitingFor);
        else planSilent(each, primary.engine === undefined ? 'none' : 'elsewhere', steps, waitingFor);
      } else if (!nodeGroup.formed && each.engine.info.loading) {
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

/**
 * A vote needs most of the primaries that have slots, and is about one of them. Else the proof that the old one is
 * dead takes its place.
 */
function canVote(shard: SeenShard, shards: readonly SeenShard[]): boolean {
  const voters = shards.filter(({ nodeGroup }) => nodeGroup.slots.length > 0).length;
  const alive = shards.filter((each) => ownsSlots(each.primary)).length;
  return 2 * alive > voters && isTakenForOwner(shard, shards);
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

/** A new shard meets a cluster that stands; it has no slots and gets none before it is whole. */
function planJoining(
  { nodeGroup, primary, members }: SeenShard,
  shards: readonly SeenShard[],
  steps: Step[],
  waitingFor: string[],
): void {
  if (members.some(({ engine }) => engine?.cluster === undefined)) return;
  const peers = shards.filter((each) => each.nodeGroup.formed).map((each) => each.primary);
  if (peers.some(({ engine }) => engine?.cluster === undefined)) {
    waitingFor.push('every primary to answer, to be introduced to a new shard');
    return;
  }
  const before = steps.length + waitingFor.length;
  for (const peer of peers) planMeeting(peer, primary, steps, waitingFor);
  for (const each of members) if (each !== primary) planReturned(each, primary, steps, waitingFor);
  const primaryId = clusterNodeId(primary)!;
  const met = peers.every((peer) => knows(peer, primaryId) && knows(primary, clusterNodeId(peer)!));
  if (!met) waitingFor.push(`${primary.member.id} to be known in the cluster`);
  // A slot that is opened before the node knows whose it is stays without an owner there.
  else if (!members.every(seesEverySlot)) waitingFor.push(`shard ${nodeGroup.id} to know whose each slot is`);
  if (steps.length + waitingFor.length > before) return;
  const because = 'the new shard is in sync';
  steps.push(
    { kind: 'copy-functions', member: primary.member.id, from: peers[0]!.member.id, because },
    { kind: 'form-shards', nodeGroups: [nodeGroup.id], because },
  );
}

/** Peers that are none of the group's: removed, and remembered by a node that was away then. */
function planStrangers(shards: readonly SeenShard[], steps: Step[]): void {
  const all = shards.flatMap(({ members }) => members);
  const addresses = new Set(all.map(({ member }) => member.address));
  for (const { member, engine } of all) {
    for (const peer of engine?.cluster?.peers ?? []) {
      if (peer.myself || peer.handshake || peer.slots.length > 0 || addresses.has(peer.address)) continue;
      steps.push({
        kind: 'forget-peer',
        member: member.id,
        clusterNodeId: peer.id,
        because: `nobody of the group is at ${peer.address}`,
      });
    }
  }
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
  const named = isName(configurationAddress);
  const present = answering.find(({ engine }) => engine!.boundAddresses.includes(configurationAddress));
  // One that is on its way out gives the endpoint up while it still lives.
  const keeps = present !== undefined && present.member.status !== 'deleting';
  // One that may run and does not answer may still listen there: the address stays where it is until we know.
  const unknown = all.some(isSilent);
  if (routeTo === undefined && present === undefined && unknown && !named) return false;
  const holder = (keeps ? present : shards.map(({ primary }) => primary).find(ownsSlots)) ?? present;
  const changes: (Step & { kind: 'listen' })[] = [];
  for (const { member, engine } of answering) {
    const holds = !named && routeTo === undefined && member === holder?.member;
    const addresses = [member.address, ...(holds ? [configurationAddress] : [])];
    if (sameAddresses(addresses, engine!.boundAddresses)) continue;
    changes.push({
      kind: 'listen',
      member: member.id,
      addresses,
      dropped: engine!.boundAddresses.filter((address) => !addresses.includes(address)),
      because: 'the configuration endpoint needs a node that lives',
    });
  }
  // An address can be taken only after the other gave it up.
  steps.push(...changes.sort((a, b) => b.dropped.length - a.dropped.length));
  if (routeTo === undefined) return planRoutes(front, [], steps);
  const contact = shards
    .map(({ primary }) => primary)
    .find(({ engine, member }) => engine !== undefined && member.status !== 'deleting');
  if (contact === undefined) return false;
  const routes = all
    .filter(({ member }) => member.status !== 'deleting')
    .map(({ member: { address } }) => routeTo({ listenAddress: address, nodeAddress: address }));
  const entry = asAddress(configurationAddress).map((listenAddress) =>
    routeTo({ listenAddress, nodeAddress: contact.member.address }),
  );
  return planRoutes(front, [...routes, ...entry], steps);
}

function healthy(shard: SeenShard): boolean {
  return !isOnItsWay(shard) && inSync(shard);
}

function isOnItsWay({ nodeGroup }: SeenShard): boolean {
  return nodeGroup.resharding !== undefined;
}

function inSync({ primary, members }: SeenShard): boolean {
  return (
    ownsSlots(primary) &&
    members.every(
      (each) =>
        each.member.status === 'deleting' ||
        (each.engine?.cluster?.state === 'ok' && (each === primary || streams(primary, each))),
    )
  );
}
