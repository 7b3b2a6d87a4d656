/** CloudWatch as a whole: its operations, and the evaluation of alarms. */
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import type { MetricStore } from '@larder/metrics/metric-store';
import { dashboardHandlers } from '../dashboard/requests.ts';
import type { Database } from '../database/connect.ts';
import { metricDataHandlers } from '../metric-data/handlers.ts';
import { putLimits } from '../metric-data/put-limits.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { Publish } from '../topic/topics.ts';
import type { Place } from './alarm.ts';
import { alarmLoop } from './alarm-loop.ts';
import { alarmHandlers } from './handlers.ts';

export interface CloudWatchOptions {
  readonly database: Database;
  readonly metrics: MetricStore;
  readonly publish: Publish;
  readonly place: Place;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

export interface CloudWatch {
  readonly handlers: CloudWatchHandlers;
  /** Resolves when the evaluation that runs has ended. */
  stop(): Promise<void>;
}

export function startCloudWatch(options: CloudWatchOptions): CloudWatch {
  const { metrics, nowMs } = options;
  const loop = alarmLoop(options);
  const context = { ...options, alarmsChanged: loop.changed };
  const limits = putLimits(metrics, nowMs, ({ namespace }) => !namespace.startsWith('AWS/'));
  return {
    handlers: {
      ...metricDataHandlers({ metrics, limits, nowMs }),
      ...alarmHandlers(context),
      ...dashboardHandlers(context),
    },
    stop: loop.stop,
  };
}
