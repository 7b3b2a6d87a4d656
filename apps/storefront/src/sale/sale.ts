/** The whole sale unattended: three modes, a death, saturation, and the report. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../scenario/stage.ts';
import type { FailoverRecord } from './failover.ts';
import type { Failure } from './generator-messages.ts';
import type { Market } from './market.ts';
import { type ModeRunResult, startModeRun } from './mode-run.ts';
import { modeTitle } from './mode-title.ts';
import { judgePromises } from './promises.ts';
import {
  type Environment,
  type FailoverReport,
  type FreshnessReport,
  freshnessBoundMs,
  type Mode,
  type ModeReport,
  modes,
  type Point,
  reportVersion,
  type SaleEvent,
  type SaleReport,
} from './report.ts';
import { measureSaturation, perKind } from './saturation.ts';
import { median } from './spread.ts';

export interface SaleOptions {
  readonly pagesPerSecond: number;
  readonly secondsPerMode: number;
  readonly seed: number;
  readonly command: string;
  readonly environment: Environment;
  readonly startedAtMs: number;
  readonly step: (sentence: string) => void;
  readonly detail: (sentence: string) => void;
  readonly onPoint?: (point: Point) => void;
  readonly onEvent?: (event: SaleEvent) => void;
}

const warmUpSeconds = 4;
const killAfterShare = 0.55;
const saturationRounds = 4;
const sliceSeconds = 2.5;
// Sessions are retried for 1.5 s, so a request of the gap may fail that much later.
const failoverAftermathMs = 2_000;

export async function runSale(stage: Stage, market: Market, options: SaleOptions): Promise<SaleReport> {
  const results = new Map<Mode, ModeRunResult>();
  for (const mode of modes) {
    options.step(`${modeTitle(mode)}: ${options.secondsPerMode} s at ${options.pagesPerSecond} pages/s`);
    results.set(mode, await playMode(stage, market, mode, options));
  }
  options.step('Saturation: as many pages as each mode can send');
  const saturation = await measureSaturation(stage, market, {
    rounds: saturationRounds,
    sliceSeconds,
    seed: options.seed,
    report: options.detail,
  });

  const larder = results.get('larder')!;
  if (larder.failover === undefined)
    throw new Error('The primary was not killed; this is a fault of the sale.');
  const reports = reportsOf(results);
  const measured = {
    modes: reports,
    freshness: freshnessOf(larder, larder.failover),
    failover: failoverOf(larder.failover, larder.failures),
    saturation,
  };
  return {
    reportVersion,
    startedAt: new Date(options.startedAtMs).toISOString(),
    durationSeconds: (Date.now() - options.startedAtMs) / 1_000,
    command: options.command,
    seed: options.seed,
    environment: options.environment,
    ...measured,
    saturationPagesPerSecond: perKind((kind) => median(saturation.slices[kind])),
    promises: judgePromises(measured),
  };
}

async function playMode(
  stage: Stage,
  market: Market,
  mode: Mode,
  options: SaleOptions,
): Promise<ModeRunResult> {
  const run = await startModeRun(stage, market, {
    mode,
    pagesPerSecond: options.pagesPerSecond,
    seed: options.seed,
    warmUpSeconds,
    seconds: options.secondsPerMode,
    ...(options.onPoint === undefined ? {} : { onPoint: options.onPoint }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  try {
    await run.measuring;
    if (mode === 'larder') {
      await sleep(options.secondsPerMode * 1_000 * killAfterShare);
      await run.killPrimary();
    }
    return await run.finished;
  } finally {
    run.stop();
    await run.shops.stop();
  }
}

function reportsOf(results: ReadonlyMap<Mode, ModeRunResult>): Record<Mode, ModeReport> {
  const of = (mode: Mode): ModeReport => results.get(mode)!.report;
  return { none: of('none'), ttl: of('ttl'), larder: of('larder') };
}

/** (pure) */
export function freshnessOf(larder: ModeRunResult, failover: FailoverRecord): FreshnessReport {
  const { killedAtMs, writableAgainAtMs } = failover;
  return {
    boundMs: freshnessBoundMs,
    commitToVisibleMs: larder.report.commitToVisibleMs,
    changes: larder.changes.length,
    changesWhilePrimaryDown: larder.changes.filter(
      ({ committedAtMs }) => committedAtMs >= killedAtMs && committedAtMs <= (writableAgainAtMs ?? Infinity),
    ).length,
  };
}

/** (pure) */
export function failoverOf(record: FailoverRecord, failures: readonly Failure[]): FailoverReport {
  const untilMs = (record.writableAgainAtMs ?? Infinity) + failoverAftermathMs;
  return {
    killedAtMs: record.killedAtMs,
    writeGapMs: record.writeGapMs,
    failedRequests: failures.filter(({ endedAtMs }) => endedAtMs >= record.killedAtMs && endedAtMs <= untilMs)
      .length,
    promotionSeenAfterMs: record.promotionSeenAfterMs,
    killedMemberId: record.killedMemberId,
    promotedMemberId: record.promotedMemberId,
    priceChangedDuringGap: record.priceChangedDuringGap,
    priceVisibleAfterMs: record.priceChange.visibleAfterMs,
    events: record.events,
  };
}
