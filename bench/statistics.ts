/** Small statistics over lists of numbers. Pure. */

export interface Spread {
  readonly median: number;
  /** Quartiles. */
  readonly q1: number;
  readonly q3: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Interpolates between neighbours. NaN for an empty list. @param sorted ascending */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((left, right) => left - right);
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    count: sorted.length,
  };
}

/** Round by round, so that what slowed a whole round down cancels out. Throws when the rounds don't pair up. */
export function ratiosWithinRounds(over: readonly number[], under: readonly number[]): number[] {
  if (over.length !== under.length) throw new Error(`${over.length} rounds against ${under.length}.`);
  return over.map((value, round) => value / under[round]!);
}

/** A copy in an order that `random` decides (Fisher-Yates). */
export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const copy = [...values];
  for (let last = copy.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [copy[last], copy[other]] = [copy[other]!, copy[last]!];
  }
  return copy;
}
