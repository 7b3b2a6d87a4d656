/**
 * The metric store over a database.
 *
 * What is recorded is written to a journal, one row for each call, and kept in memory beside it. Now and then each series'
 * data move from there into blocks: one row for a stretch of periods, for every tier. Reading takes both together. After
 * a kill the journal is read again; each series knows which of its rows are in blocks already.
 *
 * Writers wait for each other; who reads waits for nobody once the journal was read.
 */
import { setImmediate as yieldTurn } from 'node:timers/promises';
import { mergeSummaries } from '@larder/metrics/merge-summaries';
import { type Metric, metricKey, type Unit } from '@larder/metrics/metric';
import type {
  MetricFilter,
  MetricStore,
  Point,
  PointsQuery,
  RecordedData,
} from '@larder/metrics/metric-store';
import type { Summary } from '@larder/metrics/summary';
import type { Transaction } from 'kysely';
import { decodeBlock } from './block.ts';
import {
  addToRow,
  decodeJournalRow,
  emptyRow,
  encodeJournalRow,
  isEmpty,
  type JournalRow,
} from './journal-row.ts';
import {
  deleteJournal,
  deleteOldBlocks,
  deleteSeries,
  inBatches,
  insertSeries,
  moveIntoBlocks,
  readBlocks,
} from './rows.ts';
import {
  addOther,
  addSingle,
  newSeries,
  type Series,
  waiting,
  waitingByPeriod,
  weightOf,
  weightWaiting,
} from './series.ts';
import { isOurs, seriesIndex } from './series-index.ts';
import type { MetricDatabase, MetricTables } from './tables.ts';
import { type Grain, longestKeptMs, type Tier, tierFor } from './tier.ts';

/** Series of anybody else's namespaces. */
export const mostForeignSeries = 50_000;
/** What may wait, in one series and by its weight in all, before it is moved early. */
const mostWaiting = 2_000;
const mostWeight = 4_000_000;
/** Beyond that those of them go, with their data, that had none for longest. */
const mostRestingSeries = 25_000;
/** Moved in one transaction, so that nobody waits long for the next turn. */
const movedAtOnce = 100;
const flushEveryMs: Record<Grain, number> = { second: 300_000, 'within-minute': 300_000, minute: 1_800_000 };
const dropEveryMs = 60_000;
/** Nothing is read from further in the future. */
const longestAheadMs = 86_400_000;
const journalBatch = 30;

/** There are as many metrics as this store keeps; the message says so. */
export class TooManyMetrics extends Error {
  override name = 'TooManyMetrics';
}

export interface MetricKeeper extends MetricStore {
  /** @param beside written in the same transaction. */
  record(recorded: readonly RecordedData[], beside?: Beside): Promise<void>;
  /** Moves what waited long enough into blocks, and drops what is too old. To be called about every second. */
  maintain(): Promise<void>;
  /** Resolves when what was begun is done; nothing may be recorded any more. */
  close(): Promise<void>;
}

type Beside = (transaction: Transaction<MetricTables>) => Promise<void>;

export interface MetricKeeperOptions {
  readonly database: MetricDatabase;
  readonly nowMs: () => number;
}

/** Begins to read the journal; what is asked for waits for that. */
export function metricKeeper({ database, nowMs }: MetricKeeperOptions): MetricKeeper {
  const index = seriesIndex();
  let nextId = 1;
  let nextRow = 1;
  let dropAtMs = 0;
  /** Of all that waits. */
  let weight = 0;
  let moving: Promise<void> | undefined;
  const opened = open();
  opened.catch(() => {});
  let line: Promise<unknown> = opened.catch(() => {});

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = line.then(() => opened).then(work);
    line = done.catch(() => {});
    return done;
  }

  /** Spread over the time between two moves, so that each second has its share. */
  function firstFlush(id: number, grain: Grain): number {
    const everyMs = flushEveryMs[grain];
    return nowMs() + (((id * 1_000) % everyMs) + 1_000);
  }

  async function open(): Promise<void> {
    const marks = new Map(
      (await database.selectFrom('metric_mark').selectAll().execute()).map((mark) => [mark.series, mark]),
    );
    for (const row of await database.selectFrom('metric_series').selectAll().execute()) {
      const grain = row.grain as Grain;
      const metric = JSON.parse(row.metric) as Metric;
      const series = newSeries(
        { id: row.id, metric, unit: row.unit as Unit, grain, withoutValues: row.without_values === 1 },
        firstFlush(row.id, grain),
      );
      const mark = marks.get(row.id);
      if (mark !== undefined) {
        series.flushed = mark.flushed;
        series.lastAtMs = mark.last_at;
        nextRow = Math.max(nextRow, mark.flushed + 1);
      }
      index.put(series);
      nextId = Math.max(nextId, row.id + 1);
    }
    for (let after = 0; ; ) {
      const rows = await database
        .selectFrom('metric_journal')
        .select(['number', 'data'])
        .where('number', '>', after)
        .orderBy('number')
        .limit(journalBatch)
        .execute();
      for (const { number, data } of rows) {
        takeUp(decodeJournalRow(data), number);
        after = number;
        nextRow = Math.max(nextRow, number + 1);
        await yieldTurn();
      }
      if (rows.length < journalBatch) return;
    }
  }

  async function record(recorded: readonly RecordedData[], beside?: Beside): Promise<void> {
    const made = new Map<string, Series>();
    const rows = { quick: emptyRow(), slow: emptyRow() };
    let newForeign = 0;
    for (const { metric, unit, resolutionSeconds, rollUp, data } of recorded) {
      const grain = grainOf(resolutionSeconds, rollUp);
      const withoutValues = rollUp === 'without-values';
      let series = index.find(metric, { unit, grain, withoutValues });
      if (series === undefined) {
        const name = `${metricKey(metric)} ${unit} ${grain} ${withoutValues}`;
        series = made.get(name);
        if (series === undefined) {
          if (!isOurs(metric)) newForeign += 1;
          if (index.foreign + newForeign > mostForeignSeries) throw tooMany();
          const id = nextId + made.size;
          series = newSeries({ id, metric, unit, grain, withoutValues }, firstFlush(id, grain));
          made.set(name, series);
        }
      }
      const resolutionMs = resolutionSeconds * 1_000;
      const row = grain === 'minute' ? rows.slow : rows.quick;
      for (const { atMs, summary } of data) {
        addToRow(row, series.id, atMs - (atMs % resolutionMs), summary);
      }
    }
    const journal = [rows.quick, rows.slow].flatMap((data, slow) =>
      isEmpty(data) ? [] : [{ data, slow, number: nextRow + slow }],
    );
    if (journal.length === 0 && beside === undefined) return;
    await database.transaction().execute(async (transaction) => {
      await insertSeries(transaction, [...made.values()]);
      for (const { data, slow, number } of journal) {
        await transaction
          .insertInto('metric_journal')
          .values({ number, slow, data: encodeJournalRow(data) })
          .execute();
      }
      await beside?.(transaction);
    });
    nextId += made.size;
    nextRow += 2;
    for (const series of made.values()) index.put(series);
    for (const { data, number } of journal) takeUp(data, number);
  }

  /** Of a row of the journal, what is not in blocks yet. */
  function takeUp({ series: ids, times, values, others }: JournalRow, number: number): void {
    for (let at = 0; at < ids.length; at += 1) {
      const series = waitsIn(ids[at]!, number);
      if (series === undefined) continue;
      addSingle(series, number, times[at]!, values[at]!);
      weight += 1;
    }
    for (const { series: id, datum } of others) {
      const series = waitsIn(id, number);
      if (series === undefined) continue;
      addOther(series, number, datum);
      weight += weightOf(datum);
    }
  }

  function waitsIn(id: number, number: number): Series | undefined {
    const series = index.byId(id);
    if (series === undefined || number <= series.flushed) return undefined;
    if (waiting(series) >= mostWaiting) series.flushAtMs = 0;
    return series;
  }

  async function flush(due: readonly Series[]): Promise<void> {
    await moveIntoBlocks(database, due, nowMs());
    for (const series of due) {
      weight -= weightWaiting(series);
      series.flushed = series.newest;
      series.oldest = undefined;
      series.singles = [];
      series.others = [];
    }
  }

  async function maintain(): Promise<void> {
    const atMs = nowMs();
    const due: Series[] = [];
    for (const series of index.all) {
      if (series.flushAtMs > atMs && weight <= mostWeight) continue;
      series.flushAtMs = atMs + flushEveryMs[series.grain];
      if (waiting(series) > 0) due.push(series);
    }
    for (const batch of inBatches(due, movedAtOnce)) {
      moving = flush(batch).finally(() => {
        moving = undefined;
      });
      await moving;
      await yieldTurn();
    }
    if (atMs < dropAtMs) return;
    dropAtMs = atMs + dropEveryMs;
    await dropJournal();
    await deleteOldBlocks(database, atMs);
    for (const batch of inBatches(index.forgettable(atMs, mostRestingSeries))) {
      await deleteSeries(database, batch);
      for (const series of batch) index.remove(series);
    }
  }

  /** What no series needs any more. */
  async function dropJournal(): Promise<void> {
    const oldest = { quick: nextRow, slow: nextRow };
    for (const series of index.all) {
      const kind = series.grain === 'minute' ? 'slow' : 'quick';
      if (series.oldest !== undefined) oldest[kind] = Math.min(oldest[kind], series.oldest);
    }
    await deleteJournal(database, 0, oldest.quick);
    await deleteJournal(database, 1, oldest.slow);
  }

  async function periodsOf(series: Series, query: PointsQuery): Promise<Map<number, Summary[]>> {
    const tier = tierFor(series.grain, query, nowMs());
    const periods = new Map<number, Summary[]>();
    if (tier === undefined) return periods;
    const periodMs = query.periodSeconds * 1_000;
    const starts: number[] = [];
    const firstMs = Math.max(query.startMs, nowMs() - tier.keptMs - tier.blockMs);
    const endMs = Math.min(query.endMs, nowMs() + longestAheadMs);
    for (let ms = firstMs - (firstMs % tier.blockMs); ms < endMs; ms += tier.blockMs) starts.push(ms);
    const { rows, waits } = await together(series, tier, query, starts);
    const add = (atMs: number, summary: Summary) => {
      const period = atMs - (atMs % periodMs);
      const parts = periods.get(period);
      if (parts === undefined) periods.set(period, [summary]);
      else parts.push(summary);
    };
    for (const { start, data } of rows) {
      for (const [number, summary] of decodeBlock(data)) {
        const atMs = start + number * tier.seconds * 1_000;
        if (atMs >= query.startMs && atMs < query.endMs) add(atMs, summary);
      }
    }
    for (const [atMs, parts] of waits) for (const part of parts) add(atMs, part);
    return periods;
  }

  /** Rows and what waits as of one moment: with a move in between data would show twice, or not at all. */
  async function together(series: Series, tier: Tier, query: PointsQuery, starts: readonly number[]) {
    for (;;) {
      while (moving !== undefined) await moving.catch(() => {});
      const { flushed } = series;
      const waits = waitingByPeriod(series, tier.seconds * 1_000, query.startMs, query.endMs);
      const rows = await readBlocks(database, tier, series.id, starts);
      if (moving === undefined && flushed === series.flushed) return { rows, waits };
    }
  }

  return {
    record: (recorded, beside) => inTurn(() => record(recorded, beside)),
    maintain: () => inTurn(maintain),
    async close() {
      await line;
    },
    async read(query) {
      await opened;
      const points: Point[] = [];
      const all = index
        .ofMetric(query.metric)
        .filter(({ unit }) => query.unit === undefined || query.unit === unit);
      for (const unit of new Set(all.map((each) => each.unit))) {
        const periods = new Map<number, Summary[]>();
        const ofUnit = all.filter((each) => each.unit === unit);
        const hasLooks = query.periodSeconds < 60 && ofUnit.some(({ grain }) => grain === 'within-minute');
        for (const series of ofUnit) {
          if (hasLooks && series.grain === 'minute') continue;
          for (const [startMs, parts] of await periodsOf(series, query)) {
            const before = periods.get(startMs);
            if (before === undefined) periods.set(startMs, parts);
            else before.push(...parts);
          }
        }
        for (const [startMs, parts] of periods)
          points.push({ startMs, unit, summary: mergeSummaries(parts) });
      }
      return points.sort((a, b) => a.startMs - b.startMs);
    },
    async list(filter: MetricFilter) {
      await opened;
      return index.list(filter);
    },
  };
}

function tooMany(): TooManyMetrics {
  return new TooManyMetrics(
    `There are ${mostForeignSeries} metrics, which is the most. Use fewer dimensions; metrics end ${longestKeptMs / 86_400_000} days after their last data.`,
  );
}

function grainOf(resolutionSeconds: 1 | 60, rollUp: RecordedData['rollUp']): Grain {
  if (rollUp === 'within-minute') return 'within-minute';
  return resolutionSeconds === 1 ? 'second' : 'minute';
}
