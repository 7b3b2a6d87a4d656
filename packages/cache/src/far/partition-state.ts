/**
 * What this process knows about one partition, and what it may conclude.
 *
 * Far reads. Every read of the shared tier brings the partition's beat along, in one atomic step. The beat says:
 * everything committed before engine time h, all of it up to position A, is applied here. An entry is usable
 * only if h is at most `boundMs` ago. Two guards make that hold across failovers: after a reconnect the beat
 * must have changed once before it is believed (it may carry the clock of another machine), and a beat behind
 * one that was already seen means that a promoted replica lost something, so it is not believed either.
 *
 * Near reads. Messages of one partition carry a sequence number. Beats travel in the same stream as
 * invalidations, so a beat that arrives proves that all invalidations before h have been heard. A missing
 * number, a lost subscription or a new epoch ends the near session: entries of an older session are void.
 */
import { EngineClock } from '../clock.ts';
import { tell } from '../telemetry.ts';
import { parseFailureNotice } from './failure-notice.ts';
import type { PartitionKeys } from './partition.ts';
import { isVoids, newlyVoid } from './voids.ts';
import { Wakeups } from './wakeups.ts';

/** fresh: usable. stale: too old, or unproven. regressed: behind what was seen. missing: no state there. */
export type Verdict = 'fresh' | 'stale' | 'regressed' | 'missing';

export interface PartitionListener {
  /** Remove these keys from the near tier, and make their flights stale. */
  invalidated(keys: readonly string[]): void;
  /** Everything near of these definitions is void, and their flights are stale. */
  voided(hashes: readonly string[]): void;
  /** All flights of the partition are stale. */
  flushed(partition: PartitionState): void;
}

const beatLength = 40;

export class PartitionState {
  readonly keys: PartitionKeys;
  readonly clock = new EngineClock();
  /** Number of the command connection that serves it; 0 while there is none. */
  session = 0;
  /** Entries and flights of another number are void. */
  nearSession = 1;
  /** The near tier's proof for definitions that the feed watches, on the local clock. */
  coherentUntilMs = Number.NEGATIVE_INFINITY;
  /** The same for definitions that only applications invalidate. */
  pulsedUntilMs = Number.NEGATIVE_INFINITY;
  /** How far the feed was applied when the newest beat came as a message: all before it was heard. 16 hex digits. */
  heard = '';
  subscribed = false;
  flushes = 0;
  gaps = 0;
  readonly wakeups = new Wakeups();
  /** Application invalidations that the shared tier hasn't confirmed: until then it is not read. */
  readonly owed = new Set<string>();

  readonly #cache: string;
  readonly #boundMs: number;
  readonly #listener: PartitionListener;
  #sequence = -1;
  #epoch = '';
  #applied = '';
  #beat = '';
  #beatTimeMs = 0;
  /** Definitions that messages said are void. */
  #voids = '';
  #distrusted: string | undefined;

  constructor(options: { cache: string; keys: PartitionKeys; boundMs: number; listener: PartitionListener }) {
    this.#cache = options.cache;
    this.keys = options.keys;
    this.#boundMs = options.boundMs;
    this.#listener = options.listener;
  }

  /** May the shared tier be asked at all? */
  get usable(): boolean {
    return this.session !== 0 && this.owed.size === 0;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** Age of the newest beat seen, at most; NaN while unknown. */
  beatAgeMs(nowMs: number): number {
    return this.#beat === '' ? Number.NaN : this.clock.ageMs(this.#beatTimeMs, nowMs);
  }

  /** To note before a far step whose value may be kept near. Before the first number a loss would go unseen. */
  nearSessionNow(): number {
    return this.subscribed && this.#sequence !== -1 ? this.nearSession : -1;
  }

  /** A command connection is up; `beat` is what stood there when it came up. */
  connected(session: number, beat: string): void {
    this.#distrusted = beat === '' ? undefined : beat.slice(0, beatLength);
    this.#beat = '';
    this.#beatTimeMs = 0;
    this.session = session;
  }

  disconnected(): void {
    if (this.session === 0) return;
    this.session = 0;
    this.clock.reset();
    this.flush('connection lost');
  }

  /** Judges the beat that came with a far read. */
  judge(beat: string | null, nowMs: number): Verdict {
    if (beat === null || beat.length < beatLength) return 'missing';
    if (!this.#adopt(beat)) return 'regressed';
    // What follows the heartbeat may have changed without a new one.
    if (this.#distrusted !== undefined && beat.startsWith(this.#distrusted)) return 'stale';
    const age = this.clock.ageMs(this.#beatTimeMs, nowMs);
    return age >= 0 && age <= this.#boundMs ? 'fresh' : 'stale';
  }

  /** @returns false when it is behind one seen before. */
  #adopt(beat: string): boolean {
    if (beat === this.#beat) return true;
    const epoch = beat.slice(0, 12);
    const applied = beat.slice(24, beatLength);
    if (epoch < this.#epoch || (epoch === this.#epoch && applied < this.#applied)) return false;
    const timeMs = Number.parseInt(beat.slice(12, 24), 16);
    if (Number.isNaN(timeMs)) return false;
    // Two connections deliver beats; the later of two with the same position is the one to keep.
    if (epoch === this.#epoch && applied === this.#applied && timeMs < this.#beatTimeMs) return true;
    this.#epoch = epoch;
    this.#applied = applied;
    this.#beat = beat;
    this.#beatTimeMs = timeMs;
    return true;
  }

  /** The position of the newest beat seen, 16 hex digits; '' before the first. */
  get applied(): string {
    return this.#applied;
  }

  // --- messages -------------------------------------------------------------------------------------------

  subscriptionUp(): void {
    this.#sequence = -1;
    this.subscribed = true;
    this.flush('subscribed');
  }

  subscriptionDown(): void {
    this.subscribed = false;
    this.flush('subscription lost');
  }

  receive(text: string, nowMs: number): void {
    const kind = text[0];
    if (kind === 'F') {
      this.wakeups.keyChanged(text.slice(2));
      return;
    }
    if (kind === 'X') {
      const failure = parseFailureNotice(text);
      if (failure !== undefined) this.wakeups.loadFailed(failure.key, failure.owner, failure.message);
      return;
    }
    const space = text.indexOf(' ', 2);
    const sequence = Number(space < 0 ? text.slice(2) : text.slice(2, space));
    const rest = space < 0 ? '' : text.slice(space + 1);
    if (kind === 'I') {
      this.#follow(sequence, 1);
      this.#invalidated(rest);
    } else if (kind === 'V') {
      this.#follow(sequence, 1);
      this.#voided(rest);
    } else if (kind === 'W') {
      this.#follow(sequence, 0);
      this.wakeups.becameVisible();
    } else if (kind === 'B') {
      this.#follow(sequence, 0);
      this.#beaten(rest, nowMs);
    } else if (kind === 'P') {
      this.#follow(sequence, 0);
      this.pulsedUntilMs = this.#until(Number(rest), nowMs, this.pulsedUntilMs);
    } else if (kind === 'E') {
      this.#follow(sequence, 1);
      this.flush('epoch');
    }
  }

  #invalidated(json: string): void {
    const keys = parseKeys(json);
    if (keys === undefined) {
      this.flush('unreadable message');
      return;
    }
    this.#listener.invalidated(keys);
    for (const key of keys) this.wakeups.keyChanged(key);
  }

  #voided(voids: string): void {
    if (voids === this.#voids) return;
    if (!isVoids(voids)) {
      this.flush('unreadable message');
      return;
    }
    const hashes = newlyVoid(this.#voids, voids);
    this.#voids = voids;
    if (hashes.length > 0) this.#listener.voided(hashes);
  }

  #beaten(beat: string, nowMs: number): void {
    this.wakeups.becameVisible();
    if (beat.length < beatLength || !this.#adopt(beat)) return;
    this.#voided(beat.slice(beatLength));
    this.coherentUntilMs = this.#until(this.#beatTimeMs, nowMs, this.coherentUntilMs);
    this.pulsedUntilMs = Math.max(this.pulsedUntilMs, this.coherentUntilMs);
    this.heard = beat.slice(24, beatLength);
  }

  /** The local time until which something true at `engineMs` is within the bound. */
  #until(engineMs: number, nowMs: number, otherwise: number): number {
    const age = this.clock.ageMs(engineMs, nowMs);
    return age >= 0 ? nowMs + this.#boundMs - age : otherwise;
  }

  #follow(sequence: number, step: 0 | 1): void {
    const expected = this.#sequence + step;
    const known = this.#sequence !== -1;
    this.#sequence = sequence;
    if (!known || sequence === expected) return;
    this.gaps += 1;
    tell(this.#cache, 'gap', () => ({ partition: this.keys.index, expected, received: sequence }));
    this.flush('gap');
  }

  /** Voids everything near of this partition. */
  flush(reason: string): void {
    this.nearSession += 1;
    this.heard = '';
    this.coherentUntilMs = Number.NEGATIVE_INFINITY;
    this.pulsedUntilMs = Number.NEGATIVE_INFINITY;
    this.flushes += 1;
    this.#listener.flushed(this);
    tell(this.#cache, 'flush', () => ({ partition: this.keys.index, reason }));
    this.wakeups.all();
  }

  /** How long a read may wait for a notice: hardly at all while no notice can arrive. */
  patienceMs(wishedMs: number): number {
    return this.subscribed ? wishedMs : Math.min(wishedMs, 10);
  }
}

function parseKeys(json: string): readonly string[] | undefined {
  try {
    const keys: unknown = JSON.parse(json);
    return Array.isArray(keys) && keys.every((key) => typeof key === 'string') ? keys : undefined;
  } catch {
    return undefined;
  }
}
