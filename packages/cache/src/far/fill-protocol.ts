/** The steps of the fill protocol that a reader takes, as calls of the scripts. */

import { failureNotice } from './failure-notice.ts';
import type { FarTier } from './far-tier.ts';
import { bucketOffset, leaseKey, tagOffset, tagSetKey, valueKey } from './partition.ts';
import type { PartitionState } from './partition-state.ts';
import { acquireScript, fillScript, releaseScript, renewScript } from './scripts.ts';

/** A key and where it lies. */
export interface Place {
  readonly partition: PartitionState;
  readonly fullKey: string;
  readonly hash: number;
}

/** What a miss saw, and the lease it took. */
export interface Token {
  readonly owner: string;
  readonly epoch: string;
  readonly watermark: string;
  readonly generation: string;
  /** Tag invalidations of the partition so far. */
  readonly tagCount: string;
}

export type Acquired =
  | { readonly kind: 'value'; readonly text: string; readonly beat: string }
  | { readonly kind: 'lease'; readonly token: Token }
  /** A change is applied but not visible: a fill would be refused. */
  | { readonly kind: 'invisible' }
  /** Another process loads: the owner of its lease. */
  | { readonly kind: 'busy'; readonly holder: string }
  /** The partition keeps nothing now. */
  | { readonly kind: 'none' };

export type RefusedFill = 'stamp' | 'epoch' | 'generation' | 'floor' | 'none' | 'pending' | 'tag';
export type FillAnswer = 'ok' | RefusedFill;

export interface NewEntry {
  readonly text: string;
  /** How long the shared tier keeps it. */
  readonly keepForMs: number;
  readonly tags: readonly string[];
}

/** How long a lease lasts; its holder renews it at a third of that while it loads. */
export const leaseMs = 500;

/** All reject when the shared tier can't be asked. */
export class FillProtocol {
  readonly #far: FarTier;
  readonly #nextOwner: () => string;
  readonly #voidHash: string;

  /** @param voidHash of the definition. */
  constructor(far: FarTier, nextOwner: () => string, voidHash: string) {
    this.#far = far;
    this.#nextOwner = nextOwner;
    this.#voidHash = voidHash;
  }

  /**
   * @param watermark one that the reader took from the database itself, where no feed publishes any; else ''.
   */
  async acquire(
    { partition, fullKey, hash }: Place,
    { ignorePresent, watermark }: { readonly ignorePresent: boolean; readonly watermark: string },
  ): Promise<Acquired> {
    const owner = this.#nextOwner();
    const { keys } = partition;
    const [answer, first = '', second = '', third = '', fourth = ''] = (await this.#far.run(
      partition,
      acquireScript,
      {
        keys: [valueKey(keys, fullKey), leaseKey(keys, fullKey), keys.state, keys.stamps, keys.beat],
        args: [
          String(bucketOffset(hash)),
          owner,
          String(leaseMs),
          ignorePresent ? '1' : '0',
          watermark,
          this.#voidHash,
        ],
      },
    )) as readonly string[];
    switch (answer) {
      case 'value':
        return { kind: 'value', text: first, beat: second };
      case 'lease':
        return {
          kind: 'lease',
          token: { owner, epoch: first, watermark: second, generation: third, tagCount: fourth },
        };
      case 'invisible':
        return { kind: answer };
      case 'busy':
        return { kind: answer, holder: first };
      default:
        return { kind: 'none' };
    }
  }

  /** Offers an entry, and gives the lease back. */
  async fill({ partition, fullKey, hash }: Place, token: Token, entry: NewEntry): Promise<FillAnswer> {
    const { keys } = partition;
    const { tags } = entry;
    const tagged = tags.length > 0;
    const answer = await this.#far.run(partition, fillScript, {
      keys: [
        valueKey(keys, fullKey),
        leaseKey(keys, fullKey),
        keys.state,
        keys.stamps,
        ...(tagged ? [keys.tagStamps, keys.tagSets, ...tags.map((tag) => tagSetKey(keys, tag))] : []),
      ],
      args: [
        String(bucketOffset(hash)),
        token.epoch,
        token.watermark,
        token.generation,
        token.owner,
        entry.text,
        String(entry.keepForMs),
        this.#far.publish,
        keys.channel,
        `F ${fullKey}`,
        ...(tagged ? [token.tagCount, fullKey, ...tags.map((tag) => String(tagOffset(tag)))] : []),
      ],
    });
    return answer as FillAnswer;
  }

  /** Gives the lease back without a fill; readers elsewhere who wait for this load get its error, if it failed. */
  release({ partition, fullKey }: Place, { owner }: Token, error?: unknown): void {
    const notice = error === undefined ? `F ${fullKey}` : failureNotice(fullKey, owner, error);
    const args = [owner, this.#far.publish, partition.keys.channel, notice];
    const keys = [leaseKey(partition.keys, fullKey)];
    this.#far.run(partition, releaseScript, { keys, args }).catch(() => {});
  }

  /** Holds the lease until the returned function is called. */
  hold({ partition, fullKey }: Place, { owner }: Token): () => void {
    const keys = [leaseKey(partition.keys, fullKey)];
    const renew = (): void => {
      const args = [owner, String(leaseMs)];
      this.#far.run(partition, renewScript, { keys, args }).catch(() => {});
    };
    const timer = setInterval(renew, leaseMs / 3);
    return () => clearInterval(timer);
  }
}
