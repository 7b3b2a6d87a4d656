/** Cases `near-hit` and `far-hit`: what a read costs when the value is there. */
import { startEngine } from '../../testing/engine.ts';
import { type Bar, judge } from '../bar.ts';
import { progress } from '../run-report.ts';
import { ratiosWithinRounds, shuffled, spreadOf } from '../statistics.ts';
import { figure, spreadText, table } from '../table.ts';
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { BenchCase, CaseOptions, CaseReport } from './bench-case.ts';
import { farVariants, type HitVariant, nearVariants } from './hit-variants.ts';
import type { HitStart, Slice, SliceRequest } from './hit-worker.ts';

/** Reads per second of CPU time in each round: what else ran on the machine matters least to it. */
interface Measured {
  readonly variant: HitVariant;
  readonly nanosPerRead: number[];
  readonly readsPerSecond: number[];
}

interface HitPlan {
  readonly variants: readonly HitVariant[];
  readonly keys: number;
  readonly concurrency: number;
}

const rounds = 15;

export const nearHit: BenchCase = {
  name: 'near-hit',
  purpose: 'a value in the memory of this process; 1,000 keys, all there',
  async run(options) {
    const measured = await measure({ variants: nearVariants, keys: 1_000, concurrency: 1 }, options);
    const bars = [
      rateBar(measured, 'larder near()', 'layered-loader getInMemoryOnly()', 0.9),
      rateBar(measured, 'larder get', 'layered-loader get', 1),
    ];
    return report(measured, bars, 'Map.get');
  },
};

export const farHit: BenchCase = {
  name: 'far-hit',
  purpose: 'a value in the shared tier, about 1 KB of JSON, decoded; no near tier; 64 reads at a time',
  async run(options) {
    const measured = await measure({ variants: farVariants, keys: 10_000, concurrency: 64 }, options);
    const bars = [
      costBar(measured, 'larder over node-redis', 'node-redis GET + JSON.parse', 1.15),
      costBar(measured, 'larder over ioredis', 'ioredis GET + JSON.parse', 1.15),
    ];
    return report(measured, bars, 'node-redis GET + JSON.parse');
  },
};

async function measure(
  { variants, keys, concurrency }: HitPlan,
  { seconds, random }: CaseOptions,
): Promise<Measured[]> {
  const engine = await startEngine('valkey');
  const workers = new Map<HitVariant, WorkerProcess>();
  const measured = variants.map((variant): Measured => ({ variant, nanosPerRead: [], readsPerSecond: [] }));
  try {
    for (const variant of variants) {
      const start: HitStart = { variant, engine: { host: engine.host, port: engine.port }, keys };
      const worker = await startWorker({ file: 'bench/cache/hit-worker.js', start });
      workers.set(variant, worker);
      await worker.call('warm');
    }
    const request: SliceRequest = {
      forMs: Math.max(50, (seconds * 1_000) / ((rounds + 2) * variants.length)),
      concurrency,
    };
    // Two rounds for the compilers.
    for (let round = -2; round < rounds; round += 1) {
      for (const { variant, nanosPerRead, readsPerSecond } of shuffled(measured, random)) {
        const worker = workers.get(variant)!;
        const { operations, elapsedMs, cpuMicros } = await worker.call<Slice>('slice', request);
        const loads = await worker.call<number>('loads');
        if (round < 0) continue;
        if (loads > operations / 1_000)
          throw new Error(`${variant}: ${loads} of ${operations} were no hits.`);
        nanosPerRead.push((1_000 * cpuMicros) / operations);
        readsPerSecond.push((1_000 * operations) / elapsedMs);
      }
      if (round >= 0 && round % 5 === 4) progress(`${round + 1} of ${rounds} rounds`);
    }
    return measured;
  } finally {
    await Promise.all([...workers.values()].map((worker) => worker.kill()));
    await engine.stop();
  }
}

function nanosOf(measured: readonly Measured[], variant: HitVariant): number[] {
  return measured.find((each) => each.variant === variant)!.nanosPerRead;
}

/** How many reads one gives for one of the other's, in the same CPU time. */
function rateBar(measured: readonly Measured[], one: HitVariant, other: HitVariant, limit: number) {
  const values = ratiosWithinRounds(nanosOf(measured, other), nanosOf(measured, one));
  const bar: Bar = { name: `${one}, rate × ${other}`, better: 'higher', limit, unit: '×', values };
  return judge(bar);
}

function costBar(measured: readonly Measured[], one: HitVariant, other: HitVariant, limit: number) {
  const values = ratiosWithinRounds(nanosOf(measured, one), nanosOf(measured, other));
  const bar: Bar = { name: `${one}, CPU × ${other}`, better: 'lower', limit, unit: '×', values };
  return judge(bar);
}

function report(measured: readonly Measured[], bars: CaseReport['bars'], reference: HitVariant): CaseReport {
  const base = nanosOf(measured, reference);
  const text = table(
    ['variant', 'CPU per read, µs', `CPU × ${reference}`, 'reads/s'],
    measured.map(({ variant, nanosPerRead, readsPerSecond }) => [
      variant,
      spreadText(spreadOf(nanosPerRead.map((nanos) => nanos / 1_000))),
      spreadText(spreadOf(ratiosWithinRounds(nanosPerRead, base))),
      figure(spreadOf(readsPerSecond).median),
    ]),
  );
  return { text, bars, numbers: measured };
}
