/** (pure) The nouns of alarms. */
import type { CloudWatchInput } from '@larder/contract/cloudwatch/model';
import type { AlarmState } from '@larder/metrics/alarm/evaluate-alarm';

/** What a metric alarm can be asked and has no effect here. */
export const withoutEffect = [
  'EvaluationWindow',
  'EvaluationCriteria',
  'EvaluationInterval',
  'WarmUpConfiguration',
  'ThresholdMetricId',
] as const;

export type MetricAlarmRequest = Omit<
  CloudWatchInput<'PutMetricAlarm'>,
  'Tags' | (typeof withoutEffect)[number]
>;
export type CompositeAlarmRequest = Omit<CloudWatchInput<'PutCompositeAlarm'>, 'Tags'>;
export type AlarmKind = 'metric' | 'composite';

export interface AlarmStanding {
  readonly name: string;
  readonly state: AlarmState;
  readonly reason: string;
  /** JSON, for programs. */
  readonly reasonData: string | undefined;
  readonly stateUpdatedAtMs: number;
  readonly stateTransitionedAtMs: number;
  readonly configuredAtMs: number;
  /** Rises with every change but that of an evaluation: an evaluation of an earlier one has no effect. */
  readonly revision: number;
  /** The group or cluster that it was made for and goes with, as `replication-group/ID`. */
  readonly owner: string | undefined;
}

/** What is asked for stands as it was asked for; what follows from it is read from there. */
export type MetricAlarm = AlarmStanding & {
  readonly kind: 'metric';
  readonly configuration: MetricAlarmRequest;
};
export type CompositeAlarm = AlarmStanding & {
  readonly kind: 'composite';
  readonly configuration: CompositeAlarmRequest;
};
export type Alarm = MetricAlarm | CompositeAlarm;

export type HistoryType = 'ConfigurationUpdate' | 'StateUpdate' | 'Action';

export interface HistoryItem {
  readonly alarm: string;
  readonly kind: AlarmKind;
  readonly atMs: number;
  readonly type: HistoryType;
  readonly summary: string;
  /** JSON. */
  readonly data: string;
}

/** What an alarm owes to topics for one transition. Handed over at least once, always with the same id. */
export interface AlarmNotification {
  readonly id: string;
  readonly alarm: string;
  readonly atMs: number;
  /** ARNs of those it has not been handed to. */
  readonly topics: readonly string[];
  readonly subject: string;
  readonly message: string;
  readonly attempts: number;
  readonly retryAtMs: number;
  /** Held back while another alarm suppresses it. */
  readonly held: boolean;
}

export interface Place {
  readonly region: string;
  readonly accountId: string;
}

export const mostAlarms = 5_000;

export function alarmArn(name: string, { region, accountId }: Place): string {
  return `arn:aws:cloudwatch:${region}:${accountId}:alarm:${name}`;
}

/** The name in an alarm's ARN of this place, or what was given when it is none. */
export function alarmNameOf(nameOrArn: string, place: Place): string {
  const prefix = alarmArn('', place);
  return nameOrArn.startsWith(prefix) ? nameOrArn.slice(prefix.length) : nameOrArn;
}

/** What it does in that state, when actions are enabled. */
export function actionsOf({ configuration }: Alarm, state: AlarmState): readonly string[] {
  if (configuration.ActionsEnabled === false) return [];
  const actions = {
    OK: configuration.OKActions,
    ALARM: configuration.AlarmActions,
    INSUFFICIENT_DATA: configuration.InsufficientDataActions,
  }[state];
  return actions ?? [];
}
