/** What a run must reach, and whether it did. Pure. */
import { type Spread, spreadOf } from './statistics.ts';

export interface Bar {
  readonly name: string;
  /** What a good value is: at least the limit, or at most. */
  readonly better: 'higher' | 'lower';
  readonly limit: number;
  readonly unit: string;
  /** One per round. */
  readonly values: readonly number[];
}

/** near: the limit lies inside the printed spread, so this run does not decide. */
export type Verdict = 'met' | 'near' | 'missed';

export interface JudgedBar extends Bar {
  readonly spread: Spread;
  readonly verdict: Verdict;
}

/** Missed only when the whole printed spread (the quartiles) is on the wrong side; without values, always. */
export function judge(bar: Bar): JudgedBar {
  const spread = spreadOf(bar.values);
  const reaches = (value: number): boolean =>
    bar.better === 'higher' ? value >= bar.limit : value <= bar.limit;
  const best = bar.better === 'higher' ? spread.q3 : spread.q1;
  const verdict = reaches(spread.median) ? 'met' : reaches(best) ? 'near' : 'missed';
  return { ...bar, spread, verdict };
}
