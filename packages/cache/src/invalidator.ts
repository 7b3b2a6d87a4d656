/**
 * Carries the database's changes to the shared tier.
 *
 *   source ──commits──▶ queue per partition ──apply──▶ engine: stamp, remove, tell near tiers      (at once)
 *      └──horizon──▶ which commits are visible ──▶ engine: watermark W                            (when visible)
 *                                              └──▶ source: acknowledge                            (when both)
 *
 * A commit's event can arrive before new readers of the database see its rows. So removing and allowing are two
 * steps: the entry goes at once, but W, which a fill's token must have reached, moves on only when every commit
 * up to it is applied and visible. Holding back the removal instead would serve the old value longer; allowing
 * at once would let a loader put the old row back for good.
 *
 * The bound on staleness is proved, not assumed. A heartbeat round reads the engine's clock (te), then asks the
 * database for its flushed position L: every commit acknowledged before te has a position up to L. When
 * everything up to L is applied to the partition, the heartbeat says te. Readers use nothing whose newest
 * heartbeat is older than the bound, so whatever stalls here, staleness stops growing there.
 *
 * The source is acknowledged only what is applied and visible: after a crash everything else comes again, and
 * applying twice is harmless (stamps are maxima). A restart can therefore start with W at the acknowledged
 * position without asking anybody.
 *
 * Not covered: commits with synchronous_commit=off become visible before they are flushed, and so before L
 * covers them; they reach the cache up to three times wal_writer_delay later.
 */
import type { Clock } from './clock.ts';
import { Dependencies, definitionOf, isEverywhere, type WatchingDefinition } from './feed/dependencies.ts';
import type { FeedProgress } from './feed/partition-feed.ts';
import type { ChangeSink, ChangeSource, Horizon, Resumption, RowChange, SourceState } from './feed/source.ts';
import { earlierOf, laterOf, positionToHex } from './position.ts';
import type { SharedTier, TierFeed } from './shared-tier.ts';
import { tell } from './telemetry.ts';
import { decodeTouch, touchPrefix } from './touch-message.ts';

export interface InvalidatorOptions {
  /** Between heartbeats. Default a sixth of the cache's `boundMs`. */
  readonly heartbeatMs?: number;
  /**
   * A transaction that touches more keys voids the whole cache instead. Default 10,000: applying more takes
   * about as long as the bound, and while the feed lags behind that far nothing cached is served anyway.
   */
  readonly maxKeysPerTransaction?: number;
}

export interface InvalidatorStatus {
  readonly state: SourceState;
  /** Log positions, hex. */
  readonly received: string;
  readonly applied: string;
  readonly watermark: string;
  readonly acknowledged: string;
  /** Since the newest heartbeat was sent, of the partition that is worst off; null before the first. */
  readonly heartbeatAgeMs: number | null;
  readonly heartbeats: number;
  readonly transactions: number;
  readonly keysInvalidated: number;
  /** Changes that wait for the shared tier. */
  readonly queuedKeys: number;
  /** The source is held back until the shared tier has caught up. */
  readonly held: boolean;
  /** Commits that are applied but not visible yet. */
  readonly awaitingVisibility: number;
  readonly epochsBegun: number;
  /** Times that a definition was made void as a whole. */
  readonly definitionsVoided: number;
  readonly failoversRepaired: number;
}

interface InvalidatorHost {
  readonly cache: string;
  readonly tier: SharedTier;
  readonly clock: Clock;
  readonly boundMs: number;
  readonly source: ChangeSource;
  readonly definitions: readonly WatchingDefinition[];
}

/** A commit that isn't known to be visible. `past`: all transactions before the number must have ended. */
interface Unseen {
  /** What had been received before it. It is visible when nothing unseen comes before this one. */
  readonly before: bigint;
  readonly transaction: bigint;
  readonly past: boolean;
}

const mostVisibilityPollMs = 20;

export class Invalidator {
  readonly #host: InvalidatorHost;
  readonly #dependencies: Dependencies;
  /** One for all partitions, or one for each in their order. */
  readonly #feeds: readonly TierFeed[];
  readonly #heartbeatMs: number;
  readonly #maxKeys: number;
  #state: SourceState = 'stopped';
  #history = '';
  #received = 0n;
  #visible = 0n;
  #acknowledged = 0n;
  #unseen: Unseen[] = [];
  #transaction = 0n;
  /** What the running transaction invalidates, see dependencies.ts. */
  readonly #targets = new Set<string>();
  /** Tables that it changed rows of. */
  readonly #changed = new Set<string>();
  /** Tables of which any row may have changed. */
  readonly #wholly = new Set<string>();
  #everything = false;
  #watching = false;
  #held = false;
  #started = false;
  #stopped = false;
  #heartbeats = 0;
  #transactions = 0;
  #keysInvalidated = 0;
  #definitionsVoided = 0;
  #stream = 0;
  readonly #appliedWaiters = new Set<() => void>();

  /** Throws CacheConfigError when no definition watches anything. */
  constructor(host: InvalidatorHost, options: InvalidatorOptions) {
    this.#host = host;
    this.#dependencies = new Dependencies(host.definitions);
    this.#heartbeatMs = options.heartbeatMs ?? host.boundMs / 6;
    this.#maxKeys = options.maxKeysPerTransaction ?? 10_000;
    const progress: FeedProgress = {
      received: () => this.#received,
      visible: () => this.#visible,
      history: () => this.#history,
      applied: () => this.#onApplied(),
    };
    this.#feeds = host.tier.feeds(progress);
  }

  /**
   * Begins, and goes on through every failure until `stop`. Resolves when the source streams, or stands by
   * because another process has the stream. Rejects with FeedConfigError when the database must be set up
   * differently.
   */
  async start(): Promise<void> {
    if (this.#started) throw new Error('An invalidator starts once.');
    this.#started = true;
    await this.#host.source.start(this.#dependencies.tables, this.#sink());
    void this.#beatForever();
  }

  status(): InvalidatorStatus {
    const total = (of: (feed: TierFeed) => number): number =>
      this.#feeds.reduce((sum, feed) => sum + of(feed), 0);
    const oldestBeat = Math.min(...this.#feeds.map((feed) => feed.lastBeatAtMs));
    const applied = this.#applied();
    return {
      state: this.#state,
      received: positionToHex(this.#received),
      applied: positionToHex(applied),
      watermark: positionToHex(earlierOf(applied, this.#visible)),
      acknowledged: positionToHex(this.#acknowledged),
      heartbeatAgeMs: Number.isFinite(oldestBeat) ? this.#host.clock.nowMs() - oldestBeat : null,
      heartbeats: this.#heartbeats,
      transactions: this.#transactions,
      keysInvalidated: this.#keysInvalidated,
      queuedKeys: total((feed) => feed.queued),
      held: this.#held,
      awaitingVisibility: this.#unseen.length,
      epochsBegun: total((feed) => feed.epochs),
      definitionsVoided: this.#definitionsVoided,
      failoversRepaired: total((feed) => feed.repairs),
    };
  }

  /** Stops in order: what was applied is acknowledged. The slot stays; the next start goes on from it. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wakeApplied();
    await Promise.all(this.#feeds.map((feed) => feed.stop()));
    await this.#host.source.stop();
    this.#state = 'stopped';
  }

  #applied(): bigint {
    return this.#feeds.reduce((least, { applied }) => earlierOf(applied, least), this.#received);
  }

  // --- from the source ------------------------------------------------------------------------------------

  #sink(): ChangeSink {
    const { cache } = this.#host;
    return {
      resumed: (from) => this.#resume(from),
      begin: (transaction) => {
        this.#transaction = transaction;
        this.#targets.clear();
        this.#changed.clear();
        this.#wholly.clear();
        this.#everything = false;
      },
      change: (change) => this.#collect(change),
      truncated: (tables) => {
        for (const table of tables) this.#changedWholly(table);
      },
      touched: (prefix, content) => this.#touched(prefix, content),
      commit: (position, committedAtMs) => this.#commit(position, committedAtMs),
      progress: (position) => {
        if (position <= this.#received) return;
        this.#received = position;
        if (this.#unseen.length === 0) this.#visible = position;
        this.#onApplied();
      },
      state: (state, cause) => {
        this.#state = state;
        tell(cache, 'feed', () => (cause === undefined ? { state } : { state, cause }));
      },
      remembered: () => this.#remembered(),
    };
  }

  async #remembered(): Promise<Pick<Resumption, 'position' | 'history'> | undefined> {
    const [first, ...rest] = await Promise.all(this.#feeds.map((feed) => feed.remembered()));
    return rest.reduce((least, found) => {
      if (least === undefined || found?.history !== least.history) return undefined;
      return found.position < least.position ? found : least;
    }, first);
  }

  #resume(from: Resumption): void {
    const fresh = from.fresh || (this.#history !== '' && this.#history !== from.history);
    this.#history = from.history;
    this.#stream += 1;
    this.#received = from.position;
    this.#acknowledged = from.position;
    this.#unseen = [];
    this.#held = false;
    this.#visible = fresh ? 0n : from.position;
    for (const feed of this.#feeds) feed.resumed({ position: from.position, fresh });
    if (fresh) void this.#raiseBarrier();
  }

  /** What was committed before a new stream may not be visible yet, and nobody will say when it is. */
  async #raiseBarrier(): Promise<void> {
    const stream = this.#stream;
    // Holds W back until the number is known.
    const held: Unseen = { before: 0n, transaction: 1n << 63n, past: true };
    this.#unseen.unshift(held);
    while (!this.#stopped && stream === this.#stream) {
      try {
        const transaction = await this.#host.source.barrier();
        if (stream !== this.#stream) return;
        this.#unseen = this.#unseen.map((unseen) => (unseen === held ? { ...held, transaction } : unseen));
        this.#watchVisibility();
        return;
      } catch {
        await delay(50);
      }
    }
  }

  #collect(change: RowChange): void {
    const { table } = change;
    if (this.#everything || this.#wholly.has(table)) return;
    this.#changed.add(table);
    const cause = this.#dependencies.collect(change, this.#targets);
    if (cause !== undefined) {
      // One row must not stop the feed.
      tell(this.#host.cache, 'feed', () => ({ state: this.#state, cause }));
      this.#changedWholly(table);
    }
    if (this.#targets.size <= this.#maxKeys) return;
    this.#targets.clear();
    for (const each of [...this.#changed, ...this.#wholly]) this.#changedWholly(each);
  }

  #changedWholly(table: string): void {
    if (!this.#dependencies.watches(table)) return;
    this.#wholly.add(table);
    const definitions = this.#dependencies.definitionsOver(table);
    if (definitions === undefined) this.#everything = true;
    else for (const definition of definitions) this.#targets.add(definition);
  }

  #touched(prefix: string, content: string): void {
    const { cache } = this.#host;
    if (prefix !== touchPrefix(cache)) return;
    const keys = decodeTouch(content);
    if (keys === undefined) this.#everything = true;
    else for (const key of keys) this.#targets.add(key);
  }

  #commit(position: bigint, committedAtMs: number): void {
    this.#transactions += 1;
    const before = this.#received;
    this.#received = laterOf(position, before);
    if (!this.#everything && this.#targets.size === 0) {
      if (this.#unseen.length === 0) this.#visible = this.#received;
      return;
    }
    // Redelivered ones were visible before they were acknowledged, or are asked about again: no harm.
    this.#unseen.push({ before, transaction: this.#transaction, past: false });
    if (this.#everything) for (const feed of this.#feeds) feed.forget('bulk change');
    else this.#enqueue(position, committedAtMs);
    for (const target of this.#targets) {
      if (definitionOf(target) === undefined) this.#keysInvalidated += 1;
      else this.#definitionsVoided += 1;
    }
    this.#watchVisibility();
    if (!this.#held && this.#feeds.some((feed) => feed.congested)) this.#hold(true);
  }

  #hold(held: boolean): void {
    this.#held = held;
    this.#host.source.hold?.(held);
  }

  #enqueue(position: bigint, committedAtMs: number): void {
    const { tier } = this.#host;
    if (this.#feeds.length === 1) {
      this.#feeds[0]!.enqueue(this.#targets, position, committedAtMs);
      return;
    }
    const groups = new Map<TierFeed, string[]>();
    const add = (feed: TierFeed, target: string): void => {
      const group = groups.get(feed) ?? [];
      groups.set(feed, group);
      group.push(target);
    };
    for (const target of this.#targets) {
      if (isEverywhere(target)) for (const feed of this.#feeds) add(feed, target);
      else add(this.#feeds[tier.partitionOfKey(target).keys.index]!, target);
    }
    for (const [feed, targets] of groups) feed.enqueue(targets, position, committedAtMs);
  }

  // --- visibility and acknowledgement ---------------------------------------------------------------------

  /** Polls while something is unseen. One question answers for all of it. */
  #watchVisibility(): void {
    if (this.#watching) return;
    this.#watching = true;
    void (async () => {
      for (let polls = 0; !this.#stopped && this.#unseen.length > 0; polls += 1) {
        const stream = this.#stream;
        try {
          const horizon = await this.#host.source.horizon();
          if (stream === this.#stream) this.#see(horizon);
        } catch {
          await delay(20);
        }
        // Mostly the first answer is yes; what takes longer may take very long.
        if (this.#unseen.length > 0) await delay(Math.min(mostVisibilityPollMs, 1 + polls / 20));
      }
      this.#watching = false;
    })();
  }

  /**
   * Forgets what has become visible. W is what had been received before the first that hasn't: a commit that
   * waits for a standby holds W back, and costs no memory for those behind it.
   */
  #see(horizon: Horizon): void {
    if (this.#unseen.length === 0) return;
    this.#unseen = this.#unseen.filter(
      ({ transaction, past }) => !(past ? horizon.isPast(transaction) : horizon.isVisible(transaction)),
    );
    const through = this.#unseen[0]?.before ?? this.#received;
    if (through <= this.#visible) return;
    this.#visible = through;
    this.#onApplied();
  }

  #onApplied(): void {
    for (const feed of this.#feeds) void feed.publishWatermark();
    let through = this.#visible;
    for (const { acknowledgeable } of this.#feeds) through = earlierOf(through, acknowledgeable);
    if (through > this.#acknowledged) {
      this.#acknowledged = through;
      this.#host.source.acknowledge(through);
    }
    if (this.#held && this.#feeds.every((feed) => feed.relieved)) this.#hold(false);
    this.#wakeApplied();
  }

  // --- heartbeats -----------------------------------------------------------------------------------------

  async #beatForever(): Promise<void> {
    const { clock } = this.#host;
    while (!this.#stopped) {
      const beganAtMs = clock.nowMs();
      if (this.#state === 'streaming') {
        try {
          await this.#beatOnce();
        } catch {
          // The database or the engine didn't answer; the age of the last heartbeat tells the readers.
        }
      }
      await delay(Math.max(5, this.#heartbeatMs - (clock.nowMs() - beganAtMs)));
    }
  }

  async #beatOnce(): Promise<void> {
    const { source, boundMs } = this.#host;
    const stream = this.#stream;
    const begun = await Promise.all(this.#feeds.map((feed) => feed.beginBeat(boundMs)));
    const horizon = await source.horizon();
    if (stream !== this.#stream) return;
    this.#see(horizon);
    await Promise.all(
      this.#feeds.map(async (feed, index) => {
        const finish = begun[index];
        if (finish === undefined) return;
        if (!(await this.#untilApplied(feed, horizon.position))) return;
        if (stream !== this.#stream || !(await finish(horizon))) return;
        feed.lastBeatAtMs = this.#host.clock.nowMs();
        this.#heartbeats += 1;
      }),
    );
  }

  /** Waits for the partition to have everything up to `position`; gives up after the bound. */
  async #untilApplied(feed: TierFeed, position: bigint): Promise<boolean> {
    const { clock, source, boundMs } = this.#host;
    const until = clock.nowMs() + boundMs;
    while (feed.applied < position) {
      if (this.#stopped || clock.nowMs() > until) return false;
      if (this.#received < position) source.requestProgress();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#appliedWaiters.delete(done);
          resolve();
        };
        const timer = setTimeout(done, 5);
        this.#appliedWaiters.add(done);
      });
    }
    return true;
  }

  #wakeApplied(): void {
    for (const wake of [...this.#appliedWaiters]) wake();
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
