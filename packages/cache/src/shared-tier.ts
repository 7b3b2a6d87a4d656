/**
 * The shared tier by capability: what the read path, definitions, applications' invalidations and the invalidator
 * need of it. Two kinds fulfil it: engines that run scripts (far/scripted-tier.ts: Valkey, Redis), which compare
 * stamps with tokens, and engines that only lease (memcached/leased-tier.ts).
 */
import type { Clock } from './clock.ts';
import type { FarTier } from './far/far-tier.ts';
import type { Acquired, FillAnswer, NewEntry, Place, Token } from './far/fill-protocol.ts';
import type { PartitionListener, PartitionState } from './far/partition-state.ts';
import type { FarAnswer, Proof } from './far/read-batcher.ts';
import type { FeedProgress } from './feed/partition-feed.ts';
import type { Horizon, Resumption } from './feed/source.ts';

/** Entries, each with what proves it. */
export interface SharedReads {
  read(partition: PartitionState, fullKey: string, answer: FarAnswer): void;
  /** Rejects when the tier can't be asked. */
  readPrimary(
    partition: PartitionState,
    fullKey: string,
  ): Promise<{ readonly text: string | null; readonly proof: Proof }>;
  judge(partition: PartitionState, beat: string | null): Proof;
}

/** From a miss to an entry. All reject when the tier can't be asked. */
export interface FillSteps {
  acquire(
    place: Place,
    options: { readonly ignorePresent: boolean; readonly watermark: string },
  ): Promise<Acquired>;
  fill(place: Place, token: Token, entry: NewEntry): Promise<FillAnswer>;
  release(place: Place, token: Token, error?: unknown): void;
  hold(place: Place, token: Token): () => void;
}

/** The invalidator's side of the tier, or of one partition of it. */
export interface TierFeed {
  /** Everything up to here is applied, wherever something is believed. */
  readonly applied: bigint;
  /** What a restart could not find again: the source may not be told more. */
  readonly acknowledgeable: bigint;
  readonly queued: number;
  readonly congested: boolean;
  readonly relieved: boolean;
  readonly epochs: number;
  readonly repairs: number;
  /** Local time of the newest heartbeat. */
  lastBeatAtMs: number;
  remembered(): Promise<Pick<Resumption, 'position' | 'history'> | undefined>;
  resumed(start: { readonly position: bigint; readonly fresh: boolean }): void;
  enqueue(targets: Iterable<string>, position: bigint, committedAtMs: number): void;
  /** Owes that everything cached before is void. */
  forget(reason: string): void;
  /**
   * Begins a heartbeat, before the database is asked how far it is; undefined when there can be none now. The
   * returned step ends it, once everything that `horizon` shows is applied: false when it was refused.
   */
  beginBeat(maxAgeMs: number): Promise<((horizon: Horizon) => Promise<boolean>) | undefined>;
  /** What is visible has moved. */
  publishWatermark(): Promise<void>;
  stop(): Promise<unknown>;
}

export interface SharedTier {
  readonly partitions: readonly PartitionState[];
  readonly readsReplicas: boolean;
  readonly reads: SharedReads;
  /** What only engines with scripts can; undefined elsewhere. */
  readonly scripts: ScriptedSteps | undefined;
  partitionOf(hash: number): PartitionState;
  partitionOfKey(fullKey: string): PartitionState;
  fills(nextOwner: () => string, voidHash: string): FillSteps;
  /** An application's invalidation, after its commit. Rejects when the tier didn't confirm. */
  invalidate(partition: PartitionState, fullKeys: readonly string[]): Promise<unknown>;
  /** Has a partition keep entries where no feed does; loads that may have begun before `floor` fill nothing. */
  ensureState(partition: PartitionState, floor?: bigint): Promise<void>;
  /** Voids what a partition holds, if it holds anything; loads that may have begun before `floor` fill nothing. */
  voidAll(partition: PartitionState, floor: bigint): Promise<void>;
  isReady(partition: PartitionState, needs: { readonly near: boolean; readonly proof: boolean }): boolean;
  /** At most how long ago the newest proof was true; NaN while there is none. */
  feedAgeMs(partition: PartitionState): number;
  /** One for all partitions, or one for each in their order. */
  feeds(progress: FeedProgress): readonly TierFeed[];
  /** Proves to near tiers, where no feed does, that nothing was invalidated. */
  pulse(partition: PartitionState): void;
  close(): void;
}

export interface ScriptedSteps {
  readonly far: FarTier;
  stamp(partition: PartitionState, fullKeys: readonly string[], stamp: bigint): Promise<unknown>;
  /** 'ok', or why not. */
  announce(partition: PartitionState, fullKeys: readonly string[], transaction: bigint): Promise<unknown>;
  /** Removes what has the tag, some of it: how much is left, and the keys that went. */
  invalidateTag(
    partition: PartitionState,
    tag: string,
    stamp: bigint | undefined,
  ): Promise<{ readonly left: number; readonly removed: readonly string[] }>;
}

export interface TierOptions {
  readonly cache: string;
  readonly boundMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly listener: PartitionListener;
  /** Runs before a partition that came back is used. */
  readonly beforeUse: (partition: PartitionState) => Promise<void>;
}

/** A driver whose engine can't run scripts brings its own tier. */
export interface LeasingDriver {
  readonly name: string;
  openTier(options: TierOptions): SharedTier;
}

export function isLeasing(driver: unknown): driver is LeasingDriver {
  const opens = typeof driver === 'object' && driver !== null && 'openTier' in driver;
  return opens && typeof driver.openTier === 'function';
}
