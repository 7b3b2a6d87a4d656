/** Time as an argument: how long something takes, and waiting. Says nothing of the time of day. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export const monotonicClock: Clock = {
  nowMs: () => performance.now(),
  sleep: (ms) => sleep(ms),
};
