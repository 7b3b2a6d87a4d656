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
import { elastiCacheNamespace, type Metric, metricKey, type Unit } from '@larder/metrics/metric';
import type {
  MetricFilter,
  MetricStore,
  Point,
  PointsQuery,
  RecordedData,
} from '@larder/metrics/metric-store';
import type { Summary } from '@larder/metrics/summary';
import { sql, type Transaction } from 'kysely';
import { type BlockPoints, decodeBlock, encodeBlock } from './block.ts';
import { decodeJournalRow, encodeJournalRow, type JournalDatum } from './journal-row.ts';
import { addDatum, newPoints, newSeries, rolledUp, type Series, waiting, waitingByPeriod } from './series.ts';
import type { MetricDatabase, MetricTables } from './tables.ts';
import { type Grain, longestKeptMs, type Tier, tierFor, tiers } from './tier.ts';

/** What Larder measures of itself. */
export const larderNamespace = 'Larder';
/** Series of anybody else's namespaces. */
export const mostForeignSeries = 50_000;
/** Data that wait in one series before it is moved early. */
const mostWaiting = 2_000;
const flushEveryMs: Record<Grain, number> = { second: 300_000, 'within-minute': 300_000, minute: 1_800_000 };
const dropEveryMs = 60_000;
/** Rows and variables of one statement. */
const batchSize = 400;
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
  const byKey = new Map<string, Series[]>();
  const byId = new Map<number, Series>();
  /** Whoever records the same metrics every second gives the same objects. */
  const keys = new WeakMap<Metric, string>();
  let foreign = 0;
  let nextId = 1;
  let nextRow = 1;
  let dropAtMs = 0;
  let sorted: Series[] | undefined;
  let moving: Promise<void> | undefined;
  const opened = open();
  opened.catch(() => {});
  let line: Promise<unknown> = opened.catch(() => {});

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = line.then(() => opened).then(work);
    line = done.catch(() => {});
    return done;
  }

  function keyOf(metric: Metric): string {
    const known = keys.get(metric);
    if (known !== undefined) return known;
    const key = metricKey(metric);
    keys.set(metric, key);
    return key;
  }

  function put(series: Series): void {
    const others = byKey.get(series.key);
    if (others === undefined) byKey.set(series.key, [series]);
    else others.push(series);
    byId.set(series.id, series);
    if (!isOurs(series.metric)) foreign += 1;
    sorted = undefined;
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
      put(series);
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
        for (const { series: id, atMs, summary } of decodeJournalRow(data)) {
          const series = byId.get(id);
          if (series !== undefined && number > series.flushed) addDatum(series, number, atMs, summary);
        }
        after = number;
        nextRow = Math.max(nextRow, number + 1);
        await yieldTurn();
      }
      if (rows.length < journalBatch) return;
    }
  }

  async function record(recorded: readonly RecordedData[], beside?: Beside): Promise<void> {
    const made = new Map<string, Series>();
    const rows: { quick: JournalDatum[]; slow: JournalDatum[] } = { quick: [], slow: [] };
    let newForeign = 0;
    for (const { metric, unit, resolutionSeconds, rollUp, data } of recorded) {
      const grain = grainOf(resolutionSeconds, rollUp);
      const withoutValues = rollUp === 'without-values';
      const key = keyOf(metric);
      let series = byKey
        .get(key)
        ?.find((each) => each.unit === unit && each.grain === grain && each.withoutValues === withoutValues);
      if (series === undefined) {
        const name = `${key} ${unit} ${grain} ${withoutValues}`;
        series = made.get(name);
        if (series === undefined) {
          if (!isOurs(metric)) newForeign += 1;
          if (foreign + newForeign > mostForeignSeries) throw tooMany();
          const id = nextId + made.size;
          series = newSeries({ id, metric, unit, grain, withoutValues }, firstFlush(id, grain));
          made.set(name, series);
        }
      }
      const resolutionMs = resolutionSeconds * 1_000;
      const row = grain === 'minute' ? rows.slow : rows.quick;
      for (const { atMs, summary } of data) {
        row.push({ series: series.id, atMs: atMs - (atMs % resolutionMs), summary });
      }
    }
    const journal = [rows.quick, rows.slow].flatMap((data, slow) =>
      data.length === 0 ? [] : [{ data, slow, number: nextRow + slow }],
    );
    if (journal.length === 0 && beside === undefined) return;
    await database.transaction().execute(async (transaction) => {
      for (const batch of inBatches([...made.values()])) {
        await transaction
          .insertInto('metric_series')
          .values(
            batch.map(({ id, metric, unit, grain, withoutValues }) => ({
              id,
              metric: JSON.stringify(metric),
              unit,
              grain,
              without_values: withoutValues ? 1 : 0,
            })),
          )
          .execute();
      }
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
    for (const series of made.values()) put(series);
    for (const { data, number } of journal) {
      for (const { series: id, atMs, summary } of data) {
        const series = byId.get(id)!;
        addDatum(series, number, atMs, summary);
        if (waiting(series) > mostWaiting) series.flushAtMs = 0;
      }
    }
  }

  async function flush(due: readonly Series[]): Promise<void> {
    const atMs = nowMs();
    const changes = new Map<Tier, Map<number, { series: Series; points: BlockPoints }[]>>();
    for (const series of due) {
      for (const [tier, blocks] of newPoints(series, atMs)) {
        const ofTier = changes.get(tier) ?? new Map();
        changes.set(tier, ofTier);
        for (const [startMs, points] of blocks) {
          ofTier.set(startMs, [...(ofTier.get(startMs) ?? []), { series, points }]);
        }
      }
    }
    await database.transaction().execute(async (transaction) => {
      for (const [tier, blocks] of changes) {
        for (const [start, changed] of blocks) {
          for (const batch of inBatches(changed)) {
            const ids = batch.map(({ series }) => series.id);
            const before = await transaction
              .selectFrom('metric_block')
              .select(['series', 'data'])
              .where('tier', '=', tier.seconds)
              .where('start', '=', start)
              .where('series', 'in', ids)
              .execute();
            const kept = new Map(before.map(({ series, data }) => [series, data]));
            const rows = batch.map(({ series, points }) => ({
              tier: tier.seconds,
              start,
              series: series.id,
              data: encodeBlock(joined(series, tier, kept.get(series.id), points)),
            }));
            await transaction
              .insertInto('metric_block')
              .values(rows)
              .onConflict((conflict) =>
                conflict.columns(['tier', 'start', 'series']).doUpdateSet({ data: sql`excluded.data` }),
              )
              .execute();
          }
        }
      }
      for (const batch of inBatches(due)) {
        await transaction
          .insertInto('metric_mark')
          .values(
            batch.map(({ id, newest, lastAtMs }) => ({ series: id, flushed: newest, last_at: lastAtMs })),
          )
          .onConflict((conflict) =>
            conflict
              .column('series')
              .doUpdateSet({ flushed: sql`excluded.flushed`, last_at: sql`excluded.last_at` }),
          )
          .execute();
      }
    });
    for (const series of due) {
      series.flushed = series.newest;
      series.oldest = undefined;
      series.times = [];
      series.values = [];
      series.others = [];
    }
  }

  async function maintain(): Promise<void> {
    const atMs = nowMs();
    const due: Series[] = [];
    for (const series of byId.values()) {
      if (series.flushAtMs > atMs) continue;
      series.flushAtMs = atMs + flushEveryMs[series.grain];
      if (waiting(series) > 0) due.push(series);
    }
    if (due.length > 0) {
      moving = flush(due).finally(() => {
        moving = undefined;
      });
      await moving;
    }
    if (atMs < dropAtMs) return;
    dropAtMs = atMs + dropEveryMs;
    await dropJournal();
    for (const { seconds, keptMs, blockMs } of tiers) {
      await database
        .deleteFrom('metric_block')
        .where('tier', '=', seconds)
        .where('start', '<', atMs - keptMs - blockMs)
        .execute();
    }
    await forgetSeries(atMs - longestKeptMs);
  }

  /** What no series needs any more. */
  async function dropJournal(): Promise<void> {
    const oldest = { quick: nextRow, slow: nextRow };
    for (const series of byId.values()) {
      const kind = series.grain === 'minute' ? 'slow' : 'quick';
      if (series.oldest !== undefined) oldest[kind] = Math.min(oldest[kind], series.oldest);
    }
    for (const [slow, number] of [oldest.quick, oldest.slow].entries()) {
      await database
        .deleteFrom('metric_journal')
        .where('slow', '=', slow)
        .where('number', '<', number)
        .execute();
    }
  }

  async function forgetSeries(beforeMs: number): Promise<void> {
    const old = [...byId.values()].filter((each) => each.lastAtMs < beforeMs && waiting(each) === 0);
    for (const batch of inBatches(old)) {
      const ids = batch.map(({ id }) => id);
      await database.transaction().execute(async (transaction) => {
        await transaction.deleteFrom('metric_series').where('id', 'in', ids).execute();
        await transaction.deleteFrom('metric_mark').where('series', 'in', ids).execute();
      });
      for (const series of batch) {
        byId.delete(series.id);
        const left = byKey.get(series.key)!.filter((each) => each !== series);
        if (left.length > 0) byKey.set(series.key, left);
        else byKey.delete(series.key);
        if (!isOurs(series.metric)) foreign -= 1;
        sorted = undefined;
      }
    }
  }

  async function periodsOf(series: Series, query: PointsQuery): Promise<Map<number, Summary[]>> {
    const tier = tierFor(series.grain, query, nowMs());
    const periods = new Map<number, Summary[]>();
    if (tier === undefined) return periods;
    const periodMs = query.periodSeconds * 1_000;
    const starts: number[] = [];
    const firstMs = Math.max(query.startMs, nowMs() - tier.keptMs - tier.blockMs);
    for (let ms = firstMs - (firstMs % tier.blockMs); ms < query.endMs; ms += tier.blockMs) starts.push(ms);
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
      const rows =
        starts.length === 0
          ? []
          : await database
              .selectFrom('metric_block')
              .select(['start', 'data'])
              .where('tier', '=', tier.seconds)
              .where('start', 'in', starts)
              .where('series', '=', series.id)
              .execute();
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
      const all = (byKey.get(metricKey(query.metric)) ?? []).filter(
        ({ unit }) => query.unit === undefined || query.unit === unit,
      );
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
    async list({ namespace, name, dimensions = [], sinceMs = Number.NEGATIVE_INFINITY }: MetricFilter) {
      await opened;
      sorted ??= [...byId.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      const found: Metric[] = [];
      let last: string | undefined;
      for (const { metric, key, lastAtMs } of sorted) {
        if (key === last || lastAtMs < sinceMs) continue;
        if (namespace !== undefined && metric.namespace !== namespace) continue;
        if (name !== undefined && metric.name !== name) continue;
        const fits = dimensions.every((wanted) =>
          metric.dimensions.some(
            (has) => has.name === wanted.name && (wanted.value === undefined || has.value === wanted.value),
          ),
        );
        if (!fits) continue;
        last = key;
        found.push(metric);
      }
      return found;
    },
  };
}

function isOurs({ namespace }: Metric): boolean {
  return namespace === elastiCacheNamespace || namespace === larderNamespace;
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

/** What is there, with what comes to it. */
function joined(
  series: Series,
  tier: Tier,
  before: Uint8Array | ArrayBuffer | undefined,
  points: BlockPoints,
): BlockPoints {
  if (before === undefined) return points;
  const all = decodeBlock(before);
  for (const [number, summary] of points) {
    const there = all.get(number);
    all.set(number, there === undefined ? summary : rolledUp(series, tier, [there, summary]));
  }
  return all;
}

function* inBatches<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += batchSize) yield all.slice(from, from + batchSize);
}
