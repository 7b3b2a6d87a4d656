/** What is measured: the store, what keeps it in order, and what fills it. */
import type { Host } from '@larder/fleet/host';
import { withDimensionSets } from '@larder/metrics/elasticache/dimension-sets';
import type { MetricStore } from '@larder/metrics/metric-store';
import type { Database } from '../database/connect.ts';
import type { Logger } from '../reconciler/logger.ts';
import { type CollectorOptions, collector } from './collector.ts';
import { everySecond } from './every-second.ts';
import { metricKeeper } from './metric-keeper.ts';
import type { MetricDatabase } from './tables.ts';

export interface MetricsOptions {
  readonly database: Database;
  readonly metricDatabase: MetricDatabase;
  readonly host: Pick<Host, 'readings'>;
  readonly nowMs: () => number;
  readonly onLook?: CollectorOptions['onLook'];
  readonly logger: Logger;
}

export interface Metrics {
  readonly store: MetricStore;
  /** Resolves when what was begun is kept; nothing may be recorded any more. */
  stop(): Promise<void>;
}

export function startMetrics(options: MetricsOptions): Metrics {
  const { metricDatabase, nowMs, logger } = options;
  const keeper = metricKeeper({ database: metricDatabase, nowMs });
  const loops = [
    everySecond(keeper.maintain, logger, 'Data of metrics were not moved or dropped.'),
    everySecond(collector({ ...options, keeper }).collect, logger, 'Metrics of nodes were not recorded.'),
  ];
  return {
    store: withDimensionSets(keeper),
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await keeper.close();
    },
  };
}
