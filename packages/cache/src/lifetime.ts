/** How long a value lives, and when to load it again ahead of time. Pure. */

export interface LifetimeOptions {
  readonly freshMs: number;
  readonly staleMs: number;
  readonly absentMs: number;
  /** 0 to 1: the part by which a lifetime may be shortened. */
  readonly jitter: number;
}

export interface Lifetime {
  /** Served as it is until then. */
  readonly freshForMs: number;
  /** Kept until then: after `freshForMs` it is served while one reader's process loads it anew. */
  readonly keepForMs: number;
}

/** @param random 0 to 1. */
export function lifetimeOf(options: LifetimeOptions, absent: boolean, random: number): Lifetime {
  const { freshMs, staleMs, absentMs, jitter } = options;
  const longest = absent ? absentMs : freshMs;
  const freshForMs = Math.max(1, Math.round(longest * (1 - jitter * random)));
  return { freshForMs, keepForMs: freshForMs + (absent ? 0 : staleMs) };
}

/**
 * Should this read load the value anew, though it is still fresh? The nearer its end, and the longer loads take,
 * the likelier, so that mostly one of many readers does it, before the others would have to wait. After Vattani,
 * Chierichetti and Lowenstein, "Optimal probabilistic cache stampede prevention" (VLDB 2015), with beta 1.
 *
 * @param random greater than 0, at most 1.
 */
export function shouldRefreshEarly(remainingMs: number, loadMs: number, random: number): boolean {
  return -loadMs * Math.log(random) >= remainingMs;
}
