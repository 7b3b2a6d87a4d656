/**
 * The invalidator's side of memcached: removes what changed once the change is visible, proves it by beats, voids a
 * node where it can't know.
 *
 * The gate. A change's event may come before new readers of the database see the change; removing the key then would
 * let the next miss read the old row and keep it, and no removal would follow. So a change waits until the watermark
 * of visibility has reached it. Meanwhile the beat doesn't get past it either, and the bound holds by loading.
 *
 * A node that can't be reached owes its removals: its beat stands still, so it isn't believed. They wait for it, or
 * when that lasts they are dropped and the node owes a new epoch, before its next beat. A node that lost its beat
 * (restart, flush_all, eviction) gets a new epoch too: what is left of it can't be told from what was missed.
 */
import { randomBytes } from 'node:crypto';
import { hashKey } from '../far/partition.ts';
import { mergedVoids, voidHashOf } from '../far/voids.ts';
import { definitionOf, isEverywhere } from '../feed/dependencies.ts';
import type { FeedProgress } from '../feed/partition-feed.ts';
import type { Horizon, Resumption } from '../feed/source.ts';
import { earlierOf, laterOf, positionFromHex, positionToHex } from '../position.ts';
import type { TierFeed } from '../shared-tier.ts';
import { tell } from '../telemetry.ts';
import type { LeasedNode, StandingBeat } from './leased-node.ts';
import type { LeasedTier } from './leased-tier.ts';

interface Change {
  /** A full key, or a definition, see dependencies.ts. */
  readonly target: string;
  readonly position: bigint;
  readonly committedAtMs: number;
}

/** nothing: its beat may move on. open: what stands there isn't known. epoch: everything there must be made void. */
type Need = 'nothing' | 'open' | 'epoch';

/** One node as the feed sees it. */
interface Place {
  readonly node: LeasedNode;
  need: Need;
  reason: string;
  /** An owed epoch begins when everything up to here is visible. */
  epochAfter: bigint;
  queue: Change[];
  /** As it stood when last seen; undefined: to be read again. */
  standing: StandingBeat | undefined;
  epoch: string;
  voids: string;
  working: boolean;
  /** Without success, in a row. */
  failures: number;
}

const maxKeysPerCall = 200;
const maxQueued = 50_000;
const congestedAbove = 15_000;
const relievedBelow = 5_000;
/** In a row, about a second. */
const failuresUntilForgotten = 20;

export class LeasedFeed implements TierFeed {
  lastBeatAtMs = Number.NEGATIVE_INFINITY;
  epochs = 0;
  /** memcached has no replicas that could lose something. */
  readonly repairs = 0;
  readonly #cache: string;
  readonly #tier: LeasedTier;
  readonly #progress: FeedProgress;
  readonly #places = new Map<LeasedNode, Place>();
  readonly #offChange: () => void;
  /** Changes that aren't visible yet, in order. */
  #waiting: Change[] = [];
  #start: { readonly position: bigint; readonly fresh: boolean } | undefined;
  #digest = '';
  #stopped = false;

  constructor(options: { cache: string; tier: LeasedTier; progress: FeedProgress }) {
    this.#cache = options.cache;
    this.#tier = options.tier;
    this.#progress = options.progress;
    this.#offChange = options.tier.onChange(() => this.#follow());
  }

  get applied(): bigint {
    let least = this.#visibleThrough();
    for (const place of this.#places.values()) {
      if (isBelieved(place)) least = earlierOf(least, appliedAt(place, least));
    }
    return least;
  }

  /** Not beyond the beats: a restart goes on from one only if nothing after it was acknowledged. */
  get acknowledgeable(): bigint {
    let least = this.#visibleThrough();
    for (const place of this.#places.values()) {
      // An owed epoch finds everything.
      if (place.need === 'epoch') continue;
      if (place.need === 'open' || place.standing === undefined) return this.#start?.position ?? 0n;
      least = earlierOf(least, positionFromHex(place.standing.beat.applied));
    }
    return least;
  }

  get queued(): number {
    let sum = this.#waiting.length;
    for (const { queue } of this.#places.values()) sum += queue.length;
    return sum;
  }

  get congested(): boolean {
    return this.queued > congestedAbove;
  }

  get relieved(): boolean {
    return this.queued < relievedBelow;
  }

  /** Rejects while a node can't be asked. */
  async remembered(): Promise<Pick<Resumption, 'position' | 'history'> | undefined> {
    const found = await Promise.all(this.#tier.nodes.map((node) => node.standingBeat()));
    const beats = found.map((standing) => standing?.beat);
    const [first] = beats;
    if (first === undefined) return undefined;
    const alike = beats.every((beat) => beat?.history === first.history && beat.digest === this.#tier.digest);
    if (!alike) return undefined;
    const position = beats
      .map((beat) => positionFromHex(beat!.applied))
      .reduce((least, each) => earlierOf(least, each));
    return { position, history: first.history };
  }

  resumed(start: { readonly position: bigint; readonly fresh: boolean }): void {
    this.#start = start;
    this.#waiting = [];
    this.#places.clear();
    this.#digest = this.#tier.digest;
    this.#follow();
  }

  enqueue(targets: Iterable<string>, position: bigint, committedAtMs: number): void {
    for (const target of targets) this.#waiting.push({ target, position, committedAtMs });
    if (this.queued > maxQueued) this.forget('queue');
    this.#release();
  }

  forget(reason: string): void {
    this.#waiting = [];
    for (const place of this.#places.values()) this.#oweEpoch(place, reason);
  }

  async publishWatermark(): Promise<void> {
    this.#release();
  }

  /** See beat.ts: what stands on each node must be known before the database is asked. */
  async beginBeat(): Promise<((horizon: Horizon) => Promise<boolean>) | undefined> {
    const places = [...this.#places.values()].filter(isBelieved);
    const begun = await Promise.all(places.map((place) => this.#lookAtBeat(place)));
    return async (horizon) => {
      const ended = places.map((place, index) => {
        const standing = begun[index];
        return standing !== undefined && this.#endBeat(place, standing, horizon.position);
      });
      return (await Promise.all(ended)).some((done) => done);
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#offChange();
    // How far everything is, so that the next start forgets nothing. The counter stays: nobody has asked the database.
    const ends = [...this.#places.values()].map(async (place) => {
      const { standing } = place;
      if (standing === undefined || !isBelieved(place) || place.queue.length > 0) return;
      const { counter } = standing.beat;
      await this.#store(place, standing, { counter, applied: appliedAt(place, this.#visibleThrough()) });
    });
    await Promise.allSettled(ends);
    this.#progress.applied();
  }

  // --- the gate -------------------------------------------------------------------------------------------

  /** Everything up to here is visible, or concerns nothing cached. */
  #visibleThrough(): bigint {
    const [first] = this.#waiting;
    return first === undefined ? this.#progress.received() : first.position - 1n;
  }

  /** Sends on what has become visible. */
  #release(): void {
    const visible = this.#progress.visible();
    let count = 0;
    while (count < this.#waiting.length && this.#waiting[count]!.position <= visible) count += 1;
    for (const change of this.#waiting.splice(0, count)) {
      // A definition that is void is void everywhere.
      const node = isEverywhere(change.target) ? undefined : this.#tier.nodeAt(hashKey(change.target));
      for (const place of this.#places.values()) {
        const concerned = node === undefined || node === place.node;
        if (concerned && place.need !== 'epoch') place.queue.push(change);
      }
    }
    for (const place of this.#places.values()) this.#work(place);
  }

  // --- one node -------------------------------------------------------------------------------------------

  /** Takes in nodes that came, forgets those that went. With another list everything begins anew. */
  #follow(): void {
    if (this.#start === undefined || this.#stopped) return;
    const { nodes, digest } = this.#tier;
    for (const node of [...this.#places.keys()]) if (!nodes.includes(node)) this.#places.delete(node);
    for (const node of nodes) {
      if (this.#places.has(node)) continue;
      this.#places.set(node, {
        node,
        need: 'open',
        reason: 'stream',
        epochAfter: 0n,
        queue: [],
        standing: undefined,
        epoch: '',
        voids: '',
        working: false,
        failures: 0,
      });
    }
    if (digest !== this.#digest) {
      this.#digest = digest;
      this.forget('nodes');
    }
    for (const place of this.#places.values()) this.#work(place);
  }

  #oweEpoch(place: Place, reason: string): void {
    place.need = 'epoch';
    place.reason = reason;
    place.epochAfter = laterOf(this.#progress.received(), this.#start?.position ?? 0n);
    place.queue = [];
    place.standing = undefined;
    this.#work(place);
  }

  #work(place: Place): void {
    if (place.working || this.#stopped || !this.#hasWork(place)) return;
    place.working = true;
    void (async () => {
      while (!this.#stopped && this.#places.get(place.node) === place && this.#hasWork(place)) {
        try {
          await this.#step(place);
          place.failures = 0;
        } catch {
          place.failures += 1;
          if (place.failures === failuresUntilForgotten && place.need === 'nothing') {
            this.#oweEpoch(place, 'unreachable');
          }
          await pause(Math.min(50, 2 ** place.failures));
        }
        this.#progress.applied();
      }
      place.working = false;
    })();
  }

  #hasWork({ need, queue, epochAfter }: Place): boolean {
    // An owed epoch waits for the gate; `publishWatermark` comes by again.
    if (need === 'epoch') return this.#progress.visible() >= epochAfter;
    return need === 'open' || queue.length > 0;
  }

  async #step(place: Place): Promise<void> {
    if (place.need === 'open') await this.#open(place);
    else if (place.need === 'epoch') await this.#beginEpoch(place);
    else await this.#remove(place);
  }

  async #open(place: Place): Promise<void> {
    const start = this.#start!;
    const standing = await place.node.standingBeat();
    if (start !== this.#start || place.need !== 'open') return;
    const beat = standing?.beat;
    const known = beat?.history === this.#progress.history() && beat.digest === this.#digest;
    if (beat === undefined || start.fresh || !known || positionFromHex(beat.applied) < start.position) {
      const reason = start.fresh ? 'new stream' : known ? 'gap' : 'no state';
      place.need = 'epoch';
      place.reason = reason;
      place.epochAfter = start.position;
      return;
    }
    place.standing = standing;
    place.epoch = beat.epoch;
    place.voids = mergedVoids(place.voids, beat.voids);
    place.need = 'nothing';
  }

  async #beginEpoch(place: Place): Promise<void> {
    const { epochAfter, reason } = place;
    const found = await place.node.standingBeat();
    const epoch = randomBytes(6).toString('hex');
    const digest = this.#digest;
    const stored = await place.node.storeBeat(
      {
        epoch,
        counter: 0,
        applied: positionToHex(epochAfter),
        digest,
        voids: '',
        history: this.#progress.history(),
      },
      found,
    );
    if (stored === undefined) throw new Error('Another beat came first.');
    // More was demanded meanwhile, by a bulk change or another list.
    if (place.need !== 'epoch' || place.epochAfter !== epochAfter || digest !== this.#digest) return;
    place.standing = stored;
    place.epoch = epoch;
    place.voids = '';
    place.need = 'nothing';
    this.epochs += 1;
    tell(this.#cache, 'epoch', () => ({ partition: place.node.partition.keys.index, reason }));
  }

  async #remove(place: Place): Promise<void> {
    const { queue, node } = place;
    const batch = queue.slice(0, maxKeysPerCall);
    const keys = batch.filter(({ target }) => !isEverywhere(target));
    if (keys.length > 0) await node.remove(keys.map(({ target }) => target));
    if (queue !== place.queue) return;
    queue.splice(0, batch.length);
    for (const { target, position } of batch) {
      const definition = definitionOf(target);
      // The next beat says it.
      if (definition !== undefined) {
        place.voids = mergedVoids(place.voids, voidHashOf(definition) + positionToHex(position));
      }
    }
    tell(this.#cache, 'invalidation', () => ({
      partition: node.partition.keys.index,
      position: positionToHex(batch.at(-1)!.position),
      keys: batch.length,
      lagMs: Date.now() - batch[0]!.committedAtMs,
    }));
  }

  // --- beats ----------------------------------------------------------------------------------------------

  async #lookAtBeat(place: Place): Promise<StandingBeat | undefined> {
    const { standing, node } = place;
    if (standing !== undefined && standing.token.connection === node.node.connection) return standing;
    try {
      const found = await node.standingBeat();
      if (place.need !== 'nothing') return undefined;
      const beat = found?.beat;
      if (beat === undefined || beat.history !== this.#progress.history() || beat.digest !== this.#digest) {
        this.#oweEpoch(place, 'no state');
        return undefined;
      }
      // An application made it void, or another invalidator did: as good as if this one had.
      place.voids = mergedVoids(place.voids, beat.voids);
      place.epoch = beat.epoch;
      place.standing = found;
      return found;
    } catch {
      return undefined;
    }
  }

  async #endBeat(place: Place, standing: StandingBeat, horizon: bigint): Promise<boolean> {
    const applied = appliedAt(place, this.#visibleThrough());
    if (place.standing !== standing || !isBelieved(place) || applied < horizon) return false;
    return this.#store(place, standing, { counter: standing.beat.counter + 1, applied });
  }

  async #store(
    place: Place,
    standing: StandingBeat,
    { counter, applied }: { readonly counter: number; readonly applied: bigint },
  ): Promise<boolean> {
    const { beat } = standing;
    const next = {
      ...beat,
      counter,
      applied: positionToHex(laterOf(applied, positionFromHex(beat.applied))),
      voids: place.voids,
    };
    // Whatever comes of it: what stands there has to be looked at, unless this one is confirmed.
    place.standing = undefined;
    const stored = await place.node.storeBeat(next, standing).catch(() => undefined);
    if (stored === undefined || place.need !== 'nothing') return false;
    place.standing = stored;
    this.#progress.applied();
    return true;
  }
}

/** Is its beat to move on? Where it isn't, nothing is believed after the bound. */
function isBelieved({ need, node }: Place): boolean {
  return need === 'nothing' && node.node.connection !== 0;
}

function appliedAt({ queue }: Place, visibleThrough: bigint): bigint {
  const [first] = queue;
  return first === undefined ? visibleThrough : earlierOf(visibleThrough, first.position - 1n);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
