/** One cold key, 4 processes, 250 callers in each, at the same moment: how often does the loader run? */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import { nowMs } from '../monotonic.ts';
import { openBenchShop } from './bench-shop.ts';
import type { Burst, BurstResult } from './held-loader-worker.ts';

export interface StampedeReport {
  readonly subject: string;
  readonly loader: 'slow' | 'failing';
  /** Over all processes, one number per round. */
  readonly loads: readonly number[];
  /** Rounds in which all callers got the value, or with a failing loader all got its error. */
  readonly uniform: number;
  /** Until the last caller had its answer, one number per round. */
  readonly lastMs: readonly number[];
}

export interface StampedeOptions {
  readonly postgres: PostgresAddress;
  readonly subject: string;
  readonly rounds: number;
  readonly table: string;
}

const processes = 4;
const callers = 250;
/** For the message to reach every process. */
const headStartMs = 30;

export async function runStampedes(options: StampedeOptions): Promise<StampedeReport[]> {
  const { postgres, subject, rounds, table } = options;
  const watched = subject === 'larder';
  const rows = 2 * rounds + 1;
  const shop = await openBenchShop({ postgres, subject, watched, processes, rows, table });
  const { workers } = shop;
  const reports: StampedeReport[] = [];
  try {
    // The first query of a connection and the first run of the code belong to nobody.
    await Promise.all(workers.map((worker) => worker.call('get', rows)));
    for (const [part, loader] of (['slow', 'failing'] as const).entries()) {
      await Promise.all(workers.map((worker) => worker.call('behave', loader)));
      const loads: number[] = [];
      const lastMs: number[] = [];
      let uniform = 0;
      for (let round = 0; round < rounds; round += 1) {
        const burst: Burst = { key: 1 + part * rounds + round, callers, atMs: nowMs() + headStartMs };
        const results = await Promise.all(workers.map((worker) => worker.call<BurstResult>('burst', burst)));
        lastMs.push(nowMs() - burst.atMs);
        const sum = (of: (result: BurstResult) => number): number =>
          results.reduce((total, result) => total + of(result), 0);
        loads.push(sum((result) => result.loads));
        const alike = loader === 'slow' ? sum(({ values }) => values) : sum(({ errors }) => errors);
        if (alike === processes * callers) uniform += 1;
      }
      reports.push({ subject, loader, loads, uniform, lastMs });
    }
    return reports;
  } finally {
    await shop.close();
  }
}
