/** What every case of `npm run bench -- cache` is. A case not listed in main.ts does not exist. */
import type { JudgedBar } from '../bar.ts';

export interface CaseOptions {
  /** What the case may take, roughly, without its set-up. */
  readonly seconds: number;
  readonly random: () => number;
}

export interface CaseReport {
  readonly text: string;
  readonly bars: readonly JudgedBar[];
  /** Everything that was measured, for the file. */
  readonly numbers: unknown;
}

export interface BenchCase {
  readonly name: string;
  readonly purpose: string;
  run(options: CaseOptions): Promise<CaseReport>;
}
