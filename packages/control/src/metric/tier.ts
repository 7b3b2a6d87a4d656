/** (pure) The lengths of the periods that data are kept by, for how long, and which of them answers a question. */

export interface Tier {
  readonly seconds: number;
  readonly keptMs: number;
  /** What one row of the database covers. */
  readonly blockMs: number;
}

const secondMs = 1_000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Of CloudWatch's retention; the 10 seconds are ours. */
export const tiers: readonly Tier[] = [
  { seconds: 1, keptMs: 3 * hourMs, blockMs: 300 * secondMs },
  { seconds: 10, keptMs: 12 * hourMs, blockMs: hourMs },
  { seconds: 60, keptMs: 15 * dayMs, blockMs: 6 * hourMs },
  { seconds: 300, keptMs: 63 * dayMs, blockMs: dayMs },
  { seconds: 3_600, keptMs: 455 * dayMs, blockMs: 15 * dayMs },
];

export const longestKeptMs = 455 * dayMs;

/** How a series' data are recorded: by the second, by the minute, or looks inside of minutes. */
export const grains = ['second', 'minute', 'within-minute'] as const;
export type Grain = (typeof grains)[number];

export function tiersOf(grain: Grain): readonly Tier[] {
  if (grain === 'second') return tiers;
  return tiers.filter(({ seconds }) => (grain === 'minute' ? seconds >= 60 : seconds < 60));
}

/** A question over more periods than this is answered from a coarser tier. */
const mostPeriods = 4_320;

export interface Asked {
  readonly startMs: number;
  readonly endMs: number;
  readonly periodSeconds: number;
}

/**
 * The finest tier that makes up whole periods, reaches back to the start and has not too much to read: finer ones know
 * how values are spread. Undefined: these looks don't count in such a period.
 */
export function tierFor(
  grain: Grain,
  { startMs, endMs, periodSeconds }: Asked,
  nowMs: number,
): Tier | undefined {
  if (grain === 'within-minute' && periodSeconds >= 60) return undefined;
  const own = tiersOf(grain);
  const fitting = own.filter(({ seconds }) => periodSeconds % seconds === 0);
  // What is kept by the minute shows in periods of a second too, as the minute's.
  if (fitting.length === 0) return own[0];
  return (
    fitting.find(
      ({ seconds, keptMs }) =>
        startMs >= nowMs - keptMs && endMs - startMs <= mostPeriods * seconds * secondMs,
    ) ?? fitting.at(-1)
  );
}
