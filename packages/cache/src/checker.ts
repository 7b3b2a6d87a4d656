/**
 * Tells in production how consistent the cache is, by sampling reads: the value that a read was given is compared
 * with the database, and again after 1, 10 and 60 seconds until they agree. The measure is the share of samples
 * that agreed within each. After Facebook's "Polaris" (Cache made consistent, 2022): look like a client, ask the
 * database only when in doubt, and report what the time shows rather than what the protocol promises.
 *
 * A row may change between the two looks, which proves nothing: the cache is looked at before and after the
 * database, and only a cached value that stood through both counts as different.
 *
 * Its cost is one load per sample, besides the cache's own loads, through the same limits.
 */
import type { HitSample } from './definition.ts';
import { tell } from './telemetry.ts';

export interface CheckerOptions {
  /** One read in so many is looked at, at random. At least 1. */
  readonly everyReads: number;
  /** Samples at most; more are passed over. Default 10. */
  readonly maxPerSecond?: number;
}

export interface CheckerReport {
  /** Samples whose outcome is known. */
  readonly samples: number;
  /** Of those, the cache agreed with the database at the latest so long after the read. */
  readonly consistentWithin: { readonly '1s': number; readonly '10s': number; readonly '60s': number };
  /** They did not agree even after 60 s. Anything but 0 deserves a look at telemetry's `inconsistent`. */
  readonly inconsistent: number;
  /** Samples that gave no answer: the load failed, or the value changed all the time. */
  readonly unknown: number;
  /** Samples that wait for their next look. */
  readonly waiting: number;
  /** The last hour, oldest first, by the minute in which the reads were; without minutes that still wait for an outcome. */
  readonly minutes: readonly CheckerMinute[];
}

/** What became of the reads of one minute that were sampled. Each counts once. */
export interface CheckerMinute {
  /** By the cache's clock. */
  readonly startMs: number;
  /** Whose outcome is known. */
  readonly compared: number;
  /** Of those, how many still differed from the database so long after the read, and agreed at the next look, if ever. */
  readonly staleFor: { readonly '1s': number; readonly '10s': number; readonly '60s': number };
}

/** Time, as a test gives it. */
export interface CheckerTime {
  readonly nowMs: () => number;
  /** Calls once; returns its undoing. */
  readonly later: (ms: number, call: () => void) => () => void;
}

const looks = [
  { name: '1s', atMs: 1_000 },
  { name: '10s', atMs: 10_000 },
  { name: '60s', atMs: 60_000 },
] as const;
const maxWaiting = 1_000;
const minuteMs = 60_000;
const keptMinutes = 60;

interface OpenMinute {
  readonly startMs: number;
  compared: number;
  readonly staleFor: { '1s': number; '10s': number; '60s': number };
  /** Samples without an outcome. */
  open: number;
}

export class Checker {
  readonly #cache: string;
  readonly #maxPerSecond: number;
  readonly #time: CheckerTime;
  readonly #counts = { '1s': 0, '10s': 0, '60s': 0 };
  #inconsistent = 0;
  #unknown = 0;
  readonly #waiting = new Set<() => void>();
  #secondBeganAtMs = Number.NEGATIVE_INFINITY;
  #inSecond = 0;
  /** By when they began, in that order. */
  readonly #open = new Map<number, OpenMinute>();
  readonly #minutes: CheckerMinute[] = [];

  constructor(cache: string, { maxPerSecond = 10 }: CheckerOptions, time: CheckerTime) {
    this.#cache = cache;
    this.#maxPerSecond = maxPerSecond;
    this.#time = time;
  }

  report(): CheckerReport {
    this.#endMinutes();
    const within = this.#counts;
    const ten = within['1s'] + within['10s'];
    const sixty = ten + within['60s'];
    return {
      samples: sixty + this.#inconsistent,
      consistentWithin: { '1s': within['1s'], '10s': ten, '60s': sixty },
      inconsistent: this.#inconsistent,
      unknown: this.#unknown,
      waiting: this.#waiting.size,
      minutes: [...this.#minutes],
    };
  }

  /** A read that was served from the cache. Returns at once. */
  note(sample: HitSample): void {
    const now = this.#time.nowMs();
    if (now - this.#secondBeganAtMs >= 1_000) {
      this.#secondBeganAtMs = now;
      this.#inSecond = 0;
    }
    if (this.#inSecond >= this.#maxPerSecond || this.#waiting.size >= maxWaiting) return;
    this.#inSecond += 1;
    this.#endMinutes();
    const startMs = now - (now % minuteMs);
    const minute = this.#open.get(startMs) ?? {
      startMs,
      compared: 0,
      staleFor: { '1s': 0, '10s': 0, '60s': 0 },
      open: 0,
    };
    this.#open.set(startMs, minute);
    minute.open += 1;
    void this.#look(sample, now, 0, minute);
  }

  close(): void {
    for (const undo of this.#waiting) undo();
    this.#waiting.clear();
  }

  /** @param next which of the looks comes after this one. */
  async #look(sample: HitSample, readAtMs: number, next: number, minute: OpenMinute): Promise<void> {
    const outcome = await sample.compare().catch(() => 'unknown' as const);
    // The first look, right after the read, and the one a second later both tell "within a second".
    const look = looks[Math.max(0, next - 1)]!;
    if (outcome === 'different' && next < looks.length) {
      this.#lookAgain(sample, readAtMs, next, minute);
      return;
    }
    minute.open -= 1;
    if (outcome === 'unknown') this.#unknown += 1;
    else minute.compared += 1;
    if (outcome === 'equal') {
      this.#counts[look.name] += 1;
      // It differed at the look before this one.
      if (next >= 2) minute.staleFor[looks[next - 2]!.name] += 1;
    } else if (outcome === 'different') {
      minute.staleFor['60s'] += 1;
      this.#inconsistent += 1;
      tell(this.#cache, 'inconsistent', () => ({ definition: sample.definition, key: sample.key }));
    }
  }

  /** Those that are over, and have no sample that waits. */
  #endMinutes(): void {
    const now = this.#time.nowMs();
    for (const [startMs, { compared, staleFor, open }] of this.#open) {
      if (open > 0 || now - startMs < minuteMs) continue;
      this.#open.delete(startMs);
      const minute = { startMs, compared, staleFor };
      this.#minutes.push(minute);
      if (this.#minutes.length > keptMinutes) this.#minutes.shift();
      tell(this.#cache, 'compared', () => minute);
    }
  }

  #lookAgain(sample: HitSample, readAtMs: number, next: number, minute: OpenMinute): void {
    const undo = this.#time.later(Math.max(0, readAtMs + looks[next]!.atMs - this.#time.nowMs()), () => {
      this.#waiting.delete(undo);
      void this.#look(sample, readAtMs, next + 1, minute).then(() => this.#endMinutes());
    });
    this.#waiting.add(undo);
  }
}

/**
 * How many reads until the next sample, so that one in `every` is taken on average, never in step with a pattern of
 * the reads.
 *
 * @param random 0 to less than 1.
 */
export function untilSample(every: number, random: number): number {
  return 1 + Math.floor(random * (2 * every - 1));
}
