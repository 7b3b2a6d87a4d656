/** Which sessions this process touched of late, and for how long: what was told just now needn't be told again. */
import type { Clock } from '../clock.ts';

interface Touch {
  readonly atMs: number;
  readonly ttlMs: number;
}

/** Beyond it all are forgotten, which costs each a touch more. */
const maxEntries = 50_000;

export class TouchLog {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #touches = new Map<string, Touch>();

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** A lifetime that changed counts as never touched; one measured by a clock differs by what passed between. */
  recent(key: string, ttlMs: number): boolean {
    const last = this.#touches.get(key);
    if (last === undefined || Math.abs(last.ttlMs - ttlMs) > slackMs) return false;
    return this.#clock.nowMs() - last.atMs < this.#everyMs;
  }

  note(key: string, ttlMs: number): void {
    if (this.#everyMs === 0) return;
    if (this.#touches.size >= maxEntries) this.#touches.clear();
    this.#touches.set(key, { atMs: this.#clock.nowMs(), ttlMs });
  }

  forget(key: string): void {
    this.#touches.delete(key);
  }
}

/** A cookie's lifetime is told as the time that is left of it. */
const slackMs = 1_000;
