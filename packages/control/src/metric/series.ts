/**
 * (pure) One metric's data of one unit and grain: what was recorded lately, in memory, until it is moved into blocks.
 * What stands for one value is kept as a number: a node's metrics are thousands of them a minute.
 */
import { mergeSummaries } from '@larder/metrics/merge-summaries';
import { type Metric, metricKey, type Unit } from '@larder/metrics/metric';
import { type Datum, type Summary, summaryOf } from '@larder/metrics/summary';
import { type BlockPoints, isSingle } from './block.ts';
import { type Grain, type Tier, tiersOf } from './tier.ts';

export interface Series {
  readonly id: number;
  readonly metric: Metric;
  readonly key: string;
  readonly unit: Unit;
  readonly grain: Grain;
  readonly withoutValues: boolean;
  /** Of its latest datum. */
  lastAtMs: number;
  /** Number of the journal's last row that is in its blocks. */
  flushed: number;
  /** Of the oldest and the newest row that is not. */
  oldest: number | undefined;
  newest: number;
  flushAtMs: number;
  /** Recorded and not in blocks: single values, each behind its time, and the others. */
  singles: number[];
  others: Datum[];
}

export function newSeries(
  facts: Pick<Series, 'id' | 'metric' | 'unit' | 'grain' | 'withoutValues'>,
  flushAtMs: number,
): Series {
  return {
    ...facts,
    key: metricKey(facts.metric),
    lastAtMs: Number.NEGATIVE_INFINITY,
    flushed: 0,
    oldest: undefined,
    newest: 0,
    flushAtMs,
    singles: [],
    others: [],
  };
}

export function addSingle(series: Series, row: number, atMs: number, value: number): void {
  series.singles.push(atMs, value);
  added(series, row, atMs);
}

export function addOther(series: Series, row: number, datum: Datum): void {
  series.others.push(datum);
  added(series, row, datum.atMs);
}

function added(series: Series, row: number, atMs: number): void {
  series.lastAtMs = Math.max(series.lastAtMs, atMs);
  series.oldest ??= row;
  series.newest = Math.max(series.newest, row);
}

export function waiting({ singles, others }: Series): number {
  return singles.length / 2 + others.length;
}

/** Of memory, in single values. */
export function weightOf({ summary: { values = [] } }: Datum): number {
  return 10 + 2 * values.length;
}

export function weightWaiting({ singles, others }: Series): number {
  return singles.length / 2 + others.reduce((sum, each) => sum + weightOf(each), 0);
}

/** What waits, by the period that it falls into. */
export function waitingByPeriod(
  { singles, others }: Series,
  periodMs: number,
  fromMs = Number.NEGATIVE_INFINITY,
  toMs = Number.POSITIVE_INFINITY,
): Map<number, Summary[]> {
  const periods = new Map<number, Summary[]>();
  const put = (atMs: number, summary: Summary) => {
    const period = atMs - (atMs % periodMs);
    const parts = periods.get(period);
    if (parts === undefined) periods.set(period, [summary]);
    else parts.push(summary);
  };
  for (let index = 0; index < singles.length; index += 2) {
    const atMs = singles[index]!;
    if (atMs >= fromMs && atMs < toMs) put(atMs, summaryOf(singles[index + 1]!));
  }
  for (const { atMs, summary } of others) if (atMs >= fromMs && atMs < toMs) put(atMs, summary);
  return periods;
}

/** Blocks that change when what waits is moved there: tier -> start of the block -> its new points. */
export function newPoints(series: Series, nowMs: number): Map<Tier, Map<number, BlockPoints>> {
  const found = new Map<Tier, Map<number, BlockPoints>>();
  for (const tier of tiersOf(series.grain)) {
    const periodMs = tier.seconds * 1_000;
    const blocks = new Map<number, BlockPoints>();
    for (const [startMs, parts] of waitingByPeriod(series, periodMs, nowMs - tier.keptMs)) {
      const blockMs = startMs - (startMs % tier.blockMs);
      const block: BlockPoints = blocks.get(blockMs) ?? new Map();
      blocks.set(blockMs, block);
      block.set((startMs - blockMs) / periodMs, rolledUp(series, tier, parts));
    }
    if (blocks.size > 0) found.set(tier, blocks);
  }
  return found;
}

/** As the tier keeps it. */
export function rolledUp({ grain, withoutValues }: Series, tier: Tier, parts: readonly Summary[]): Summary {
  const merged = mergeSummaries(parts);
  const keepsValues =
    parts.length === 1 ||
    (grain === 'within-minute'
      ? parts.some((part) => !isSingle(part) && part.values !== undefined)
      : !withoutValues || tier.seconds <= 60);
  if (keepsValues || merged.values === undefined) return merged;
  const { values: _, ...statistics } = merged;
  return statistics;
}
