/** (pure) Failing attempts per source: some at once, then a few per second. */

export interface Throttle {
  /** Whether another attempt of the source may be looked at. */
  allows(source: string, nowMs: number): boolean;
  failed(source: string, nowMs: number): void;
}

export interface ThrottleOptions {
  readonly burst: number;
  readonly perSecond: number;
}

/** Sources remembered; who failed longest ago is forgotten first. */
const maxSources = 10_000;

export function throttle({ burst, perSecond }: ThrottleOptions): Throttle {
  const failures = new Map<string, { count: number; atMs: number }>();

  function countOf(source: string, nowMs: number): number {
    const known = failures.get(source);
    if (known === undefined) return 0;
    // A clock that was set back forgives nothing and takes nothing.
    const forgiven = (Math.max(0, nowMs - known.atMs) / 1_000) * perSecond;
    return Math.max(0, known.count - forgiven);
  }

  return {
    allows: (source, nowMs) => countOf(source, nowMs) <= burst - 1,
    failed(source, nowMs) {
      const count = countOf(source, nowMs) + 1;
      // Put at the end: the map keeps the order of insertion.
      failures.delete(source);
      failures.set(source, { count, atMs: nowMs });
      if (failures.size > maxSources) failures.delete(failures.keys().next().value!);
    },
  };
}
