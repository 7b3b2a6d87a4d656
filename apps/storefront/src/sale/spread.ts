/** Small statistics over lists of numbers. Pure. */
import type { Ratio, Spread } from './report.ts';

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { p50: null, p99: null, max: null };
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99), max: Math.max(...values) };
}

/** The smallest value that at least this share of all lies at or below. `values` must not be empty. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

/** The mean of the two in the middle when their number is even. 0 for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Pair by pair: `over[i] / under[i]`. A pair without both, or over nothing, is left out. */
export function ratioOf(over: readonly number[], under: readonly number[]): Ratio {
  const ratios = over.flatMap((value, index) => {
    const divisor = under[index];
    return divisor === undefined || divisor === 0 ? [] : [value / divisor];
  });
  if (ratios.length === 0) return { median: 0, min: 0, max: 0 };
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) };
}
