/** (pure) The values of all of a node's metrics, from two readings of it. */
import type { Summary } from '../summary.ts';
import { nodeMetrics } from './catalogue.ts';
import { type LookOptions, lookAt } from './look.ts';
import type { NodeMetric } from './node-metric.ts';

export interface DerivedValue {
  readonly metric: NodeMetric;
  readonly summary: Summary;
}

export function derive(options: LookOptions): DerivedValue[] {
  const look = lookAt(options);
  const derived: DerivedValue[] = [];
  for (const metric of nodeMetrics(options.facts.engine)) {
    const value = metric.value(look);
    if (value === undefined) continue;
    if (typeof value !== 'number') derived.push({ metric, summary: value });
    // What an engine says may be anything; only numbers are kept.
    else if (Number.isFinite(value)) derived.push({ metric, summary: oneValue(value) });
  }
  return derived;
}

/** Its values go without saying; there are thousands of these a second. */
function oneValue(value: number): Summary {
  return { sampleCount: 1, sum: value, minimum: value, maximum: value };
}
