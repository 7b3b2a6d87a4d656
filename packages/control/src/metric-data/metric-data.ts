/** What the operations on data of metrics need. */
import type { MetricStore } from '@larder/metrics/metric-store';
import type { PutLimits } from './put-limits.ts';

export interface MetricDataContext {
  readonly metrics: MetricStore;
  readonly limits: PutLimits;
  readonly nowMs: () => number;
}
