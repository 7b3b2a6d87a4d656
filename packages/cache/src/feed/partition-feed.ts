/**
 * The feed's side of one partition: applies changes in order, proves freshness, and repairs.
 *
 * The engine remembers in A how far the feed is applied to it, and every step names the A it builds on. If the
 * engine answers with another A, a failover lost the tail of what was applied: the ring of recent changes is
 * applied again from there, and no heartbeat is given before. If the ring doesn't reach back, or the engine has
 * no state at all (flushed, restarted empty), a new epoch voids everything. A cache can always choose to forget,
 * so a partition that can't be reached costs bounded memory: its queue is dropped and an epoch is owed. One that
 * is only slow holds the source back instead.
 */
import { hex12 } from '../entry.ts';
import type { FarTier } from '../far/far-tier.ts';
import { bucketOffset, hashKey, leaseKey, tagOffset, tagSetKey, valueKey } from '../far/partition.ts';
import type { PartitionState } from '../far/partition-state.ts';
import {
  announcedScript,
  applyScript,
  applyTagScript,
  beatScript,
  initScript,
  type Script,
  stateScript,
  voidScript,
  watermarkScript,
  withdrawScript,
} from '../far/scripts.ts';
import { voidHashOf } from '../far/voids.ts';
import { earlierOf, highOf, laterOf, lowOf, positionFromHex, positionToHex } from '../position.ts';
import type { TierFeed } from '../shared-tier.ts';
import { tell } from '../telemetry.ts';
import { definitionOf, isEverywhere, tagOf } from './dependencies.ts';
import type { Horizon } from './source.ts';

/** What a partition must know of the stream as a whole. */
export interface FeedProgress {
  /** Everything up to here was received from the source and queued. */
  received(): bigint;
  /** Everything up to here is visible in the database. */
  visible(): bigint;
  /** Names the positions' history. */
  history(): string;
  /** Called when this partition has applied more. */
  applied(): void;
}

export interface Change {
  /** A full key, a tag or a definition, see dependencies.ts. */
  readonly target: string;
  readonly position: bigint;
  /** The database's wall clock; for telemetry only. */
  readonly committedAtMs: number;
}

/** Of a partition's state: e a w f q s. Others are t, v and announcements; to look is cheap. */
const fieldsWithoutAnnouncements = 6;
const maxKeysPerCall = 200;
const maxQueued = 50_000;
const maxRing = 20_000;
/** Beyond the first the source is held back, below the second it goes on. */
const congestedAbove = 15_000;
const relievedBelow = 5_000;
/** In a row, about a second: the engine is not slow, it is away. */
const failuresUntilForgotten = 20;

/** beginning: an epoch is on its way to the engine; what is queued meanwhile belongs to it. */
type Need = 'nothing' | 'open' | 'epoch' | 'beginning';

export class PartitionFeed implements TierFeed {
  readonly partition: PartitionState;
  epochs = 0;
  repairs = 0;
  /** Local time until which the newest heartbeat speaks, and its engine time. */
  lastBeatAtMs = Number.NEGATIVE_INFINITY;
  readonly #far: FarTier;
  readonly #cache: string;
  readonly #progress: FeedProgress;
  #need: Need = 'open';
  #reason = 'start';
  #queue: Change[] = [];
  #ring: Change[] = [];
  /** The ring holds everything after this. */
  #ringStart = 0n;
  #start = { position: 0n, fresh: true };
  #epoch = '';
  #engineApplied = 0n;
  #appliedThrough = 0n;
  #published = 0n;
  #dirty = false;
  #serial: Promise<unknown> = Promise.resolve();
  #working = false;
  #stopped = false;

  constructor(options: { cache: string; far: FarTier; partition: PartitionState; progress: FeedProgress }) {
    this.#cache = options.cache;
    this.#far = options.far;
    this.partition = options.partition;
    this.#progress = options.progress;
  }

  /** Everything up to here is applied to the engine. */
  get applied(): bigint {
    return this.#need === 'nothing' && this.#queue.length === 0
      ? this.#progress.received()
      : this.#appliedThrough;
  }

  /** What a restart could not find again: the slot may not be told more. An owed epoch finds everything. */
  get acknowledgeable(): bigint {
    const owed = this.#need === 'epoch' || this.#need === 'beginning';
    return owed ? this.#progress.received() : this.applied;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get congested(): boolean {
    return this.#queue.length > congestedAbove;
  }

  get relieved(): boolean {
    return this.#queue.length < relievedBelow;
  }

  /** What the engine says: applied and visible up to there, under that history. */
  async remembered(): Promise<{ readonly position: bigint; readonly history: string } | undefined> {
    const [, applied = '', watermark = '', , , history = ''] = (await this.#state()) as readonly string[];
    if (applied === '' || watermark === '') return undefined;
    return { position: earlierOf(positionFromHex(applied), positionFromHex(watermark)), history };
  }

  /** The stream (re)begins; `fresh` when changes before `position` may be unknown to the engine. */
  resumed(start: { readonly position: bigint; readonly fresh: boolean }): void {
    this.#start = start;
    this.#queue = [];
    this.#ring = [];
    this.#ringStart = start.position;
    this.#appliedThrough = 0n;
    this.#need = 'open';
    this.#reason = 'stream';
    this.work();
  }

  enqueue(targets: Iterable<string>, position: bigint, committedAtMs: number): void {
    if (this.#need === 'epoch') return;
    for (const target of targets) this.#queue.push({ target, position, committedAtMs });
    if (this.#queue.length > maxQueued) this.forget('queue');
    this.work();
  }

  /** Owes an epoch: what was cached before is void once it is paid. */
  forget(reason: string): void {
    this.#need = 'epoch';
    this.#reason = reason;
    this.#queue = [];
    this.#ring = [];
    this.work();
  }

  stop(): Promise<unknown> {
    this.#stopped = true;
    return this.#serial;
  }

  /** Applies what is queued, repairing as needed; returns at once. */
  work(): void {
    if (this.#working || this.#stopped) return;
    this.#working = true;
    void (async () => {
      let failures = 0;
      while (!this.#stopped && (this.#need !== 'nothing' || this.#queue.length > 0)) {
        try {
          await this.#inTurn(() => this.#step());
          failures = 0;
        } catch {
          failures += 1;
          // One partition that is away must not hold back the source for all of them.
          if (failures >= failuresUntilForgotten && this.congested) this.forget('queue');
          this.#progress.applied();
          await this.#pause(Math.min(50, 2 ** failures));
        }
      }
      this.#working = false;
    })();
  }

  /** See TierFeed. The engine's clock is read first: it is what the heartbeat says. */
  async beginBeat(maxAgeMs: number): Promise<((horizon: Horizon) => Promise<boolean>) | undefined> {
    const { session } = this.partition;
    const timeMs = await this.#far.sampleClock(this.partition);
    return timeMs === undefined ? undefined : (horizon) => this.beat(horizon, { timeMs, session, maxAgeMs });
  }

  /**
   * One heartbeat: everything committed before engine time `timeMs`, all that `horizon` shows, is applied. False
   * when it was refused.
   */
  beat(
    horizon: Horizon,
    {
      timeMs,
      session,
      maxAgeMs,
    }: { readonly timeMs: number; readonly session: number; readonly maxAgeMs: number },
  ): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#need !== 'nothing' || this.#queue.length > 0) return false;
      // The time was read over another connection, perhaps from another machine's clock.
      if (this.partition.session !== session) return false;
      const applied = laterOf(this.#engineApplied, this.#progress.received());
      const watermark = this.#watermark();
      const { keys } = this.partition;
      const reply = (await this.#far.run(this.partition, beatScript, {
        keys: [keys.state, keys.beat, keys.stamps, keys.tagStamps],
        args: [
          this.#epoch,
          positionToHex(this.#engineApplied),
          positionToHex(applied),
          positionToHex(watermark),
          hex12(timeMs),
          String(maxAgeMs),
          this.#far.publish,
          keys.channel,
        ],
      })) as readonly string[];
      if (reply[0] === 'ok') {
        this.#engineApplied = applied;
        this.#published = watermark;
        this.#dirty = false;
        if (Number(reply[2]) > fieldsWithoutAnnouncements) {
          await this.#withdrawEnded((transaction) => horizon.isVisible(transaction));
        }
        return true;
      }
      if (reply[0] !== 'clock') this.#diverged(reply);
      return false;
    });
  }

  /** Publishes the watermark if it moved for keys of this partition. */
  async publishWatermark(): Promise<void> {
    const watermark = this.#watermark();
    if (!this.#dirty || this.#need !== 'nothing' || watermark <= this.#published) return;
    this.#dirty = this.#queue.length > 0 || watermark < this.#appliedThrough;
    this.#published = watermark;
    const keys = [this.partition.keys.state];
    const args = [this.#epoch, positionToHex(watermark), this.#far.publish, this.partition.keys.channel];
    try {
      await this.#far.run(this.partition, watermarkScript, { keys, args });
    } catch {
      // The next heartbeat carries it.
      this.#dirty = true;
    }
  }

  #watermark(): bigint {
    return earlierOf(this.applied, this.#progress.visible());
  }

  async #step(): Promise<void> {
    if (this.#need === 'open') await this.#open();
    else if (this.#need === 'epoch') await this.#beginEpoch();
    else if (this.#queue.length > 0) await this.#apply();
    this.#progress.applied();
  }

  /** Compares what the engine remembers with where the stream begins. */
  async #open(): Promise<void> {
    const start = this.#start;
    const reply = (await this.#state()) as readonly string[];
    if (start !== this.#start || this.#need !== 'open') return;
    const [epoch = '', applied = '', , , , source = ''] = reply;
    const known = applied !== '' && source === this.#progress.history();
    if (start.fresh || !known || positionFromHex(applied) < start.position) {
      this.#need = 'epoch';
      this.#reason = start.fresh ? 'new stream' : known ? 'gap' : 'no state';
      return;
    }
    this.#epoch = epoch;
    this.#engineApplied = positionFromHex(applied);
    this.#appliedThrough = start.position;
    this.#need = 'nothing';
    this.#dirty = true;
  }

  async #beginEpoch(): Promise<void> {
    const [found = ''] = (await this.#state()) as readonly string[];
    const engineMs = await this.#far.sampleClock(this.partition);
    if (engineMs === undefined) throw new Error('The shared tier is down.');
    if (this.#need !== 'epoch') return;
    const known = Math.max(epochNumber(found), epochNumber(this.#epoch));
    const epoch = hex12(Math.max(known + 1, engineMs));
    // Fills are refused until everything received so far is visible: their stamps are gone.
    const at = this.#progress.received();
    const watermark = earlierOf(at, this.#progress.visible());
    this.#need = 'beginning';
    this.#queue = [];
    this.#ring = [];
    this.#ringStart = at;
    let done = false;
    try {
      done = await this.#init(found, { epoch, at, watermark });
    } finally {
      // Anything else was demanded meanwhile, by a truncation or a new stream.
      if (this.#need === 'beginning') this.#need = done ? 'nothing' : 'epoch';
    }
    if (!done) return;
    this.#epoch = epoch;
    this.#engineApplied = at;
    this.#appliedThrough = at;
    this.#published = watermark;
    this.#dirty = true;
    this.epochs += 1;
    const reason = this.#reason;
    tell(this.#cache, 'epoch', () => ({ partition: this.partition.keys.index, reason }));
  }

  async #init(
    found: string,
    { epoch, at, watermark }: { readonly epoch: string; readonly at: bigint; readonly watermark: bigint },
  ): Promise<boolean> {
    const { keys } = this.partition;
    const reply = (await this.#far.run(this.partition, initScript, {
      keys: [keys.state, keys.stamps, keys.beat, keys.tagStamps],
      args: [
        found,
        epoch,
        positionToHex(at),
        positionToHex(watermark),
        positionToHex(at),
        this.#progress.history(),
        this.#far.publish,
        keys.channel,
      ],
    })) as readonly string[];
    return reply[0] === 'ok';
  }

  async #apply(): Promise<void> {
    const batch = this.#queue.slice(0, maxKeysPerCall);
    const through =
      batch.length === this.#queue.length ? batch.at(-1)!.position : batch.at(-1)!.position - 1n;
    const target = laterOf(this.#engineApplied, through);
    const { keys } = this.partition;
    const queue = this.#queue;
    for (const change of batch) {
      if (!isEverywhere(change.target)) continue;
      const reply = await this.#applyEverywhere(change);
      if (queue !== this.#queue) return;
      if (reply[0] !== 'ok') return this.#diverged(reply);
    }
    const changes = batch.filter(({ target: each }) => !isEverywhere(each));
    const reply = (await this.#far.run(this.partition, applyScript, {
      keys: [
        keys.state,
        keys.stamps,
        ...changes.flatMap(({ target: key }) => [valueKey(keys, key), leaseKey(keys, key)]),
      ],
      args: [
        this.#epoch,
        positionToHex(this.#engineApplied),
        positionToHex(target),
        this.#far.publish,
        keys.channel,
        JSON.stringify(changes.map(({ target: key }) => key)),
        ...stampsOf(changes),
      ],
    })) as readonly string[];
    // The stream began anew while this was under way: its state is not this batch's any more.
    if (queue !== this.#queue) return;
    if (reply[0] !== 'ok') {
      this.#diverged(reply);
      return;
    }
    this.#queue.splice(0, batch.length);
    this.#engineApplied = target;
    this.#appliedThrough = laterOf(this.#appliedThrough, through);
    this.#dirty = true;
    this.#remember(batch);
    tell(this.#cache, 'invalidation', () => ({
      partition: keys.index,
      position: positionToHex(target),
      keys: batch.length,
      lagMs: Date.now() - batch[0]!.committedAtMs,
    }));
  }

  /** Invalidates a tag, or makes a definition void. A's advance comes after it, so doing it twice is harmless. */
  async #applyEverywhere({ target, position }: Change): Promise<readonly string[]> {
    const { keys } = this.partition;
    const built = [this.#epoch, positionToHex(this.#engineApplied)];
    const to = [this.#far.publish, keys.channel];
    const run = async (script: Script, more: readonly string[], args: readonly string[]) =>
      (await this.#far.run(this.partition, script, {
        keys: [keys.state, ...more],
        args,
      })) as readonly string[];
    const tag = tagOf(target);
    if (tag === undefined) {
      const hash = voidHashOf(definitionOf(target)!);
      return run(voidScript, [keys.beat], [...built, hash, positionToHex(position), ...to]);
    }
    const stamp = [String(tagOffset(tag)), highOf(position), lowOf(position)];
    for (;;) {
      const reply = await run(
        applyTagScript,
        [keys.tagStamps, tagSetKey(keys, tag)],
        [...built, ...stamp, ...to, keys.tag],
      );
      if (reply[0] !== 'ok' || Number(reply[1]) === 0) return reply;
    }
  }

  /** What was announced by transactions that have ended: their changes are applied, or were rolled back. */
  async #withdrawEnded(hasEnded: (transaction: bigint) => boolean): Promise<void> {
    const { state } = this.partition.keys;
    const found = (await this.#far.run(this.partition, announcedScript, {
      keys: [state],
      args: [],
    })) as readonly string[];
    const args: string[] = [];
    for (let at = 0; at + 1 < found.length; at += 2) {
      for (const transaction of found[at + 1]!.split(' ')) {
        if (hasEnded(BigInt(transaction))) args.push(found[at]!, transaction);
      }
    }
    if (args.length > 0) await this.#far.run(this.partition, withdrawScript, { keys: [state], args });
  }

  #remember(batch: readonly Change[]): void {
    this.#ring.push(...batch);
    if (this.#ring.length <= maxRing * 1.5) return;
    const dropped = this.#ring.splice(0, this.#ring.length - maxRing);
    // Changes of one commit may straddle the cut: what remains complete begins after the last one dropped.
    this.#ringStart = laterOf(this.#ringStart, dropped.at(-1)!.position);
  }

  /** The engine is not where it should be. */
  #diverged(reply: readonly string[]): void {
    const [answer, epoch, applied = ''] = reply;
    const found = answer === 'mismatch' && epoch === this.#epoch ? positionFromHex(applied) : undefined;
    if (found === undefined || found < this.#ringStart) {
      this.forget(answer === 'none' ? 'no state' : 'failover');
      return;
    }
    const lost = this.#ring.filter((change) => change.position > found);
    this.#ring = this.#ring.filter((change) => change.position <= found);
    this.#queue = [...lost, ...this.#queue];
    this.#engineApplied = found;
    this.#appliedThrough = earlierOf(this.#appliedThrough, found);
    this.#published = earlierOf(this.#published, found);
    this.repairs += 1;
    this.work();
  }

  #state(): Promise<unknown> {
    const { state, stamps } = this.partition.keys;
    return this.#far.run(this.partition, stateScript, { keys: [state, stamps], args: [] });
  }

  /** One step at a time: each names what the one before left. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#serial.then(step);
    this.#serial = result.catch(() => {});
    return result;
  }

  /** Until a connection comes or goes, or a while. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        off();
        resolve();
      };
      const timer = setTimeout(done, ms);
      const off = this.#far.onChange(done);
    });
  }
}

/** Per key: its bucket's offset, and both halves of the position. Neighbours mostly share the position. */
function stampsOf(batch: readonly Change[]): string[] {
  const args: string[] = [];
  let of: bigint | undefined;
  let high = '';
  let low = '';
  for (const { target: key, position } of batch) {
    if (position !== of) {
      of = position;
      high = highOf(position);
      low = lowOf(position);
    }
    args.push(String(bucketOffset(hashKey(key))), high, low);
  }
  return args;
}

function epochNumber(epoch: string): number {
  return epoch === '' ? 0 : Number.parseInt(epoch, 16);
}
