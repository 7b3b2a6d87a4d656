/**
 * The shared tier as this process sees it: partitions, the nodes that hold them, and the clock of each.
 *
 * Standalone and replicated engines are one node behind one address; when a failover moves the address the
 * connection breaks and comes back. In a cluster each partition follows its slot: MOVED, a broken connection or
 * a lost subscription make the tier ask for the slots again.
 */
import type { Clock } from '../clock.ts';
import type { Driver, NodeAddress } from '../driver/driver.ts';
import { tell } from '../telemetry.ts';
import { FarNode } from './far-node.ts';
import { hashKey, partitionIndex, partitionsOf } from './partition.ts';
import { type PartitionListener, PartitionState } from './partition-state.ts';
import { clockScript, type Script } from './scripts.ts';
import { nodeName, parseClusterSlots, rangeOf, type SlotRange } from './topology.ts';

export interface FarTierOptions {
  readonly cache: string;
  readonly driver: Driver;
  readonly partitions: number;
  readonly boundMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly listener: PartitionListener;
  readonly reads: ReplicaReads | undefined;
  /** Runs on a fresh connection, before the partition is used. */
  readonly beforeUse: (partition: PartitionState) => Promise<void>;
}

/** Where reads may go instead of the primary. */
export interface ReplicaReads {
  /** 'discover': those that the cluster names. */
  readonly replicas: 'discover' | readonly ZonedAddress[];
  /** Read in this zone as long as there is a replica of it that answers. */
  readonly zone?: string;
}

export interface ZonedAddress extends NodeAddress {
  readonly zone?: string;
}

const noNodes: readonly FarNode[] = [];
const clockSampleMs = 1_000;
const topologyThrottleMs = 20;

export class FarTier {
  readonly partitions: readonly PartitionState[];
  readonly sharded: boolean;
  readonly readsReplicas: boolean;
  /** The command that publishes on this kind of engine. */
  readonly publish: 'PUBLISH' | 'SPUBLISH';
  readonly #options: FarTierOptions;
  readonly #byChannel = new Map<string, PartitionState>();
  readonly #nodes = new Map<string, FarNode>();
  readonly #owners: (FarNode | undefined)[];
  /** Replicas to read from, by partition. */
  #readers: readonly (readonly FarNode[])[] = [];
  #nextReader = 0;
  readonly #sampler: NodeJS.Timeout;
  #nextSession = 1;
  #refreshing = false;
  #refreshAgain: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #onChange = new Set<() => void>();

  constructor(options: FarTierOptions) {
    this.#options = options;
    const { driver, cache, boundMs, listener } = options;
    this.sharded = driver.clustered;
    this.readsReplicas = options.reads !== undefined;
    this.publish = driver.clustered ? 'SPUBLISH' : 'PUBLISH';
    this.partitions = partitionsOf(cache, options.partitions).map(
      (keys) => new PartitionState({ cache, keys, boundMs, listener }),
    );
    this.#owners = this.partitions.map(() => undefined);
    for (const partition of this.partitions) this.#byChannel.set(partition.keys.channel, partition);
    for (const address of driver.nodes) this.#node(address);
    if (!driver.clustered) {
      this.#assign(() => driver.nodes[0]);
      const named = options.reads?.replicas;
      if (named !== undefined && named !== 'discover') this.#readFrom(() => named);
    }
    this.#sampler = setInterval(() => {
      for (const partition of this.partitions) if (partition.session !== 0) void this.sampleClock(partition);
    }, clockSampleMs);
    this.#sampler.unref();
  }

  partitionOf(hash: number): PartitionState {
    return this.partitions[partitionIndex(hash, this.partitions.length)]!;
  }

  partitionOfKey(fullKey: string): PartitionState {
    return this.partitionOf(hashKey(fullKey));
  }

  /** Plain MGET of keys of one partition: atomic, one round trip, no script. */
  read(partition: PartitionState, keys: readonly string[]): Promise<readonly (string | null)[]> {
    const node = this.#owners[partition.keys.index];
    if (node === undefined) return Promise.reject(new Error('No node is known for this partition.'));
    return node.send(['MGET', ...keys]) as Promise<(string | null)[]>;
  }

  /**
   * The same, from a replica where there is one to read from. What a replica gives may be behind: its beat says how
   * far, but not whether this process has heard of more since.
   */
  readAnywhere(
    partition: PartitionState,
    keys: readonly string[],
  ): { readonly reply: Promise<readonly (string | null)[]>; readonly replica: boolean } {
    const readers = this.#readers[partition.keys.index] ?? noNodes;
    for (let tried = 0; tried < readers.length; tried += 1) {
      this.#nextReader = (this.#nextReader + 1) % readers.length;
      const node = readers[this.#nextReader]!;
      if (!node.up) continue;
      const reply = node.send(['MGET', ...keys]).catch(() => this.read(partition, keys));
      return { reply: reply as Promise<(string | null)[]>, replica: true };
    }
    return { reply: this.read(partition, keys), replica: false };
  }

  /** One command on the keys of one partition. */
  send(partition: PartitionState, words: readonly string[]): Promise<unknown> {
    const node = this.#owners[partition.keys.index];
    if (node === undefined) return Promise.reject(new Error('No node is known for this partition.'));
    return node.send(words);
  }

  run(
    partition: PartitionState,
    script: Script,
    { keys, args }: { readonly keys: readonly string[]; readonly args: readonly string[] },
  ): Promise<unknown> {
    const node = this.#owners[partition.keys.index];
    if (node === undefined) return Promise.reject(new Error('No node is known for this partition.'));
    return node.run(script, keys, args);
  }

  /** Reads the engine's clock; returns its time (ms) as read, or undefined when the node can't be asked. */
  async sampleClock(partition: PartitionState): Promise<number | undefined> {
    const node = this.#owners[partition.keys.index];
    const session = partition.session;
    if (node === undefined) return undefined;
    try {
      const sample = await this.#readClock(node, partition);
      if (partition.session !== session) return undefined;
      partition.clock.observe(sample.sentMs, sample.engineMs, sample.receivedMs);
      return sample.engineMs;
    } catch {
      return undefined;
    }
  }

  /** Drops the connection that serves a partition: what it holds is in doubt. */
  reset(partition: PartitionState): void {
    this.#owners[partition.keys.index]?.reset();
  }

  /** Called whenever a connection came or went. Returns its own undoing. */
  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sampler);
    clearTimeout(this.#refreshAgain);
    for (const node of this.#nodes.values()) node.close();
    for (const partition of this.partitions) partition.disconnected();
  }

  #node(address: NodeAddress): FarNode {
    const name = nodeName(address);
    const present = this.#nodes.get(name);
    if (present !== undefined) return present;
    const { cache, driver, clock, timeoutMs } = this.#options;
    const node = new FarNode({
      driver,
      address,
      clock,
      timeoutMs,
      events: {
        up: (me) => {
          tell(cache, 'far', () => ({ node: name, state: 'up' }));
          // Else a cluster's replica sends reads to its primary. It changes nothing on a primary.
          if (this.sharded && this.readsReplicas) me.send(['READONLY']).catch(() => {});
          for (const partition of this.#heldBy(me)) void this.#open(me, partition);
          if (this.sharded) this.#refresh();
        },
        down: (me, cause) => {
          tell(cache, 'far', () => ({ node: name, state: 'down', cause }));
          for (const partition of this.#heldBy(me)) partition.disconnected();
          this.#changed();
          if (this.sharded) this.#refresh();
        },
        subscribed: (me) => {
          for (const partition of this.#heldBy(me)) partition.subscriptionUp();
        },
        unsubscribed: (me) => {
          for (const partition of this.#heldBy(me)) partition.subscriptionDown();
          if (this.sharded) this.#refresh();
        },
        moved: () => {
          if (this.sharded) this.#refresh();
        },
        message: (channel, text) => this.#byChannel.get(channel)?.receive(text, clock.nowMs()),
      },
    });
    this.#nodes.set(name, node);
    return node;
  }

  #heldBy(node: FarNode): readonly PartitionState[] {
    return this.partitions.filter((partition) => this.#owners[partition.keys.index] === node);
  }

  /** A partition is usable once its clock is known and what this process owes it is paid. */
  async #open(node: FarNode, partition: PartitionState): Promise<void> {
    try {
      const sample = await this.#readClock(node, partition);
      await this.#options.beforeUse(partition);
      if (!node.up || this.#owners[partition.keys.index] !== node) return;
      partition.clock.observe(sample.sentMs, sample.engineMs, sample.receivedMs);
      partition.connected(this.#nextSession++, sample.beat);
      this.#changed();
    } catch (error) {
      // In a cluster the slot may just have moved; elsewhere the engine may be loading, or a replica.
      if (this.sharded) this.#refresh();
      setTimeout(() => {
        if (
          !this.#closed &&
          node.up &&
          partition.session === 0 &&
          this.#owners[partition.keys.index] === node
        ) {
          void this.#open(node, partition);
        }
      }, topologyThrottleMs).unref();
      void error;
    }
  }

  async #readClock(
    node: FarNode,
    partition: PartitionState,
  ): Promise<{ sentMs: number; engineMs: number; receivedMs: number; beat: string }> {
    const { clock } = this.#options;
    const sentMs = clock.nowMs();
    const reply = await node.run(clockScript, [partition.keys.state, partition.keys.beat], []);
    const [seconds, micros, beat] = reply as [string, string, string];
    const engineMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
    return { sentMs, engineMs, receivedMs: clock.nowMs(), beat };
  }

  #assign(owner: (partition: PartitionState) => NodeAddress | undefined): void {
    for (const partition of this.partitions) {
      const address = owner(partition);
      const node = address === undefined ? undefined : this.#node(address);
      if (node === this.#owners[partition.keys.index]) continue;
      this.#owners[partition.keys.index] = node;
      partition.disconnected();
      partition.subscribed = false;
      if (node?.up) void this.#open(node, partition);
    }
    for (const node of this.#nodes.values()) {
      node.subscribe(
        this.#heldBy(node).map((partition) => partition.keys.channel),
        this.sharded,
      );
    }
    this.#changed();
  }

  /** Those of the wished zone, or all if there are none of it. */
  #readFrom(replicas: (partition: PartitionState) => readonly ZonedAddress[]): void {
    const zone = this.#options.reads?.zone;
    this.#readers = this.partitions.map((partition) => {
      const all = replicas(partition);
      const near = zone === undefined ? [] : all.filter((address) => address.zone === zone);
      return (near.length > 0 ? near : all).map((address) => this.#node(address));
    });
  }

  /** Asks any reachable node for the slots, now, or soon when it was asked just before. */
  #refresh(): void {
    if (this.#refreshing || this.#closed) return;
    this.#refreshing = true;
    void this.#askForSlots().then((ranges) => {
      if (this.#closed) return;
      if (ranges !== undefined) {
        this.#assign((partition) => rangeOf(ranges, partition.keys.slot)?.primary);
        if (this.readsReplicas) {
          this.#readFrom((partition) => rangeOf(ranges, partition.keys.slot)?.replicas ?? []);
        }
        this.#dropUnknown(ranges);
      }
      const settled = ranges !== undefined && this.partitions.every((partition) => partition.session !== 0);
      this.#refreshAgain = setTimeout(
        () => {
          this.#refreshing = false;
          if (!settled) this.#refresh();
        },
        settled ? topologyThrottleMs : topologyThrottleMs * 5,
      );
      this.#refreshAgain.unref();
    });
  }

  /** Nodes that left the cluster; seeds stay, somebody may come back there. */
  #dropUnknown(ranges: readonly SlotRange[]): void {
    const known = new Set(ranges.flatMap(({ primary, replicas }) => [primary, ...replicas].map(nodeName)));
    for (const seed of this.#options.driver.nodes) known.add(nodeName(seed));
    for (const [name, node] of this.#nodes) {
      if (known.has(name)) continue;
      this.#nodes.delete(name);
      node.close();
    }
  }

  async #askForSlots(): Promise<readonly SlotRange[] | undefined> {
    for (const node of this.#nodes.values()) {
      if (!node.up) continue;
      try {
        const reply = await node.send(['CLUSTER', 'SLOTS']);
        const ranges = parseClusterSlots(reply, node.address.host);
        if (ranges !== undefined && ranges.length > 0) return ranges;
      } catch {
        // Ask the next one.
      }
    }
    return undefined;
  }

  #changed(): void {
    for (const listener of this.#onChange) listener();
  }
}
