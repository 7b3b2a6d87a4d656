/** CloudWatch as a whole: its operations, and the evaluation of alarms. */
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import type { MetricStore } from '@larder/metrics/metric-store';
import { dashboardHandlers } from '../dashboard/requests.ts';
import type { Database } from '../database/connect.ts';
import { everySecond } from '../metric/every-second.ts';
import { metricDataHandlers } from '../metric-data/handlers.ts';
import { putLimits } from '../metric-data/put-limits.ts';
import type { Logger } from '../reconciler/logger.ts';
import type { Publish } from '../topic/topics.ts';
import type { AlarmKind, Place } from './alarm.ts';
import { alarmLoop } from './alarm-loop.ts';
import { alarmHandlers } from './handlers.ts';
import { type Recommendations, recommendations } from './recommend.ts';
import { readAlarms } from './store.ts';

const recommendEverySeconds = 5;

export interface CloudWatchOptions {
  readonly database: Database;
  readonly metrics: MetricStore;
  readonly publish: Publish;
  readonly place: Place;
  /** Set: every cache gets the recommended alarms, which tell this topic if there is one. */
  readonly recommendedAlarms?: { readonly topic: string | undefined } | undefined;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/** What the command line shows of an alarm. */
export interface ShownAlarm {
  readonly name: string;
  readonly kind: AlarmKind;
  readonly state: string;
  readonly since: string;
  readonly reason: string;
}

export interface CloudWatch {
  readonly handlers: CloudWatchHandlers;
  readonly recommend: Recommendations['recommend'];
  /** In the order of their names. */
  showAlarms(): Promise<ShownAlarm[]>;
  /** Resolves when the evaluation that runs has ended. */
  stop(): Promise<void>;
}

export function startCloudWatch(options: CloudWatchOptions): CloudWatch {
  const { database, metrics, nowMs, logger } = options;
  const loop = alarmLoop(options);
  const context = { ...options, alarmsChanged: loop.changed };
  const limits = putLimits(metrics, nowMs, ({ namespace }) => !namespace.startsWith('AWS/'));
  const recommended = recommendations(context, options.recommendedAlarms);
  let seconds = 0;
  const recommending = everySecond(
    async () => {
      if (seconds % recommendEverySeconds === 0) await recommended.pass();
      seconds += 1;
    },
    logger,
    'Recommended alarms could not be made.',
  );
  return {
    recommend: recommended.recommend,
    async showAlarms() {
      return (await readAlarms(database)).map(({ name, kind, state, reason, stateTransitionedAtMs }) => ({
        name,
        kind,
        state,
        since: new Date(stateTransitionedAtMs).toISOString(),
        reason,
      }));
    },
    handlers: {
      ...metricDataHandlers({ metrics, limits, nowMs }),
      ...alarmHandlers(context),
      ...dashboardHandlers(context),
    },
    async stop() {
      await Promise.all([loop.stop(), recommending.stop()]);
    },
  };
}
