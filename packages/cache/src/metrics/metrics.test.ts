/** The adapters with the real libraries: what they export is what the cache counted. */
import { channel } from 'node:diagnostics_channel';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { Cache } from '../cache.ts';
import type { CheckerReport } from '../checker.ts';
import { type CacheStats, emptyDefinitionStats } from '../stats.ts';
import { cacheMetrics, type MeasuredCache } from './cache-metrics.ts';
import { observeWithOpenTelemetry } from './opentelemetry.ts';
import { observeWithPrometheus } from './prometheus.ts';

function measured(name: string) {
  const product = { ...emptyDefinitionStats(), nearHits: 5, farHits: 3, misses: 2, loads: 2 };
  product.refusedFills = { ...product.refusedFills, stamp: 4 };
  const stats = {
    ...product,
    definitions: { product },
    near: { entries: 7, bytes: 700, evictions: 1, rejections: 0 },
    nearFlushes: 0,
    gaps: 0,
    far: 'partly',
    feedAgeMs: 40 as number | null,
    loadsRunning: 1,
    loadsQueued: 0,
    invalidationsOwed: 0,
  } satisfies CacheStats;
  const consistency: CheckerReport = {
    samples: 10,
    consistentWithin: { '1s': 6, '10s': 8, '60s': 9 },
    inconsistent: 1,
    unknown: 2,
    waiting: 0,
    minutes: [],
  };
  const cache: MeasuredCache = { name, stats: () => structuredClone(stats), consistency: () => consistency };
  return { cache, stats, product };
}

const tell = (topic: string, message: object) => channel(`larder:cache:${topic}`).publish(message);

function load(cache: string, durationMs: number): void {
  tell('load', { cache, definition: 'product', key: '1', outcome: 'value', durationMs });
}

/** Compiles: a cache is what is measured. */
export const observesCaches = (cache: Cache, registry: Registry) =>
  observeWithPrometheus([cache], { registry });

test('Prometheus is shown what each cache counted, now', async () => {
  const registry = new Registry();
  const shop = measured('shop');
  const other = measured('other');
  const stop = observeWithPrometheus([shop.cache, other.cache], { registry });
  load('shop', 20);
  load('shop', 40);
  load('stranger', 40);
  tell('invalidation', { cache: 'shop', partition: 0, position: 'x', keys: 1, lagMs: 3 });
  const first = await registry.metrics();
  for (const line of [
    'larder_cache_reads_total{cache="shop",definition="product",outcome="near_hit"} 5',
    'larder_cache_reads_total{cache="other",definition="product",outcome="far_hit"} 3',
    'larder_cache_refused_fills_total{cache="shop",definition="product",reason="stamp"} 4',
    'larder_cache_near_bytes{cache="shop"} 700',
    'larder_cache_far_state{cache="shop",state="partly"} 1',
    'larder_cache_far_state{cache="shop",state="up"} 0',
    'larder_cache_feed_age_seconds{cache="shop"} 0.04',
    'larder_cache_compared_entries_total{cache="shop"} 10',
    'larder_cache_stale_entries_total{cache="shop",longer_than="1s"} 2',
    'larder_cache_stale_entries_total{cache="shop",longer_than="10s"} 1',
    'larder_cache_stale_entries_total{cache="shop",longer_than="60s"} 1',
    'larder_cache_load_duration_seconds_count{cache="shop",definition="product",outcome="value"} 2',
    'larder_cache_invalidation_lag_seconds_bucket{le="0.005",cache="shop"} 1',
  ]) {
    expect(first.split('\n')).toContain(line);
  }
  expect(first).not.toContain('stranger');
  // It is read at each scrape, and what is not known any more is not shown.
  shop.product.nearHits = 9;
  shop.stats.feedAgeMs = null;
  const second = await registry.metrics();
  expect(second).toContain(
    'larder_cache_reads_total{cache="shop",definition="product",outcome="near_hit"} 9',
  );
  expect(second).not.toContain('larder_cache_feed_age_seconds{cache="shop"}');
  stop();
  expect(await registry.metrics()).not.toContain('larder_cache_');
  load('shop', 1);
});

test('OpenTelemetry exports the same, until it is told to stop', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  const { cache } = measured('shop');
  const stop = observeWithOpenTelemetry(cache, provider.getMeter('@larder/cache'));
  load('shop', 20);
  await reader.forceFlush();
  const exported = () =>
    new Map(
      exporter
        .getMetrics()
        .at(-1)!
        .scopeMetrics.flatMap(({ metrics }) => metrics)
        .map((metric) => [metric.descriptor.name, metric] as const),
    );
  const metrics = exported();
  const known = cacheMetrics.map(({ name }) => `larder.cache.${name}`);
  expect([...metrics.keys()].filter((name) => !/duration|lag/.test(name)).sort()).toEqual(known.sort());
  expect(metrics.get('larder.cache.reads')!.dataPoints).toContainEqual(
    expect.objectContaining({
      attributes: { cache: 'shop', definition: 'product', outcome: 'far_hit' },
      value: 3,
    }),
  );
  expect(metrics.get('larder.cache.near')).toMatchObject({
    descriptor: { unit: 'By' },
    dataPoints: [{ value: 700 }],
  });
  expect(metrics.get('larder.cache.load_duration')!.dataPoints[0]).toMatchObject({
    value: { count: 1, sum: 0.02 },
  });
  expect(metrics.get('larder.cache.stale_entries')!.dataPoints.map(({ value }) => value)).toEqual([2, 1, 1]);
  stop();
  await provider.shutdown();
});
