/** Tests only: alarms over a state of their own, a store in memory, a clock that is set, and topics that are recorded. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import type {
  CloudWatchInput,
  CloudWatchOperationName,
  CloudWatchOutput,
} from '@larder/contract/cloudwatch/model';
import { memoryMetricStore } from '@larder/metrics/memory-metric-store';
import type { MetricStore } from '@larder/metrics/metric-store';
import { summaryOf } from '@larder/metrics/summary';
import { dashboardHandlers } from '../dashboard/requests.ts';
import { connectDatabase, type Database } from '../database/connect.ts';
import type { Publication, Publish } from '../topic/topics.ts';
import type { Place } from './alarm.ts';
import { type AlarmEvaluator, alarmEvaluator } from './evaluate.ts';
import { alarmHandlers } from './handlers.ts';

export const place: Place = { region: 'us-east-1', accountId: '000000000000' };
export const topic = (name: string) => `arn:aws:sns:us-east-1:000000000000:${name}`;
export const alarmArnOf = (name: string) => `arn:aws:cloudwatch:us-east-1:000000000000:alarm:${name}`;

export interface TestAlarms {
  readonly database: Database;
  readonly metrics: MetricStore;
  readonly clock: { ms: number };
  /** What was handed to topics. */
  readonly published: (Publication & { readonly topic: string })[];
  /** What topics do instead of taking it. */
  refuse: Publish | undefined;
  call<Op extends CloudWatchOperationName>(
    operation: Op,
    input: CloudWatchInput<Op>,
  ): Promise<CloudWatchOutput<Op>>;
  /** A value of the metric `load` at the clock's time, less so many seconds. */
  record(value: number, secondsAgo?: number): Promise<void>;
  /** Moves the clock and evaluates. */
  after(seconds: number): Promise<void>;
  /** What a kill of the service leaves: the state. */
  restart(): void;
  state(name: string): Promise<string | undefined>;
  history(name: string): Promise<(string | undefined)[]>;
  close(): Promise<void>;
}

export function testAlarms(): TestAlarms {
  const folder = mkdtempSync(join(tmpdir(), 'larder-alarms-'));
  const database = connectDatabase(join(folder, 'state.db'));
  const metrics = memoryMetricStore();
  const clock = { ms: Date.parse('2026-11-24T10:00:00.300Z') };
  const nowMs = () => clock.ms;
  let evaluator: AlarmEvaluator;
  const log = () => undefined;
  const logger = { debug: log, info: log, warn: log, error: log };
  const context = { database, nowMs, place, alarmsChanged: () => evaluator.changed() };
  const handlers: CloudWatchHandlers = { ...alarmHandlers(context), ...dashboardHandlers(context) };
  const tests: TestAlarms = {
    database,
    metrics,
    clock,
    published: [],
    refuse: undefined,
    call: (operation, input) => {
      const handler = handlers[operation] as unknown as (input: unknown, caller: object) => Promise<never>;
      return handler(input, { ...place, requestId: 'r', accessKeyId: undefined });
    },
    async record(value, secondsAgo = 0) {
      await metrics.record([
        {
          metric: { namespace: 'Shop', name: 'load', dimensions: [] },
          unit: 'Percent',
          resolutionSeconds: 1,
          data: [{ atMs: clock.ms - secondsAgo * 1000, summary: summaryOf(value) }],
        },
      ]);
    },
    async after(seconds) {
      clock.ms += seconds * 1000;
      await evaluator.pass();
    },
    restart() {
      evaluator = alarmEvaluator({
        database,
        metrics,
        place,
        nowMs,
        logger,
        async publish(topicArn, publication) {
          if (tests.refuse !== undefined) return tests.refuse(topicArn, publication);
          tests.published.push({ topic: topicArn, ...publication });
        },
      });
    },
    async state(name) {
      const types = { AlarmTypes: ['MetricAlarm' as const, 'CompositeAlarm' as const], AlarmNames: [name] };
      const { MetricAlarms = [], CompositeAlarms = [] } = await tests.call('DescribeAlarms', types);
      return [...MetricAlarms, ...CompositeAlarms][0]?.StateValue;
    },
    async history(name) {
      const { AlarmHistoryItems = [] } = await tests.call('DescribeAlarmHistory', {
        AlarmName: name,
        AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
        ScanBy: 'TimestampAscending',
      });
      return AlarmHistoryItems.map(({ HistorySummary }) => HistorySummary);
    },
    async close() {
      await database.destroy();
      rmSync(folder, { recursive: true });
    },
  };
  tests.restart();
  return tests;
}

/** On `load`, above 80, by the second. */
export function loadAlarm(
  name: string,
  more: Partial<CloudWatchInput<'PutMetricAlarm'>> = {},
): CloudWatchInput<'PutMetricAlarm'> {
  return {
    AlarmName: name,
    Namespace: 'Shop',
    MetricName: 'load',
    Statistic: 'Maximum',
    Period: 1,
    EvaluationPeriods: 1,
    Threshold: 80,
    ComparisonOperator: 'GreaterThanThreshold',
    AlarmActions: [topic('ops')],
    ...more,
  };
}
