/** CloudWatch's operations on data of metrics. */
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import { getMetricData } from './get-metric-data.ts';
import { getMetricStatistics } from './get-metric-statistics.ts';
import { listMetrics } from './list-metrics.ts';
import type { MetricDataContext } from './metric-data.ts';
import { putMetricData } from './put-metric-data.ts';

export function metricDataHandlers(context: MetricDataContext): CloudWatchHandlers {
  return {
    PutMetricData: (input) => putMetricData(context, input),
    GetMetricData: (input, caller) => getMetricData(context, caller, input),
    GetMetricStatistics: (input) => getMetricStatistics(context, input),
    ListMetrics: (input, caller) => listMetrics(context, caller, input),
  };
}
