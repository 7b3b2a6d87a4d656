/**
 * An alarm goes from one state to another: the new state, its line of history and what it owes to topics are written in one
 * transaction, before anybody is told. So a kill of the service loses no notification, and makes no second one: it is
 * handed over after the restart under the id that it was given here.
 */
import { randomUUID } from 'node:crypto';
import type { AlarmState } from '@larder/metrics/alarm/evaluate-alarm';
import type { DatabaseTransaction } from '../database/connect.ts';
import { type Alarm, actionsOf, alarmArn, type Place } from './alarm.ts';
import { isMath } from './read-alarm.ts';
import { deleteHeld, insertNotification, moveState, recordHistory } from './store.ts';

export interface Transition {
  readonly state: AlarmState;
  readonly reason: string;
  readonly reasonData?: string | undefined;
  readonly atMs: number;
  /** What it owes waits until nothing suppresses it. */
  readonly held?: boolean;
}

/** @returns whether it was done: not when the alarm is not any more what was judged. */
export async function transitionIn(
  transaction: DatabaseTransaction,
  alarm: Alarm,
  after: Transition,
  place: Place,
  newId: () => string = randomUUID,
): Promise<boolean> {
  const { state, reason, reasonData, atMs, held = false } = after;
  if (!(await moveState(transaction, alarm, { state, reason, reasonData, atMs }))) return false;
  if (state === alarm.state) return true;
  const { name, kind } = alarm;
  await recordHistory(transaction, {
    alarm: name,
    kind,
    atMs,
    type: 'StateUpdate',
    summary: `Alarm updated from ${alarm.state} to ${state}`,
    data: JSON.stringify({
      version: '1.0',
      oldState: { stateValue: alarm.state, stateReason: alarm.reason },
      newState: { stateValue: state, stateReason: reason, ...parsed(reasonData) },
    }),
  });
  // Nobody was told of the state before: what was held back for it is owed no more.
  await deleteHeld(transaction, name);
  const topics = [...new Set(actionsOf(alarm, state))];
  if (topics.length === 0) return true;
  await insertNotification(transaction, {
    id: newId(),
    alarm: name,
    atMs,
    topics,
    subject: `${state}: "${name}" in ${place.region}`.slice(0, 100),
    message: messageOf(alarm, after, place),
    attempts: 0,
    retryAtMs: 0,
    held,
  });
  return true;
}

function parsed(reasonData: string | undefined): object {
  if (reasonData === undefined) return {};
  try {
    return { stateReasonData: JSON.parse(reasonData) as unknown };
  } catch {
    // Given by a person with SetAlarmState.
    return { stateReasonData: reasonData };
  }
}

/** As CloudWatch writes it to a topic. */
function messageOf(alarm: Alarm, { state, reason, atMs }: Transition, place: Place): string {
  const { name, configuration } = alarm;
  return JSON.stringify({
    AlarmName: name,
    AlarmDescription: configuration.AlarmDescription ?? null,
    AWSAccountId: place.accountId,
    AlarmConfigurationUpdatedTimestamp: new Date(alarm.configuredAtMs).toISOString(),
    NewStateValue: state,
    NewStateReason: reason,
    StateChangeTime: new Date(atMs).toISOString(),
    Region: place.region,
    AlarmArn: alarmArn(name, place),
    OldStateValue: alarm.state,
    OKActions: configuration.OKActions ?? [],
    AlarmActions: configuration.AlarmActions ?? [],
    InsufficientDataActions: configuration.InsufficientDataActions ?? [],
    ...(alarm.kind === 'metric'
      ? { Trigger: triggerOf(alarm) }
      : { AlarmRule: alarm.configuration.AlarmRule }),
  });
}

function triggerOf({ configuration: asked }: Alarm & { kind: 'metric' }): object {
  return {
    ...(isMath(asked)
      ? { Metrics: asked.Metrics }
      : {
          MetricName: asked.MetricName,
          Namespace: asked.Namespace,
          ...(asked.Statistic !== undefined
            ? { StatisticType: 'Statistic', Statistic: asked.Statistic.toUpperCase() }
            : { StatisticType: 'ExtendedStatistic', ExtendedStatistic: asked.ExtendedStatistic }),
          Unit: asked.Unit ?? null,
          Dimensions: (asked.Dimensions ?? []).map(({ Name, Value }) => ({ name: Name, value: Value })),
        }),
    Period: asked.Period ?? null,
    EvaluationPeriods: asked.EvaluationPeriods,
    DatapointsToAlarm: asked.DatapointsToAlarm ?? asked.EvaluationPeriods,
    ComparisonOperator: asked.ComparisonOperator,
    Threshold: asked.Threshold,
    TreatMissingData: asked.TreatMissingData ?? 'missing',
    EvaluateLowSampleCountPercentile: asked.EvaluateLowSampleCountPercentile ?? '',
  };
}
