/** (pure) What came of all repetitions of a fault. */
import type { JudgedBar } from '../../bench/bar.ts';
import { quantile } from '../../bench/statistics.ts';
import type { Figures } from './judge-history.ts';

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly peer: boolean;
  readonly client: string;
  /** One for each repetition that came to its end. */
  readonly figures: readonly Figures[];
  /** What the fault saw beside, of each. */
  readonly saw: readonly Readonly<Record<string, number>>[];
  readonly errors: Readonly<Record<string, number>>;
  /** Repetitions that did not heal or broke off: why. */
  readonly failures: readonly string[];
  readonly bars: readonly JudgedBar[];
}

export interface Summary {
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  readonly total: number;
}

export const figureNames: Readonly<Record<keyof Figures, string>> = {
  gapMs: 'write gap',
  otherShardsGapMs: 'write gap of other shards',
  quietGapMs: 'longest gap before',
  successorMs: 'new primary takes writes after',
  acknowledged: 'acknowledged',
  lost: 'acknowledged writes lost',
  zombies: 'zombie writes',
  marginMs: 'old primary silent before the new one by',
  splitBrainMs: 'two primaries at once',
  worstLatencyMs: 'worst write latency',
  fullSyncs: 'full resyncs',
  staleReads: 'reads that went back',
  readGapMs: 'read gap',
  clientErrors: 'client errors',
};

/** Over the repetitions in which there was such a figure; NaN without any. */
export function summaryOf(figures: readonly Figures[], name: keyof Figures): Summary {
  const values = figures.map((each) => each[name]).filter((value) => !Number.isNaN(value));
  const sorted = values.sort((left, right) => left - right);
  return {
    median: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    max: quantile(sorted, 1),
    total: sorted.reduce((sum, value) => sum + value, 0),
  };
}
