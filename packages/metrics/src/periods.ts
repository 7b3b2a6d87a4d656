/** (pure) Which periods there are, how long their data are kept, and where the first one of a request begins. */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Of less than a minute. */
export const shortPeriods: readonly number[] = [1, 5, 10, 20, 30];
export const longestPeriodSeconds = 86_400;

export function isPeriod(seconds: number): boolean {
  return (
    shortPeriods.includes(seconds) ||
    (Number.isInteger(seconds) && seconds >= 60 && seconds % 60 === 0 && seconds <= longestPeriodSeconds)
  );
}

/** How far back periods of that length can be read: older data are kept by longer ones alone. */
export function keptMs(periodSeconds: number): number {
  if (periodSeconds < 60) return 3 * hourMs;
  if (periodSeconds % 300 !== 0) return 15 * dayMs;
  return periodSeconds % 3600 === 0 ? 455 * dayMs : 63 * dayMs;
}

/**
 * Where the first period begins: `startMs` rounded down, to the period when it is less than a minute, else to a minute,
 * to 5 minutes beyond 15 days, to an hour beyond 63. The other periods follow from there.
 */
export function firstPeriodMs(startMs: number, periodSeconds: number, nowMs: number): number {
  const ageMs = nowMs - startMs;
  const roundSeconds =
    periodSeconds < 60 ? periodSeconds : ageMs > 63 * dayMs ? 3600 : ageMs > 15 * dayMs ? 300 : 60;
  return floorTo(startMs, roundSeconds * 1000);
}

export function floorTo(ms: number, stepMs: number): number {
  return Math.floor(ms / stepMs) * stepMs;
}
