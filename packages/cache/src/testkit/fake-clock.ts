/** A clock that stands still until it is told otherwise. */
import type { Clock } from '../clock.ts';

/**
 * For `createCache({ clock })` and for `new MemoryEngine({ clock })` alike. It decides what is fresh; timers are the
 * process's own (use fake timers of your test runner for those).
 */
export class FakeClock implements Clock {
  #nowMs: number;

  /** @param startMs ms since 1970; default the first of January 2026. */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Throws RangeError for what isn't forward: clocks of this kind never go back. */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`A clock advances by 0 or more ms, not by ${ms}.`);
    this.#nowMs += ms;
  }
}
