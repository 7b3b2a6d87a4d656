/** The SQL of metrics' data. */
import { sql, type Transaction } from 'kysely';
import { type BlockPoints, decodeBlock, encodeBlock } from './block.ts';
import { newPoints, rolledUp, type Series } from './series.ts';
import type { MetricDatabase, MetricTables } from './tables.ts';
import { type Tier, tiers } from './tier.ts';

/** Of one statement. */
const mostRows = 400;

export function* inBatches<T>(all: readonly T[], size = mostRows): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size);
}

export async function insertSeries(
  transaction: Transaction<MetricTables>,
  made: readonly Series[],
): Promise<void> {
  for (const batch of inBatches(made)) {
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
}

/** With their data: there are none, but of those that went for others. */
export async function deleteSeries(database: MetricDatabase, gone: readonly Series[]): Promise<void> {
  const ids = gone.map(({ id }) => id);
  await database.transaction().execute(async (transaction) => {
    await transaction.deleteFrom('metric_series').where('id', 'in', ids).execute();
    await transaction.deleteFrom('metric_mark').where('series', 'in', ids).execute();
    await transaction.deleteFrom('metric_block').where('series', 'in', ids).execute();
  });
}

/** Everything of the series that waits, into their blocks; with the mark that it is there. */
export async function moveIntoBlocks(
  database: MetricDatabase,
  due: readonly Series[],
  atMs: number,
): Promise<void> {
  const changes = new Map<Tier, Map<number, { series: Series; points: BlockPoints }[]>>();
  for (const series of due) {
    for (const [tier, blocks] of newPoints(series, atMs)) {
      const ofTier = changes.get(tier) ?? new Map();
      changes.set(tier, ofTier);
      for (const [startMs, points] of blocks) {
        const changed = ofTier.get(startMs) ?? [];
        ofTier.set(startMs, changed);
        changed.push({ series, points });
      }
    }
  }
  await database.transaction().execute(async (transaction) => {
    for (const [tier, blocks] of changes) {
      for (const [start, changed] of blocks) {
        for (const batch of inBatches(changed)) await joinBlocks(transaction, tier, start, batch);
      }
    }
    for (const batch of inBatches(due)) {
      await transaction
        .insertInto('metric_mark')
        .values(batch.map(({ id, newest, lastAtMs }) => ({ series: id, flushed: newest, last_at: lastAtMs })))
        .onConflict((conflict) =>
          conflict
            .column('series')
            .doUpdateSet({ flushed: sql`excluded.flushed`, last_at: sql`excluded.last_at` }),
        )
        .execute();
    }
  });
}

async function joinBlocks(
  transaction: Transaction<MetricTables>,
  tier: Tier,
  start: number,
  changed: readonly { readonly series: Series; readonly points: BlockPoints }[],
): Promise<void> {
  const before = await transaction
    .selectFrom('metric_block')
    .select(['series', 'data'])
    .where('tier', '=', tier.seconds)
    .where('start', '=', start)
    .where(
      'series',
      'in',
      changed.map(({ series }) => series.id),
    )
    .execute();
  const kept = new Map(before.map(({ series, data }) => [series, data]));
  await transaction
    .insertInto('metric_block')
    .values(
      changed.map(({ series, points }) => ({
        tier: tier.seconds,
        start,
        series: series.id,
        data: encodeBlock(joined(series, tier, kept.get(series.id), points)),
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['tier', 'start', 'series']).doUpdateSet({ data: sql`excluded.data` }),
    )
    .execute();
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

/** @param starts of blocks. */
export async function readBlocks(
  database: MetricDatabase,
  tier: Tier,
  series: number,
  starts: readonly number[],
): Promise<readonly { readonly start: number; readonly data: Uint8Array | ArrayBuffer }[]> {
  if (starts.length === 0) return [];
  return database
    .selectFrom('metric_block')
    .select(['start', 'data'])
    .where('tier', '=', tier.seconds)
    .where('start', 'in', starts)
    .where('series', '=', series)
    .execute();
}

export async function deleteOldBlocks(database: MetricDatabase, atMs: number): Promise<void> {
  for (const { seconds, keptMs, blockMs } of tiers) {
    await database
      .deleteFrom('metric_block')
      .where('tier', '=', seconds)
      .where('start', '<', atMs - keptMs - blockMs)
      .execute();
  }
}

/** Of quick or slow data, before that row. */
export async function deleteJournal(
  database: MetricDatabase,
  slow: 0 | 1,
  beforeNumber: number,
): Promise<void> {
  await database
    .deleteFrom('metric_journal')
    .where('slow', '=', slow)
    .where('number', '<', beforeNumber)
    .execute();
}
