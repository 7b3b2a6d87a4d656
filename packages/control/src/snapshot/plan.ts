/** (pure) What is to be done next for a snapshot that is being taken: which node saves which shard. */
import type { NodeObservation } from '@larder/fleet/host';
import type { Source, SourceNode, SourceShard } from './origin.ts';
import type { Snapshot } from './snapshot.ts';

export type SaveStep =
  | { readonly kind: 'save'; readonly shard: string; readonly node: SourceNode; readonly because: string }
  | { readonly kind: 'wait'; readonly because: string }
  | { readonly kind: 'give-up'; readonly because: string }
  /** Every shard is saved. */
  | { readonly kind: 'finish' };

export interface SaveInput {
  readonly snapshot: Snapshot;
  /** Undefined when it is gone. */
  readonly source: Source | undefined;
  /** By node id. */
  readonly observations: ReadonlyMap<string, NodeObservation>;
  readonly nowMs: number;
}

/** A snapshot that gets no further for so long has failed: a failover is over by then. */
const stuckMs = 60_000;
const mostAttempts = 5;

export function planSave({ snapshot, source, observations, nowMs }: SaveInput): SaveStep {
  const open = snapshot.shards.find(({ saved }) => saved === undefined);
  if (open === undefined) return { kind: 'finish' };
  if (source === undefined) return { kind: 'give-up', because: 'its source is gone' };
  if (snapshot.final && source.finalSnapshot !== snapshot.name) {
    return { kind: 'give-up', because: 'the deletion no longer waits for it' };
  }
  if (!snapshot.final && source.status === 'deleting') {
    return { kind: 'give-up', because: 'its source is being deleted' };
  }
  if (!snapshot.final && snapshot.attempts >= mostAttempts) {
    return { kind: 'give-up', because: snapshot.trouble ?? 'no node could save its data' };
  }
  const shard = source.shards.find(({ id }) => id === open.id);
  if (shard === undefined) return { kind: 'give-up', because: `there is no node group ${open.id} any more` };
  const chosen = chooseNode(snapshot, shard, observations);
  if (chosen !== undefined) return { kind: 'save', shard: shard.id, ...chosen };
  const because = `no node of node group ${shard.id} that holds its data answers`;
  // A final one is never given up by itself: the data would be deleted without it.
  const stuck = !snapshot.final && nowMs - snapshot.progressAtMs > stuckMs;
  return { kind: stuck ? 'give-up' : 'wait', because };
}

/**
 * The member that was asked for, if it has the data; else the replica in sync that is the furthest on, so that the
 * primary need not fork; else the primary. A final snapshot is the primary's, whose data is the freshest, and where
 * there is none any more, that of the furthest replica of its history.
 */
function chooseNode(
  { final, origin }: Snapshot,
  shard: SourceShard,
  observations: ReadonlyMap<string, NodeObservation>,
): { readonly node: SourceNode; readonly because: string } | undefined {
  const primary = shard.nodes.find(({ clusterId }) => clusterId === shard.primary);
  const engineOf = ({ nodeId }: SourceNode) => {
    const seen = observations.get(nodeId);
    return seen?.process.kind === 'running' && seen.engine?.info.loading === false ? seen.engine : undefined;
  };
  const primaryServes = primary !== undefined && engineOf(primary)?.info.replication.role === 'primary';
  const replicas = shard.nodes
    .filter((node) => {
      const replication = engineOf(node)?.info.replication;
      if (node === primary || replication?.role !== 'replica' || replication.syncInProgress) return false;
      const follows =
        replication.primary?.linkUp === true && replication.primary.address === primary?.address;
      const sameHistory = shard.lineage !== undefined && replication.replicationId === shard.lineage;
      return follows || (final && !primaryServes && sameHistory);
    })
    .sort((a, b) => engineOf(b)!.info.replication.offset - engineOf(a)!.info.replication.offset);

  const asked = [...replicas, ...(primaryServes ? [primary] : [])].find(
    ({ clusterId }) => clusterId === origin.member,
  );
  if (asked !== undefined && !final) return { node: asked, because: 'it was asked for' };
  if (final && primaryServes) return { node: primary, because: 'the primary has the freshest data' };
  if (replicas[0] !== undefined) return { node: replicas[0], because: 'it is in sync and the furthest on' };
  return primaryServes ? { node: primary, because: 'no replica is in sync' } : undefined;
}
