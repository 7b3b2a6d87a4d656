/**
 * The shared tier on memcached: leases, with a visibility gate before removals. The protocol stands in leased-fills.ts
 * (a miss and its fill), beat.ts (what proves freshness), leased-feed.ts (the invalidator's side).
 *
 * A partition is a node. When the list of nodes changes, partitions come and go; nothing is believed before both
 * sides know the same list.
 */
import { randomBytes } from 'node:crypto';
import { hashKey, partitionsOf } from '../far/partition.ts';
import { PartitionState } from '../far/partition-state.ts';
import type { FeedProgress } from '../feed/partition-feed.ts';
import { zeroPosition } from '../position.ts';
import type { FillSteps, SharedReads, SharedTier, TierFeed, TierOptions } from '../shared-tier.ts';
import { tell } from '../telemetry.ts';
import type { Beat } from './beat.ts';
import type { MetaClientSettings } from './client-settings.ts';
import { LeasedFeed } from './leased-feed.ts';
import { LeasedFills } from './leased-fills.ts';
import { LeasedNode } from './leased-node.ts';
import { LeasedReads } from './leased-reads.ts';
import { MetaClient } from './meta-client.ts';
import type { MetaNode } from './meta-node.ts';

const retryMs = 20;
const voidAttempts = 10;
/** Of a beat that no feed keeps. */
export const application = 'application';

export class LeasedTier implements SharedTier {
  readonly scripts = undefined;
  readonly readsReplicas = false;
  readonly reads: SharedReads;
  partitions: readonly PartitionState[] = [];
  readonly #options: TierOptions;
  readonly #client: MetaClient;
  readonly #byNode = new Map<MetaNode, LeasedNode>();
  readonly #byPartition = new Map<PartitionState, LeasedNode>();
  readonly #onChange = new Set<() => void>();
  /** Nodes that came with a later list. */
  readonly #returned = new WeakSet<MetaNode>();
  readonly #poller: NodeJS.Timeout;
  /** While no node is known yet. */
  readonly #nowhere: PartitionState;
  #nextSession = 1;
  #nextIndex = 0;
  #closed = false;

  constructor(options: TierOptions, settings: MetaClientSettings) {
    this.#options = options;
    this.#nowhere = this.#partition();
    this.reads = new LeasedReads((partition) => this.#byPartition.get(partition));
    const { cache, clock, timeoutMs, boundMs } = options;
    let client: MetaClient | undefined;
    const sync = (): void => {
      // The first list comes while the client is being made.
      if (client !== undefined) this.#sync(client);
    };
    client = new MetaClient({
      ...settings,
      clock,
      timeoutMs,
      events: {
        nodeUp: ({ host, port }) => {
          tell(cache, 'far', () => ({ node: `${host}:${port}`, state: 'up' }));
          sync();
        },
        nodeDown: ({ host, port }, cause) => {
          tell(cache, 'far', () => ({ node: `${host}:${port}`, state: 'down', cause }));
          sync();
        },
        nodesChanged: sync,
      },
    });
    this.#client = client;
    this.#sync(client);
    this.#poller = setInterval(
      () => {
        for (const node of this.#byNode.values()) node.poll();
      },
      Math.max(5, boundMs / 12),
    );
    this.#poller.unref();
  }

  /** The nodes, by name. */
  get nodes(): readonly LeasedNode[] {
    return this.#client.members.flatMap((node) => this.#byNode.get(node) ?? []);
  }

  get digest(): string {
    return this.#client.digest;
  }

  partitionOf(hash: number): PartitionState {
    return this.nodeAt(hash)?.partition ?? this.#nowhere;
  }

  partitionOfKey(fullKey: string): PartitionState {
    return this.partitionOf(hashKey(fullKey));
  }

  /** Undefined while no node is known. */
  nodeAt(hash: number): LeasedNode | undefined {
    const node = this.#client.nodeAt(hash);
    return node && this.#byNode.get(node);
  }

  fills(): FillSteps {
    return new LeasedFills((partition) => this.#byPartition.get(partition));
  }

  async invalidate(partition: PartitionState, fullKeys: readonly string[]): Promise<void> {
    const node = this.#byPartition.get(partition);
    if (node === undefined) throw new Error('The node has left the list.');
    await node.remove(fullKeys);
  }

  async ensureState(partition: PartitionState): Promise<void> {
    const node = this.#byPartition.get(partition);
    if (node === undefined) return;
    const found = await node.standingBeat();
    const ours = found === undefined || found.beat.history === application;
    if (!ours || found?.beat.digest === this.digest) return;
    await node.storeBeat(this.#newBeat(), found);
  }

  async voidAll(partition: PartitionState): Promise<void> {
    const node = this.#byPartition.get(partition);
    if (node === undefined) throw new Error('The node has left the list.');
    for (let attempt = 0; attempt < voidAttempts; attempt += 1) {
      const found = await node.standingBeat();
      // Without a beat nothing is believed: there is nothing to void.
      if (found === undefined) return;
      const { epoch } = this.#newBeat();
      if ((await node.storeBeat({ ...found.beat, epoch, counter: 0 }, found)) !== undefined) return;
    }
    throw new Error('Beats came faster than they could be replaced.');
  }

  isReady(partition: PartitionState, { proof }: { readonly proof: boolean }): boolean {
    if (partition.session === 0) return false;
    const age = this.feedAgeMs(partition);
    return !proof || age <= this.#options.boundMs;
  }

  feedAgeMs(partition: PartitionState): number {
    return this.#byPartition.get(partition)?.provenAgeMs ?? Number.NaN;
  }

  feeds(progress: FeedProgress): readonly TierFeed[] {
    return [new LeasedFeed({ cache: this.#options.cache, tier: this, progress })];
  }

  /** Near tiers aren't offered. */
  pulse(): void {}

  /** Called when a node came or went. Returns its own undoing. */
  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poller);
    this.#client.close();
    for (const partition of this.partitions) partition.disconnected();
  }

  /** Where a feed keeps the beat, it does this. */
  async #renew(leased: LeasedNode): Promise<void> {
    const found = await leased.standingBeat();
    if (found?.beat.history === application) await leased.storeBeat(this.#newBeat(), found);
  }

  #newBeat(): Beat {
    const epoch = randomBytes(6).toString('hex');
    return { epoch, counter: 0, applied: zeroPosition, digest: this.digest, voids: '', history: application };
  }

  #sync(client: MetaClient): void {
    if (this.#closed) return;
    for (const [node, leased] of this.#byNode) {
      if (client.members.includes(node)) continue;
      this.#byNode.delete(node);
      this.#byPartition.delete(leased.partition);
      leased.partition.disconnected();
    }
    for (const node of client.members) {
      let leased = this.#byNode.get(node);
      if (leased === undefined) {
        // It may have been in an earlier list, and missed what was invalidated meanwhile.
        if (this.partitions.length > 0) this.#returned.add(node);
        const { cache, clock, boundMs } = this.#options;
        const partition = this.#partition();
        leased = new LeasedNode({ cache, node, partition, clock, boundMs, digest: () => client.digest });
        this.#byNode.set(node, leased);
        this.#byPartition.set(partition, leased);
      }
      if (node.connection === 0) leased.partition.disconnected();
      else if (leased.partition.session === 0) void this.#open(leased);
    }
    this.partitions = client.members.map((node) => this.#byNode.get(node)!.partition);
    for (const listener of this.#onChange) listener();
  }

  /** A partition is usable once what this process owes it is paid. */
  async #open(leased: LeasedNode): Promise<void> {
    const { partition, node } = leased;
    const { connection } = node;
    try {
      if (this.#returned.has(node)) await this.#renew(leased);
      this.#returned.delete(node);
      await this.#options.beforeUse(partition);
      if (this.#closed || node.connection !== connection || partition.session !== 0) return;
      const now = this.#options.clock.nowMs();
      // memcached tells no time: ends of freshness are by the processes' own clocks, and by its time to live.
      partition.clock.observe(now, Date.now(), now);
      partition.connected(this.#nextSession++, '');
      leased.poll();
      for (const listener of this.#onChange) listener();
    } catch {
      setTimeout(() => {
        if (!this.#closed && node.connection !== 0 && partition.session === 0) void this.#open(leased);
      }, retryMs).unref();
    }
  }

  #partition(): PartitionState {
    const { cache, boundMs, listener } = this.#options;
    const [keys] = partitionsOf(cache, 1);
    return new PartitionState({ cache, keys: { ...keys!, index: this.#nextIndex++ }, boundMs, listener });
  }
}
