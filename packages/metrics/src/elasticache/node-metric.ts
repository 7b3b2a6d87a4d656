/** (pure) The nouns of the list of metrics, and how their values are made. */
import type { Unit } from '../metric.ts';
import type { Summary } from '../summary.ts';
import type { Look } from './look.ts';

export interface NodeMetric {
  readonly name: string;
  readonly unit: Unit;
  /** `both`: asked for by the cluster alone too; `pair`: by cluster and node only. */
  readonly dimensions: 'both' | 'pair';
  /** What it is derived from, for the reference. */
  readonly from: string;
  /** Undefined: there is nothing to say of this period. */
  readonly value: (look: Look) => number | Summary | undefined;
}

type Value = NodeMetric['value'];

export function metric(
  dimensions: NodeMetric['dimensions'],
  unit: Unit,
  name: string,
  from: string,
  value: Value,
): NodeMetric {
  return { name, unit, dimensions, from, value };
}

export const stands =
  (name: string): Value =>
  ({ now }) =>
    now(name);

export const rose =
  (name: string): Value =>
  ({ rise }) =>
    rise(name);

/** Four decimals: more would only be noise, and dear to keep. */
export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Math.round(value * 10_000) / 10_000;
}

/** Undefined unless both are known and the second is more than 0. */
export function percent(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole <= 0 ? undefined : rounded((part / whole) * 100);
}

export function sum(...values: readonly (number | undefined)[]): number | undefined {
  let total = 0;
  for (const value of values) {
    if (value === undefined) return undefined;
    total += value;
  }
  return total;
}

export function difference(
  whole: number | undefined,
  ...parts: readonly (number | undefined)[]
): number | undefined {
  if (whole === undefined) return undefined;
  return Math.max(
    0,
    parts.reduce<number>((left, part) => left - (part ?? 0), whole),
  );
}
