import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryMetricStore } from '@larder/metrics/memory-metric-store';
import type { Metric } from '@larder/metrics/metric';
import type { PointsQuery, RecordedData } from '@larder/metrics/metric-store';
import { type Summary, summaryOf } from '@larder/metrics/summary';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { metricStoreContract } from '../../../metrics/src/metric-store.test-support.ts';
import { type MetricKeeper, metricKeeper, mostForeignSeries, TooManyMetrics } from './metric-keeper.ts';
import { connectMetricFile, type MetricDatabase } from './tables.ts';

const startMs = Date.UTC(2026, 10, 20, 12);
let folder: string;
let database: MetricDatabase;
let nowMs: number;
let keeper: MetricKeeper;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-metrics-'));
  database = connectMetricFile(join(folder, 'metrics.db'));
  nowMs = startMs;
  keeper = open();
});

afterEach(async () => {
  await keeper.close();
  await database.destroy();
  rmSync(folder, { recursive: true });
});

/** A second one over the same database finds what a kill would leave: what was recorded, and nothing else. */
function open(): MetricKeeper {
  return metricKeeper({ database, nowMs: () => nowMs });
}

function metric(name: string): Metric {
  return { namespace: 'Shop', name, dimensions: [{ name: 'shop', value: 'a' }] };
}

function recorded(
  name: string,
  data: readonly (readonly [number, Summary])[],
  rest: Partial<RecordedData> = {},
): RecordedData {
  return {
    metric: metric(name),
    unit: 'Count',
    resolutionSeconds: 1,
    ...rest,
    data: data.map(([atMs, summary]) => ({ atMs, summary })),
  };
}

async function maintainUntil(untilMs: number): Promise<void> {
  for (; nowMs < untilMs; nowMs += 60_000) await keeper.maintain();
}

describe('the contract', () => {
  metricStoreContract(async () => ({ store: keeper, nowMs }));
});

test('reads the same before and after data were moved into blocks, and after a kill at any moment', async () => {
  const memory = memoryMetricStore();
  const random = (index: number) => ((index * 7_919) % 1_000) / (index % 3 === 0 ? 7 : 4);
  const queries: Omit<PointsQuery, 'metric'>[] = [1, 10, 60, 300, 3_600].map((periodSeconds) => ({
    startMs: startMs - 3_600_000,
    endMs: startMs + 3_600_000,
    periodSeconds,
  }));
  const check = async () => {
    for (const name of ['second', 'minute', 'look', 'set']) {
      for (const query of queries) {
        const seen = await keeper.read({ ...query, metric: metric(name) });
        const wanted = await memory.read({ ...query, metric: metric(name) });
        expect(seen.map((point) => point.startMs)).toEqual(wanted.map((point) => point.startMs));
        seen.forEach(({ summary }, index) => {
          const other = wanted[index]!.summary;
          expect(summary.sampleCount).toBe(other.sampleCount);
          expect(summary.sum).toBeCloseTo(other.sum, 6);
          expect([summary.minimum, summary.maximum]).toEqual([other.minimum, other.maximum]);
        });
      }
    }
  };
  for (let second = 0; second < 1_500; second += 1) {
    // A gap in the middle.
    if (second > 700 && second < 800) continue;
    const atMs = startMs + second * 1_000;
    const data = [
      recorded('second', [[atMs, summaryOf(random(second))]]),
      recorded('look', [[atMs, summaryOf(second)]], { rollUp: 'within-minute' }),
      recorded('set', [[atMs, { sampleCount: 4, sum: random(second), minimum: -1.5, maximum: 1e12 }]]),
      ...(second % 60 === 0
        ? [recorded('minute', [[atMs, summaryOf(second)]], { resolutionSeconds: 60 as const })]
        : []),
    ];
    nowMs = atMs;
    await keeper.record(data);
    await memory.record(data);
    if (second % 100 === 99) await keeper.maintain();
    if (second % 499 === 250) keeper = open();
  }
  await check();
  await maintainUntil(nowMs + 2_000_000);
  expect(await database.selectFrom('metric_journal').selectAll().execute()).toEqual([]);
  await check();
  keeper = open();
  await check();
});

test('data of two weeks ago and out of order are taken in, with their values', async () => {
  const oldMs = startMs - 14 * 86_400_000;
  const order = [5, 1, 4, 2, 3];
  for (const value of order) {
    await keeper.record([
      recorded('old', [[oldMs + value * 60_000, summaryOf(value)]], { resolutionSeconds: 60 }),
    ]);
    await maintainUntil(nowMs + 2_000_000);
  }
  const points = await keeper.read({
    metric: metric('old'),
    startMs: oldMs,
    endMs: oldMs + 600_000,
    periodSeconds: 60,
  });
  expect(points.map(({ summary }) => summary.sum)).toEqual([1, 2, 3, 4, 5]);
  const [hour] = await keeper.read({
    metric: metric('old'),
    startMs: oldMs,
    endMs: oldMs + 3_600_000,
    periodSeconds: 3_600,
  });
  expect(hour!.summary.values).toHaveLength(5);
});

test('each length of period is kept for its time', async () => {
  await keeper.record([recorded('kept', [[startMs, summaryOf(3)]])]);
  const seen = async (periodSeconds: number) =>
    (await keeper.read({ metric: metric('kept'), startMs, endMs: startMs + 3_600_000, periodSeconds }))
      .length;
  await maintainUntil(startMs + 600_000);
  expect([await seen(1), await seen(60), await seen(3_600)]).toEqual([1, 1, 1]);
  nowMs = startMs + 4 * 3_600_000;
  await keeper.maintain();
  expect([await seen(1), await seen(60), await seen(3_600)]).toEqual([0, 1, 1]);
  nowMs = startMs + 17 * 86_400_000;
  await keeper.maintain();
  expect([await seen(60), await seen(300), await seen(3_600)]).toEqual([0, 1, 1]);
  nowMs = startMs + 480 * 86_400_000;
  await keeper.maintain();
  expect(await database.selectFrom('metric_block').selectAll().execute()).toEqual([]);
  expect(await keeper.list({})).toEqual([]);
});

test('a constant series costs a few bytes for hours', async () => {
  for (let minute = 0; minute < 360; minute += 1) {
    nowMs = startMs + minute * 60_000;
    await keeper.record([
      recorded('zero', [[nowMs, summaryOf(0)]], { resolutionSeconds: 60, rollUp: 'without-values' }),
    ]);
    await keeper.maintain();
  }
  await maintainUntil(nowMs + 2_000_000);
  const rows = await database.selectFrom('metric_block').select('data').where('tier', '=', 60).execute();
  expect(rows).toHaveLength(1);
  expect(rows[0]!.data.byteLength).toBeLessThan(16);
});

test('others may have so many metrics and no more; ours are always taken', async () => {
  const many = (from: number, count: number, namespace = 'Shop') =>
    Array.from({ length: count }, (_, index) => ({
      ...recorded('many', [[nowMs, summaryOf(1)]]),
      metric: { namespace, name: `m${from + index}`, dimensions: [] },
    }));
  await keeper.record(many(0, mostForeignSeries));
  await expect(keeper.record(many(mostForeignSeries, 1))).rejects.toThrow(TooManyMetrics);
  await keeper.record(many(0, 1, 'AWS/ElastiCache'));
  await keeper.record(many(7, 1));
  // The rest has been without data for long, and makes room.
  nowMs += 20 * 86_400_000;
  await keeper.record(many(0, 3));
  await maintainUntil(nowMs + 2_000_000);
  expect(await keeper.list({ namespace: 'Shop' })).toHaveLength(25_000);
  await keeper.record(many(mostForeignSeries, 1));
  expect(await keeper.list({ namespace: 'Shop', sinceMs: nowMs - 3_000_000 })).toHaveLength(4);
}, 60_000);
