/**
 * Invalidation by the application and by events without a position; what the feed does is in feed/.
 *
 * A key's invalidation that the shared tier did not confirm is owed: it is repeated until it is, and meanwhile
 * this process doesn't read there what it knows to be old. A tag's is repeated by its caller.
 */
import type { Database, TouchableDatabase, Transaction } from './database.ts';
import { AnnouncementError, CacheClosedError, CacheConfigError, InvalidationPendingError } from './errors.ts';
import { beginEpoch } from './far/epoch.ts';
import type { FarTier } from './far/far-tier.ts';
import { bucketOffset, hashKey, leaseKey, tagOffset, tagSetKey, valueKey } from './far/partition.ts';
import type { PartitionState } from './far/partition-state.ts';
import {
  announceScript,
  invalidateScript,
  invalidateTagScript,
  type Script,
  stampScript,
  stateScript,
} from './far/scripts.ts';
import { Dependencies, isEverywhere, tagOf, type WatchingDefinition } from './feed/dependencies.ts';
import type { RowChange } from './feed/source.ts';
import { positionToHex } from './position.ts';
import { tell } from './telemetry.ts';
import { encodeTouch, touchPrefix } from './touch-message.ts';

export interface AppInvalidationOptions {
  readonly cache: string;
  readonly far: FarTier;
  /** Stops serving these keys in this process. */
  readonly forget: (fullKeys: readonly string[]) => void;
  readonly definitions: () => readonly WatchingDefinition[];
  /** Given where tokens are transactions: events are then stamped with one. */
  readonly stampWith: Database | undefined;
  /** Given where a feed can bring an application's messages. */
  readonly touchable: TouchableDatabase | undefined;
  /** Names the kind of positions that a state begun here has. */
  readonly stateSource: string;
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
      await this.#run(partition, invalidateScript, { keys: fullKeys, first: [] });
    } catch (cause) {
      for (const fullKey of fullKeys) partition.owed.add(fullKey);
      throw pending(cause);
    }
  }

  /** @param stamp for an event. Rejects with InvalidationPendingError when a partition did not confirm. */
  async tag(tag: string, stamp?: bigint): Promise<void> {
    this.#refuseClosed();
    const { far, forget } = this.#o;
    const remove = async (partition: PartitionState): Promise<void> => {
      const { keys } = partition;
      const call = {
        keys: [keys.state, keys.tagStamps, tagSetKey(keys, tag)],
        args: [
          far.publish,
          keys.channel,
          String(tagOffset(tag)),
          keys.tag,
          stamp === undefined ? '' : positionToHex(stamp),
        ],
      };
      for (let left = 1; left > 0; ) {
        const reply = (await far.run(partition, invalidateTagScript, call)) as readonly string[];
        left = Number(reply[0]);
        // Its message may still be on its way when this resolves.
        forget(reply.slice(1));
      }
    };
    const outcomes = await Promise.allSettled(far.partitions.map(remove));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    const message = `The shared tier did not confirm everywhere that tag ${tag} is invalid; call again.`;
    throw new InvalidationPendingError(message, { cause: failed.reason });
  }

  /** Rejects when the shared tier, or the database, did not confirm: deliver the events again. */
  async events(changes: readonly RowChange[], beforeCommit: boolean): Promise<void> {
    this.#refuseClosed();
    const { cache, far, stampWith, forget } = this.#o;
    if (beforeCommit && stampWith === undefined) {
      throw new CacheConfigError(
        'Events that may come before their commit need `database` and `guarantee: "eventual"` in createCache.',
      );
    }
    const { groups, tags, doubt } = this.#keysOf(changes);
    if (groups.size === 0 && tags.length === 0 && doubt === undefined) return;
    // After the events were received, so that whoever caused them has a smaller number.
    const stamp = await stampWith?.barrier();
    const steps: Promise<unknown>[] = tags.map((tag) => this.tag(tag, stamp));
    if (doubt !== undefined) {
      tell(cache, 'feed', () => ({ state: 'events', cause: doubt }));
      for (const partition of far.partitions) steps.push(this.#void(partition, stamp ?? 0n));
    }
    for (const [partition, fullKeys] of groups) {
      forget(fullKeys);
      for (let at = 0; at < fullKeys.length; at += maxKeysPerStep) {
        const keys = fullKeys.slice(at, at + maxKeysPerStep);
        steps.push(
          stamp === undefined
            ? this.#run(partition, invalidateScript, { keys, first: [] })
            : this.#run(partition, stampScript, { keys, first: [positionToHex(stamp)] }),
        );
      }
    }
    const failed = (await Promise.allSettled(steps)).find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    const message = 'The shared tier did not confirm all events; deliver them again.';
    throw new InvalidationPendingError(message, { cause: failed.reason });
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

  /** Begins an epoch; nothing is filled in it by a load that may have begun before `floor`. */
  async #void(partition: PartitionState, floor: bigint): Promise<void> {
    const { far, stateSource } = this.#o;
    const { keys } = partition;
    const state = { keys: [keys.state, keys.stamps], args: [] };
    const [found = ''] = (await far.run(partition, stateScript, state)) as readonly string[];
    // Without a state there is nothing to void.
    if (found === '') return;
    await beginEpoch(far, partition, { found, floor, source: stateSource });
    partition.flush('events');
  }

  /**
   * Has the transaction's commit invalidate the keys, by the feed.
   * @param strict announces them as well, now. Rejects with AnnouncementError when that can't be.
   */
  async touch(transaction: Transaction, fullKeys: readonly string[], strict: boolean): Promise<void> {
    this.#refuseClosed();
    const { cache, touchable } = this.#o;
    if (touchable === undefined) {
      throw new CacheConfigError(
        '`touch` needs a `database` that can carry messages, as postgresDatabase can, and `guarantee: "bounded"`.',
      );
    }
    await touchable.message(transaction, touchPrefix(cache), encodeTouch(fullKeys));
    if (strict) await this.#announce(await touchable.numberOf(transaction), fullKeys);
  }

  async #announce(transaction: bigint, fullKeys: readonly string[]): Promise<void> {
    this.#o.forget(fullKeys);
    try {
      for (const [partition, keys] of this.#byPartition(fullKeys)) {
        const first = [transaction.toString()];
        if ((await this.#run(partition, announceScript, { keys, first })) === 'ok') continue;
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
      const partition = this.#o.far.partitionOfKey(key);
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
      await this.#run(partition, invalidateScript, { keys, first: [] });
      for (const fullKey of keys) partition.owed.delete(fullKey);
    }
  }

  payAll(): void {
    for (const partition of this.#o.far.partitions) {
      if (partition.owed.size > 0 && partition.session !== 0) this.pay(partition).catch(() => {});
    }
  }

  close(): void {
    this.#closed = true;
  }

  async #run(
    partition: PartitionState,
    script: Script,
    call: { readonly keys: readonly string[]; readonly first: readonly string[] },
  ): Promise<unknown> {
    const { far } = this.#o;
    const { keys } = partition;
    return far.run(partition, script, {
      keys: [
        keys.state,
        keys.stamps,
        ...call.keys.flatMap((key) => [valueKey(keys, key), leaseKey(keys, key)]),
      ],
      args: [
        ...call.first,
        far.publish,
        keys.channel,
        JSON.stringify(call.keys),
        ...call.keys.map((key) => String(bucketOffset(hashKey(key)))),
      ],
    });
  }

  #refuseClosed(): void {
    if (this.#closed) throw new CacheClosedError(`Cache ${this.#o.cache} is closed.`);
  }
}

function pending(cause: unknown): InvalidationPendingError {
  const message = 'The shared tier did not confirm the invalidation; it is repeated until it does.';
  return new InvalidationPendingError(message, { cause });
}
