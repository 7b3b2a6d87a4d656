/** (pure) A shard of a cluster as a planner sees it, and what its nodes say about the cluster. */
import { countSlots, slotCount } from '@larder/engine/slots';
import type { NodeGroup } from './replication-group.ts';
import { type PlanInput, type SeenMember, seeMember } from './seen-member.ts';

export interface SeenShard {
  readonly nodeGroup: NodeGroup;
  readonly primary: SeenMember;
  readonly members: readonly SeenMember[];
}

export function seeShards(input: PlanInput): SeenShard[] {
  return input.group.nodeGroups.map((nodeGroup) => {
    const members = nodeGroup.members.map((member) => seeMember(input, member));
    return { nodeGroup, members, primary: members.find(({ member }) => member.id === nodeGroup.primary)! };
  });
}

/** It has no slots any more and its nodes are on their way out. */
export function dismissed({ nodeGroup }: Pick<SeenShard, 'nodeGroup'>): boolean {
  return (
    nodeGroup.resharding?.leaving === true && nodeGroup.members.every(({ status }) => status === 'deleting')
  );
}

/** Whether any node of the cluster takes it for an owner of slots. */
export function isTakenForOwner({ nodeGroup }: SeenShard, shards: readonly SeenShard[]): boolean {
  const addresses = new Set(nodeGroup.members.map(({ address }) => address));
  return shards
    .flatMap(({ members }) => members)
    .some(
      ({ engine }) =>
        engine?.cluster?.peers.some((peer) => addresses.has(peer.address) && peer.slots.length > 0) === true,
    );
}

export function myself({ engine }: SeenMember) {
  return engine?.cluster?.peers.find((peer) => peer.myself);
}

export function clusterNodeId(seen: SeenMember): string | undefined {
  return myself(seen)?.id;
}

export function ownsSlots(seen: SeenMember): boolean {
  const self = myself(seen);
  return self !== undefined && self.role === 'primary' && self.slots.length > 0;
}

/** Added to a cluster that stands, and not introduced yet. */
export function isAlone({ engine }: SeenMember): boolean {
  return engine?.cluster?.peers.every((peer) => peer.myself || peer.handshake) === true;
}

export function knows({ engine }: SeenMember, id: string): boolean {
  return engine?.cluster?.peers.some((peer) => peer.id === id && !peer.handshake) === true;
}

export function seesEverySlot({ engine }: SeenMember): boolean {
  const slots = countSlots((engine?.cluster?.peers ?? []).flatMap((peer) => peer.slots));
  return engine?.cluster?.state === 'ok' && slots === slotCount;
}

export function seesWholeCluster(seen: SeenMember, nodeCount: number): boolean {
  const cluster = seen.engine?.cluster;
  if (cluster === undefined) return false;
  const agreed =
    cluster.peers.length === nodeCount &&
    cluster.peers.every(
      // A replica passes for a primary without slots until gossip tells of its role.
      (peer) => !peer.handshake && (peer.slots.length > 0 || peer.primaryId !== undefined),
    );
  return agreed && seesEverySlot(seen);
}
