/** (pure) When a delivery that failed is tried again, and when it is given up. */

export interface RetryPolicy {
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  readonly mostAttempts: number;
  readonly oldestMs: number;
}

/** Given up after about an hour and a half of failures. */
export const retryPolicy: RetryPolicy = {
  firstDelayMs: 1_000,
  longestDelayMs: 300_000,
  mostAttempts: 24,
  oldestMs: 6 * 3_600_000,
};

/**
 * @param attempts that failed, at least 1.
 * @param random from 0 up to 1: half of a delay is left to chance, so that receivers that were gone are not all asked at once.
 * @returns when the next attempt is due, or undefined when there is to be none.
 */
export function nextAttemptMs(
  policy: RetryPolicy,
  failed: {
    readonly attempts: number;
    readonly sinceMs: number;
    readonly nowMs: number;
    readonly random: number;
  },
): number | undefined {
  const { attempts, sinceMs, nowMs, random } = failed;
  const wholeMs = Math.min(policy.longestDelayMs, policy.firstDelayMs * 2 ** (attempts - 1));
  const dueMs = nowMs + Math.round(wholeMs * (0.5 + random / 2));
  if (attempts >= policy.mostAttempts || dueMs - sinceMs > policy.oldestMs) return undefined;
  return dueMs;
}
