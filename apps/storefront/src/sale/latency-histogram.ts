/**
 * Latencies in buckets that grow with the value: 64 linear steps per power of two, so a percentile is at most
 * 1.6 % too high, whatever the range. Adding costs no allocation, and two histograms add up exactly.
 */

const linearBits = 6;
const linearSteps = 2 ** linearBits;
// 2 ** 27 µs is 134 s, far beyond any timeout here; what is longer lands in the last bucket.
const bucketCount = (27 - linearBits + 1) * linearSteps + linearSteps;

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface LatencyHistogram {
  readonly count: number;
  record(latencyMs: number): void;
  add(other: LatencyHistogram): void;
  /** The upper edge of the bucket that holds the quantile, never above the largest value; 0 when empty. */
  quantileMs(quantile: number): number;
  summary(): LatencySummary;
  /** For `add` only. */
  readonly buckets: Uint32Array;
  readonly maxMicros: number;
}

export function latencyHistogram(): LatencyHistogram {
  const buckets = new Uint32Array(bucketCount);
  let count = 0;
  let maxMicros = 0;

  function quantileMs(quantile: number): number {
    if (count === 0) return 0;
    const wanted = Math.max(1, Math.ceil(quantile * count));
    let seen = 0;
    for (let index = 0; index < bucketCount; index += 1) {
      seen += buckets[index]!;
      if (seen >= wanted) return Math.min(upperEdgeMicros(index), maxMicros) / 1000;
    }
    return maxMicros / 1000;
  }

  return {
    buckets,
    get count() {
      return count;
    },
    get maxMicros() {
      return maxMicros;
    },
    record(latencyMs) {
      const micros = Math.max(0, Math.round(latencyMs * 1000));
      buckets[bucketOf(micros)]! += 1;
      count += 1;
      if (micros > maxMicros) maxMicros = micros;
    },
    add(other) {
      for (let index = 0; index < bucketCount; index += 1) buckets[index]! += other.buckets[index]!;
      count += other.count;
      maxMicros = Math.max(maxMicros, other.maxMicros);
    },
    quantileMs,
    summary: () => ({
      count,
      p50Ms: quantileMs(0.5),
      p95Ms: quantileMs(0.95),
      p99Ms: quantileMs(0.99),
      maxMs: maxMicros / 1000,
    }),
  };
}

function bucketOf(micros: number): number {
  if (micros < linearSteps) return micros;
  const exponent = Math.min(31 - Math.clz32(micros), 27);
  const step = Math.min(Math.floor(micros / 2 ** (exponent - linearBits)) - linearSteps, linearSteps - 1);
  return (exponent - linearBits + 1) * linearSteps + step;
}

function upperEdgeMicros(index: number): number {
  if (index < linearSteps) return index;
  const exponent = Math.floor(index / linearSteps) - 1 + linearBits;
  const step = index % linearSteps;
  return (linearSteps + step + 1) * 2 ** (exponent - linearBits) - 1;
}
