/** The shared tier on engines that run scripts, put together from its parts. */
import type { Clock } from '../clock.ts';
import type { FeedProgress } from '../feed/partition-feed.ts';
import { PartitionFeed } from '../feed/partition-feed.ts';
import { positionToHex } from '../position.ts';
import type { FillSteps, ScriptedSteps, SharedReads, SharedTier, TierFeed } from '../shared-tier.ts';
import { beginEpoch } from './epoch.ts';
import { FarTier, type FarTierOptions } from './far-tier.ts';
import { FillProtocol } from './fill-protocol.ts';
import { bucketOffset, hashKey, leaseKey, tagOffset, tagSetKey, valueKey } from './partition.ts';
import type { PartitionState } from './partition-state.ts';
import { ReadBatcher } from './read-batcher.ts';
import type { Script } from './script.ts';
import {
  announceScript,
  invalidateScript,
  invalidateTagScript,
  pulseScript,
  stampScript,
  stateScript,
} from './scripts.ts';

export class ScriptedTier implements SharedTier, ScriptedSteps {
  readonly far: FarTier;
  readonly reads: SharedReads;
  readonly #cache: string;
  readonly #clock: Clock;
  readonly #boundMs: number;
  readonly #stateSource: string;

  /** @param stateSource names the kind of positions that a state begun here has. */
  constructor(options: FarTierOptions, stateSource: string) {
    this.far = new FarTier(options);
    this.#cache = options.cache;
    this.#clock = options.clock;
    this.#boundMs = options.boundMs;
    this.#stateSource = stateSource;
    this.reads = new ReadBatcher(this.far, options.clock);
  }

  get scripts(): ScriptedSteps {
    return this;
  }

  get partitions(): readonly PartitionState[] {
    return this.far.partitions;
  }

  get readsReplicas(): boolean {
    return this.far.readsReplicas;
  }

  partitionOf(hash: number): PartitionState {
    return this.far.partitionOf(hash);
  }

  partitionOfKey(fullKey: string): PartitionState {
    return this.far.partitionOfKey(fullKey);
  }

  fills(nextOwner: () => string, voidHash: string): FillSteps {
    return new FillProtocol(this.far, nextOwner, voidHash);
  }

  invalidate(partition: PartitionState, fullKeys: readonly string[]): Promise<unknown> {
    return this.#run(partition, invalidateScript, { keys: fullKeys, first: [] });
  }

  stamp(partition: PartitionState, fullKeys: readonly string[], stamp: bigint): Promise<unknown> {
    return this.#run(partition, stampScript, { keys: fullKeys, first: [positionToHex(stamp)] });
  }

  announce(partition: PartitionState, fullKeys: readonly string[], transaction: bigint): Promise<unknown> {
    return this.#run(partition, announceScript, { keys: fullKeys, first: [transaction.toString()] });
  }

  async invalidateTag(
    partition: PartitionState,
    tag: string,
    stamp: bigint | undefined,
  ): Promise<{ readonly left: number; readonly removed: readonly string[] }> {
    const { keys } = partition;
    const reply = (await this.far.run(partition, invalidateTagScript, {
      keys: [keys.state, keys.tagStamps, tagSetKey(keys, tag)],
      args: [
        this.far.publish,
        keys.channel,
        String(tagOffset(tag)),
        keys.tag,
        stamp === undefined ? '' : positionToHex(stamp),
      ],
    })) as readonly string[];
    return { left: Number(reply[0]), removed: reply.slice(1) };
  }

  async ensureState(partition: PartitionState, floor = 0n): Promise<void> {
    await beginEpoch(this.far, partition, { found: '', floor, source: this.#stateSource });
  }

  async voidAll(partition: PartitionState, floor: bigint): Promise<void> {
    const { keys } = partition;
    const state = { keys: [keys.state, keys.stamps], args: [] };
    for (let done = false; !done; ) {
      const [found = ''] = (await this.far.run(partition, stateScript, state)) as readonly string[];
      // Also where there is none: it may have been evicted, and its beat and entries not.
      // Not done: somebody began another meanwhile, whose floor may be lower.
      done = await beginEpoch(this.far, partition, { found, floor, source: this.#stateSource });
    }
    partition.flush('events');
  }

  isReady(partition: PartitionState, needs: { readonly near: boolean; readonly proof: boolean }): boolean {
    return (
      partition.session !== 0 &&
      (!needs.near || partition.subscribed) &&
      (!needs.proof || this.#clock.nowMs() <= partition.coherentUntilMs)
    );
  }

  feedAgeMs(partition: PartitionState): number {
    return partition.beatAgeMs(this.#clock.nowMs());
  }

  feeds(progress: FeedProgress): readonly TierFeed[] {
    return this.partitions.map(
      (partition) => new PartitionFeed({ cache: this.#cache, far: this.far, partition, progress }),
    );
  }

  pulse(partition: PartitionState): void {
    if (partition.session === 0 || !partition.subscribed) return;
    if (partition.pulsedUntilMs - this.#clock.nowMs() > this.#boundMs / 2) return;
    const keys = [partition.keys.state];
    const args = [this.far.publish, partition.keys.channel];
    this.far.run(partition, pulseScript, { keys, args }).catch(() => {});
  }

  close(): void {
    this.far.close();
  }

  #run(
    partition: PartitionState,
    script: Script,
    call: { readonly keys: readonly string[]; readonly first: readonly string[] },
  ): Promise<unknown> {
    const { keys } = partition;
    return this.far.run(partition, script, {
      keys: [
        keys.state,
        keys.stamps,
        ...call.keys.flatMap((key) => [valueKey(keys, key), leaseKey(keys, key)]),
      ],
      args: [
        ...call.first,
        this.far.publish,
        keys.channel,
        JSON.stringify(call.keys),
        ...call.keys.map((key) => String(bucketOffset(hashKey(key)))),
      ],
    });
  }
}
