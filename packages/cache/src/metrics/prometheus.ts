/** A cache's metrics for Prometheus, through prom-client. */
import { Counter, register as defaultRegistry, Gauge, Histogram, type Registry } from 'prom-client';
import {
  type CacheHistogram,
  cacheMetrics,
  invalidationLag,
  loadDuration,
  type MeasuredCache,
} from './cache-metrics.ts';
import { onDurations } from './told-durations.ts';

export interface PrometheusOptions {
  /** Default prom-client's own. */
  readonly registry?: Registry;
}

/**
 * Registers `larder_cache_…` metrics of these caches, which have the label `cache`. They are read when Prometheus scrapes.
 * Once for a registry: give it all caches of the process.
 *
 * @returns the way to take them out again.
 */
export function observeWithPrometheus(
  caches: readonly MeasuredCache[],
  { registry = defaultRegistry }: PrometheusOptions = {},
): () => void {
  const registers = [registry];
  const names: string[] = [];
  for (const { name, kind, unit, help, labels, samples } of cacheMetrics) {
    const full = `larder_cache_${name}${unit === undefined ? '' : `_${unit}`}${kind === 'counter' ? '_total' : ''}`;
    const configuration = { name: full, help, labelNames: ['cache', ...labels], registers };
    const read = (set: (labels: Record<string, string>, value: number) => void) => {
      for (const cache of caches) {
        const seen = { stats: cache.stats(), consistency: cache.consistency() };
        for (const sample of samples(seen)) set({ cache: cache.name, ...sample.labels }, sample.value);
      }
    };
    names.push(full);
    if (kind === 'gauge') {
      new Gauge({
        ...configuration,
        collect() {
          this.reset();
          read((set, value) => this.set(set, value));
        },
      });
    } else {
      new Counter({
        ...configuration,
        collect() {
          // The cache counts: what is shown is its number.
          this.reset();
          read((set, value) => this.inc(set, value));
        },
      });
    }
  }
  const histogram = ({ name, unit, help, labels, buckets }: CacheHistogram) => {
    const full = `larder_cache_${name}_${unit}`;
    names.push(full);
    return new Histogram({
      name: full,
      help,
      labelNames: ['cache', ...labels],
      buckets: [...buckets],
      registers,
    });
  };
  const loads = histogram(loadDuration);
  const lags = histogram(invalidationLag);
  const stops = caches.map(({ name: cache }) =>
    onDurations(cache, {
      load: (definition, outcome, seconds) => loads.observe({ cache, definition, outcome }, seconds),
      invalidation: (seconds) => lags.observe({ cache }, seconds),
    }),
  );
  return () => {
    for (const stop of stops) stop();
    for (const name of names) registry.removeSingleMetric(name);
  };
}
