/**
 * Invalidation by the application and by events without a position; what the feed does is in feed/.
 *
 * A key's invalidation that the shared tier did not confirm is owed: it is repeated until it is, and meanwhile
 * this process doesn't read there what it knows to be old. A tag's is repeated by its caller.
 */
import { leasesLack, refusalOf } from './capabilities.ts';
import type { Database, TouchableDatabase, Transaction } from './database.ts';
import { AnnouncementError, CacheClosedError, CacheConfigError, InvalidationPendingError } from './errors.ts';
import type { PartitionState } from './far/partition-state.ts';
import { Dependencies, isEverywhere, tagOf, type WatchingDefinition } from './feed/dependencies.ts';
import type { RowChange } from './feed/source.ts';
import type { SharedTier } from './shared-tier.ts';
import { tell } from './telemetry.ts';
import { encodeTouch, touchPrefix } from './touch-message.ts';

export interface AppInvalidationOptions {
  readonly cache: string;
  readonly tier: SharedTier;
  /** Stops serving these keys in this process. */
  readonly forget: (fullKeys: readonly string[]) => void;
  readonly definitions: () => readonly WatchingDefinition[];
  /** Given where tokens are transactions: events are then stamped with one. */
  readonly stampWith: Database | undefined;
  /** Given where a feed can bring an application's messages. */
  readonly touchable: TouchableDatabase | undefined;
}

/** More in one step would hold up other clients of the engine. */
const maxKeysPerStep = 500;

export class AppInvalidation {
  readonly #o: AppInvalidationOptions;
  #closed = false;

  constructor(options: AppInvalidationOptions) {
    this.#o = options;
  }

  /** Rejects with InvalidationPendingError, and owes. */
  async keys(partition: PartitionState, fullKeys: readonly string[]): Promise<void> {
    this.#o.forget(fullKeys);
    this.#refuseClosed();
    try {
      if (partition.session === 0) throw new Error('The shared tier is down.');
      await this.#o.tier.invalidate(partition, fullKeys);
    } catch (cause) {
      for (const fullKey of fullKeys) partition.owed.add(fullKey);
      const message = 'The shared tier did not confirm the invalidation; it is repeated until it does.';
      throw new InvalidationPendingError(message, { cause });
    }
  }

  /** @param stamp for an event. Rejects with InvalidationPendingError when a partition did not confirm. */
  async tag(tag: string, stamp?: bigint): Promise<void> {
    this.#refuseClosed();
    const { tier, forget } = this.#o;
    const { scripts } = tier;
    if (scripts === undefined) throw new CacheConfigError(leasesLack.tags);
    const remove = async (partition: PartitionState): Promise<void> => {
      for (let more = true; more; ) {
        const { left, removed } = await scripts.invalidateTag(partition, tag, stamp);
        more = left > 0;
        // Its message may still be on its way when this resolves.
        forget(removed);
      }
    };
    const message = `The shared tier did not confirm everywhere that tag ${tag} is invalid; call again.`;
    await allConfirmed(tier.partitions.map(remove), message);
  }

  /** Rejects when the shared tier, or the database, did not confirm: deliver the events again. */
  async events(changes: readonly RowChange[], beforeCommit: boolean): Promise<void> {
    this.#refuseClosed();
    const { cache, tier, stampWith, forget } = this.#o;
    const refusal = refusalOf({
      engine: tier.scripts === undefined ? 'leases' : 'stamps',
      guarantee: stampWith === undefined ? 'bounded' : 'eventual',
      source: undefined,
      eventsBeforeCommit: beforeCommit,
      transactions: stampWith !== undefined,
      loaders: 'primary',
    });
    if (refusal !== undefined) throw new CacheConfigError(refusal);
    const { groups, tags, doubt } = this.#keysOf(changes);
    if (groups.size === 0 && tags.length === 0 && doubt === undefined) return;
    // After the events were received, so that whoever caused them has a smaller number.
    const stamp = await stampWith?.barrier();
    const steps: Promise<unknown>[] = tags.map((tag) => this.tag(tag, stamp));
    if (doubt !== undefined) {
      tell(cache, 'feed', () => ({ state: 'events', cause: doubt }));
      for (const partition of tier.partitions) steps.push(tier.voidAll(partition, stamp ?? 0n));
    }
    for (const [partition, fullKeys] of groups) {
      forget(fullKeys);
      for (let at = 0; at < fullKeys.length; at += maxKeysPerStep) {
        const keys = fullKeys.slice(at, at + maxKeysPerStep);
        steps.push(
          stamp === undefined || tier.scripts === undefined
            ? tier.invalidate(partition, keys)
            : tier.scripts.stamp(partition, keys, stamp),
        );
      }
    }
    await allConfirmed(steps, 'The shared tier did not confirm all events; deliver them again.');
  }

  /** `doubt`: why some event may concern any key. */
  #keysOf(changes: readonly RowChange[]): {
    readonly groups: ReadonlyMap<PartitionState, string[]>;
    readonly tags: readonly string[];
    readonly doubt: Error | undefined;
  } {
    const dependencies = new Dependencies(this.#o.definitions());
    const targets = new Set<string>();
    let doubt: Error | undefined;
    for (const change of changes) doubt = dependencies.collect(change, targets) ?? doubt;
    const all = doubt === undefined ? [...targets] : [];
    const tags = all.flatMap((target) => tagOf(target) ?? []);
    return { groups: this.#byPartition(all.filter((target) => !isEverywhere(target))), tags, doubt };
  }

  /**
   * Has the transaction's commit invalidate the keys, by the feed.
   * @param strict announces them as well, now. Rejects with AnnouncementError when that can't be.
   */
  async touch(transaction: Transaction, fullKeys: readonly string[], strict: boolean): Promise<void> {
    this.#refuseClosed();
    const { cache, touchable, tier } = this.#o;
    if (strict && tier.scripts === undefined) throw new CacheConfigError(leasesLack.strict);
    if (touchable === undefined) {
      throw new CacheConfigError(
        '`touch` needs a `database` that can carry messages, as postgresDatabase can, and `guarantee: "bounded"`.',
      );
    }
    await touchable.message(transaction, touchPrefix(cache), encodeTouch(fullKeys));
    if (strict) await this.#announce(await touchable.numberOf(transaction), fullKeys);
  }

  async #announce(transaction: bigint, fullKeys: readonly string[]): Promise<void> {
    const { scripts } = this.#o.tier;
    this.#o.forget(fullKeys);
    try {
      for (const [partition, keys] of this.#byPartition(fullKeys)) {
        if ((await scripts?.announce(partition, keys, transaction)) === 'ok') continue;
        throw new Error('The partition has no state: is an invalidator running?');
      }
    } catch (cause) {
      const message = 'The shared tier did not take the announcement: roll back, or touch without `strict`.';
      throw new AnnouncementError(message, { cause });
    }
  }

  #byPartition(fullKeys: Iterable<string>): Map<PartitionState, string[]> {
    const groups = new Map<PartitionState, string[]>();
    for (const key of fullKeys) {
      const partition = this.#o.tier.partitionOfKey(key);
      const group = groups.get(partition) ?? [];
      groups.set(partition, group);
      group.push(key);
    }
    return groups;
  }

  /** What this process owes a partition, before it is read again. */
  async pay(partition: PartitionState): Promise<void> {
    while (partition.owed.size > 0) {
      const keys = [...partition.owed].slice(0, maxKeysPerStep);
      await this.#o.tier.invalidate(partition, keys);
      for (const fullKey of keys) partition.owed.delete(fullKey);
    }
  }

  payAll(): void {
    for (const partition of this.#o.tier.partitions) {
      if (partition.owed.size > 0 && partition.session !== 0) this.pay(partition).catch(() => {});
    }
  }

  close(): void {
    this.#closed = true;
  }

  #refuseClosed(): void {
    if (this.#closed) throw new CacheClosedError(`Cache ${this.#o.cache} is closed.`);
  }
}

/** Waits for every step, also when one failed already. Rejects with InvalidationPendingError. */
async function allConfirmed(steps: readonly Promise<unknown>[], message: string): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw new InvalidationPendingError(message, { cause: failed.reason });
}
