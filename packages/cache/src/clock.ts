/**
 * Time. Freshness is decided with two clocks and without comparing wall clocks of different machines:
 *
 * - the local monotonic clock of this process,
 * - the clock of the engine node that holds a partition, which also stamps the feed's heartbeats.
 *
 * A reader must never believe that less time has passed than really has. It sends TIME at local t1 and gets
 * the engine's T: when the engine read its clock, the local clock stood at t1 or later, so `T + (local - t1)`
 * is never earlier than the engine's present time. Ages come out too large by at most one round trip.
 */

/** Injected, so tests can turn it. Milliseconds, with fractions, from any origin; never goes back. */
export interface Clock {
  nowMs(): number;
}

export const monotonicClock: Clock = { nowMs: () => performance.now() };

/** Maps one engine node's clock onto the local one. Unusable (all ages are infinite) until the first sample. */
export class EngineClock {
  /** Engine time minus local time, never too small. */
  #offsetMs = Number.NaN;

  /**
   * Keeps the tightest bound that later samples don't contradict: a sample proves that the true offset lies in
   * [engine - received, engine - sent]. A kept bound below that interval means that the engine's clock was set
   * forward, so it is dropped.
   */
  observe(sentMs: number, engineMs: number, receivedMs: number): void {
    const upper = engineMs - sentMs;
    const lower = engineMs - receivedMs;
    this.#offsetMs = this.#offsetMs >= lower && this.#offsetMs <= upper ? this.#offsetMs : upper;
  }

  /** After a reconnect another machine may answer. */
  reset(): void {
    this.#offsetMs = Number.NaN;
  }

  /** Never too small; NaN while unknown. */
  ageMs(engineMs: number, localMs: number): number {
    return localMs + this.#offsetMs - engineMs;
  }

  /** Never too late; the engine's time now, NaN while unknown. */
  engineNowMs(localMs: number): number {
    return localMs + this.#offsetMs;
  }
}
