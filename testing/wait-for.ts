/** Waits for a condition instead of for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for; begins the error's message. */
  readonly what: string;
  /** Generous: it only bounds a failing test. */
  readonly limitMs?: number;
  readonly everyMs?: number;
}

const defaultLimitMs = 30_000;
const defaultEveryMs = 20;

/**
 * Looks until `done` says so, and returns what was then seen. A look that throws is looked at again.
 * @throws with the last thing seen, or the last error, when the limit is over.
 */
export async function waitFor<T>(
  look: () => Promise<T> | T,
  done: (seen: T) => boolean,
  { what, limitMs = defaultLimitMs, everyMs = defaultEveryMs }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    let last: string;
    try {
      const seen = await look();
      if (done(seen)) return seen;
      last = JSON.stringify(seen, null, 1) ?? String(seen);
    } catch (error) {
      last = String(error);
    }
    if (performance.now() > deadline) {
      throw new Error(`Waited ${limitMs} ms for ${what}; last seen: ${last.slice(0, 4_000)}`);
    }
    await sleep(everyMs);
  }
}
