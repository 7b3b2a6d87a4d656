/** (pure) Several summaries as one, as when periods are rolled up into a longer one. */
import type { Summary, ValueCount } from './summary.ts';

/** Of the values of one summary. */
export const mostValues = 500;
/** First try at joining: values that differ by less than half a percent count as one. */
const finestRatio = 1.005;

/**
 * Count, sum and bounds are exact. The values are known when those of every part are; beyond `most` of them neighbours
 * are joined, by their mean, in classes of equal ratio: each then differs from what it stands for by at most that ratio.
 *
 * @param parts at least one.
 */
export function mergeSummaries(parts: readonly Summary[], most = mostValues): Summary {
  const [only] = parts;
  if (only === undefined) throw new RangeError('There is no summary of nothing.');
  if (parts.length === 1 && (only.values?.length ?? 0) <= most) return only;
  let sampleCount = 0;
  let sum = 0;
  let minimum = Number.POSITIVE_INFINITY;
  let maximum = Number.NEGATIVE_INFINITY;
  const counts = new Map<number, number>();
  let areKnown = true;
  for (const part of parts) {
    sampleCount += part.sampleCount;
    sum += part.sum;
    minimum = Math.min(minimum, part.minimum);
    maximum = Math.max(maximum, part.maximum);
    if (part.values === undefined) areKnown = false;
    else for (const [value, count] of part.values) counts.set(value, (counts.get(value) ?? 0) + count);
  }
  if (!areKnown) return { sampleCount, sum, minimum, maximum };
  const values = [...counts].sort(([a], [b]) => a - b);
  return { sampleCount, sum, minimum, maximum, values: joinNeighbours(values, most) };
}

/** @param values ascending. */
export function joinNeighbours(values: readonly ValueCount[], most = mostValues): readonly ValueCount[] {
  let joined = values;
  // Each step is on the values themselves, so that errors don't add up.
  for (let ratio = finestRatio; joined.length > Math.max(most, 3); ratio = 1 + (ratio - 1) * 2) {
    joined = joinWithin(values, ratio);
  }
  return joined;
}

function joinWithin(values: readonly ValueCount[], ratio: number): readonly ValueCount[] {
  const classes = new Map<number | string, { sum: number; count: number }>();
  const width = Math.log(ratio);
  for (const [value, count] of values) {
    const size = Math.floor(Math.log(Math.abs(value)) / width);
    const key = value === 0 ? 0 : `${value < 0 ? '-' : '+'}${size}`;
    const joined = classes.get(key) ?? { sum: 0, count: 0 };
    classes.set(key, { sum: joined.sum + value * count, count: joined.count + count });
  }
  return [...classes.values()].map(({ sum, count }) => [sum / count, count] as const);
}
