/** A cache's metrics for OpenTelemetry. The API alone is used: whatever SDK the application has set up exports them. */
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import {
  type CacheHistogram,
  type CacheMetric,
  cacheMetrics,
  invalidationLag,
  loadDuration,
  type MeasuredCache,
} from './cache-metrics.ts';
import { onDurations } from './told-durations.ts';

/** As OpenTelemetry writes them. */
const units = { bytes: 'By', seconds: 's' } as const;

/**
 * Measures the cache as `larder.cache.…`, with the attribute `cache`.
 *
 * @param meter `metrics.getMeter('@larder/cache')` of `@opentelemetry/api`.
 * @returns the way to stop.
 */
export function observeWithOpenTelemetry(cache: MeasuredCache, meter: Meter): () => void {
  const observables = cacheMetrics.map((metric) => ({ metric, observable: observableOf(meter, metric) }));
  const observe = (result: BatchObservableResult) => {
    const seen = { stats: cache.stats(), consistency: cache.consistency() };
    for (const { metric, observable } of observables) {
      for (const { labels, value } of metric.samples(seen)) {
        result.observe(observable, value, { cache: cache.name, ...labels });
      }
    }
  };
  const all: Observable[] = observables.map(({ observable }) => observable);
  meter.addBatchObservableCallback(observe, all);
  const loads = histogramOf(meter, loadDuration);
  const lags = histogramOf(meter, invalidationLag);
  const stop = onDurations(cache.name, {
    load: (definition, outcome, seconds) => loads.record(seconds, { cache: cache.name, definition, outcome }),
    invalidation: (seconds) => lags.record(seconds, { cache: cache.name }),
  });
  return () => {
    stop();
    meter.removeBatchObservableCallback(observe, all);
  };
}

function observableOf(meter: Meter, { name, kind, unit, help }: CacheMetric): Observable {
  const options = { description: help, ...(unit !== undefined && { unit: units[unit] }) };
  const full = `larder.cache.${name}`;
  return kind === 'gauge'
    ? meter.createObservableGauge(full, options)
    : meter.createObservableCounter(full, options);
}

function histogramOf(meter: Meter, { name, unit, help, buckets }: CacheHistogram) {
  return meter.createHistogram(`larder.cache.${name}`, {
    description: help,
    unit: units[unit],
    advice: { explicitBucketBoundaries: [...buckets] },
  });
}
