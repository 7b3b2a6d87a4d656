/** DescribeAlarms, DescribeAlarmsForMetric and DescribeAlarmHistory. */
import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import { type SuppressedBy, suppressionOf } from '@larder/metrics/alarm/suppression';
import { type Metric, metricKey } from '@larder/metrics/metric';
import { readMetric } from '../metric-data/read-metric.ts';
import { readToken, tokenOf } from '../metric-data/token.ts';
import { invalidCombination, invalidValue } from '../request/refusals.ts';
import {
  type Alarm,
  alarmArn,
  alarmNameOf,
  type CompositeAlarm,
  type MetricAlarm,
  type Place,
} from './alarm.ts';
import type { AlarmContext } from './put.ts';
import { isMath, readCompositeAlarm, readMetricAlarm } from './read-alarm.ts';
import { readAlarms, readHistory, readNotifications } from './store.ts';

type ShownMetricAlarm = NonNullable<CloudWatchOutput<'DescribeAlarms'>['MetricAlarms']>[number];
type ShownCompositeAlarm = NonNullable<CloudWatchOutput<'DescribeAlarms'>['CompositeAlarms']>[number];
type Context = Pick<AlarmContext, 'database' | 'place' | 'nowMs'>;

const pageSize = 50;
const mostRecords = 100;
const kinds = { MetricAlarm: 'metric', CompositeAlarm: 'composite' } as const;

/** Metric alarms alone, unless other types are asked for. @throws ServiceError InvalidNextToken, InvalidParameterValue, … */
export async function describeAlarms(
  { database, place, nowMs }: Context,
  input: CloudWatchInput<'DescribeAlarms'>,
): Promise<CloudWatchOutput<'DescribeAlarms'>> {
  const { AlarmNames: names, AlarmNamePrefix: prefix, ActionPrefix, StateValue } = input;
  if (names !== undefined && prefix !== undefined) {
    throw invalidCombination('AlarmNames and AlarmNamePrefix exclude each other.');
  }
  if ((names?.length ?? 0) > mostRecords)
    throw invalidValue(`AlarmNames can have up to ${mostRecords} names.`);
  const all = await readAlarms(database);
  const family = familyOf(all, input, place);
  const asked = wantedKinds(input.AlarmTypes);
  const wanted = (family ?? all.filter(({ kind }) => asked.includes(kind))).filter(
    (alarm) =>
      (names === undefined || names.includes(alarm.name)) &&
      (prefix === undefined || alarm.name.startsWith(prefix)) &&
      (StateValue === undefined || alarm.state === StateValue) &&
      (ActionPrefix === undefined || allActions(alarm).some((action) => action.startsWith(ActionPrefix))),
  );
  const { items, NextToken } = pageOf(wanted, input);
  const held = new Map(
    (await readNotifications(database, { held: true })).map((each) => [each.alarm, each.atMs]),
  );
  const heldBack = (alarm: CompositeAlarm): SuppressedBy | undefined => {
    const changedAtMs = held.get(alarm.name);
    const { suppressor } = readCompositeAlarm(alarm.configuration, place);
    if (changedAtMs === undefined || suppressor === undefined) return undefined;
    const by = all.find(({ name }) => name === suppressor.alarm);
    const standing = by && { state: by.state, changedAtMs: by.stateTransitionedAtMs };
    return suppressionOf({ suppressor: standing, changedAtMs, ...suppressor, nowMs: nowMs() })?.by;
  };
  return {
    MetricAlarms: items.flatMap((alarm) => (alarm.kind === 'metric' ? [showMetricAlarm(alarm, place)] : [])),
    CompositeAlarms: items.flatMap((alarm) =>
      alarm.kind === 'composite' ? [showCompositeAlarm(alarm, place, heldBack(alarm))] : [],
    ),
    ...(NextToken !== undefined && { NextToken }),
  };
}

function wantedKinds(types: readonly string[] | undefined): readonly string[] {
  return (types ?? ['MetricAlarm']).map((type) => {
    if (type === 'MetricAlarm' || type === 'CompositeAlarm') return kinds[type];
    if (type === 'LogAlarm') return 'none of these is here';
    throw invalidValue('The parameter AlarmTypes can hold MetricAlarm, CompositeAlarm and LogAlarm.');
  });
}

function familyOf(
  all: readonly Alarm[],
  { ChildrenOfAlarmName: parent, ParentsOfAlarmName: child }: CloudWatchInput<'DescribeAlarms'>,
  place: Place,
): readonly Alarm[] | undefined {
  const childrenOf = (alarm: Alarm | undefined) =>
    alarm?.kind === 'composite' ? readCompositeAlarm(alarm.configuration, place).children : [];
  if (parent !== undefined && child !== undefined) {
    throw invalidCombination('ChildrenOfAlarmName and ParentsOfAlarmName exclude each other.');
  }
  if (parent !== undefined) {
    const children = childrenOf(all.find(({ name }) => name === alarmNameOf(parent, place)));
    return all.filter(({ name }) => children.includes(name));
  }
  if (child === undefined) return undefined;
  const name = alarmNameOf(child, place);
  return all.filter((alarm) => childrenOf(alarm).includes(name));
}

function allActions({ configuration }: Alarm): readonly string[] {
  const { OKActions = [], AlarmActions = [], InsufficientDataActions = [] } = configuration;
  return [...OKActions, ...AlarmActions, ...InsufficientDataActions];
}

function pageOf(
  wanted: readonly Alarm[],
  { MaxRecords: limit = pageSize, NextToken, ...asked }: CloudWatchInput<'DescribeAlarms'>,
): { readonly items: readonly Alarm[]; readonly NextToken?: string } {
  checkLimit(limit);
  const after = NextToken === undefined ? '' : String(readToken(asked, NextToken));
  const rest = wanted.filter(({ name }) => name > after);
  const items = rest.slice(0, limit);
  return rest.length > limit ? { items, NextToken: tokenOf(asked, items.at(-1)!.name) } : { items };
}

function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= mostRecords) return;
  throw invalidValue(`The parameter MaxRecords must be a whole number from 1 to ${mostRecords}.`);
}

function showStanding(alarm: Alarm, place: Place) {
  const { OKActions = [], AlarmActions = [], InsufficientDataActions = [] } = alarm.configuration;
  return {
    AlarmArn: alarmArn(alarm.name, place),
    AlarmConfigurationUpdatedTimestamp: new Date(alarm.configuredAtMs),
    StateValue: alarm.state,
    StateReason: alarm.reason,
    ...(alarm.reasonData !== undefined && { StateReasonData: alarm.reasonData }),
    StateUpdatedTimestamp: new Date(alarm.stateUpdatedAtMs),
    StateTransitionedTimestamp: new Date(alarm.stateTransitionedAtMs),
    ActionsEnabled: alarm.configuration.ActionsEnabled ?? true,
    OKActions,
    AlarmActions,
    InsufficientDataActions,
  };
}

export function showMetricAlarm(alarm: MetricAlarm, place: Place): ShownMetricAlarm {
  const { Metrics = [], ...configuration } = alarm.configuration;
  return {
    ...configuration,
    ...(isMath(alarm.configuration)
      ? { Metrics: Metrics.map((each) => ({ ReturnData: true, ...each })) }
      : { Dimensions: configuration.Dimensions ?? [] }),
    ...showStanding(alarm, place),
  };
}

function showCompositeAlarm(
  alarm: CompositeAlarm,
  place: Place,
  by: SuppressedBy | undefined,
): ShownCompositeAlarm {
  return {
    ...alarm.configuration,
    ...showStanding(alarm, place),
    ...(by !== undefined && {
      ActionsSuppressedBy: by,
      ActionsSuppressedReason: `Actions wait for ${alarm.configuration.ActionsSuppressor}.`,
    }),
  };
}

/** Those on the metric alone, with exactly its dimensions; of what else is given, with that. */
export async function describeAlarmsForMetric(
  { database, place }: Context,
  input: CloudWatchInput<'DescribeAlarmsForMetric'>,
): Promise<CloudWatchOutput<'DescribeAlarmsForMetric'>> {
  const metric: Metric = readMetric(input);
  const fits = (alarm: MetricAlarm): boolean => {
    const { source } = readMetricAlarm(alarm.configuration, place);
    const { configuration: asked } = alarm;
    return (
      source.kind === 'metric' &&
      metricKey(source.metric) === metricKey(metric) &&
      (input.Statistic === undefined || asked.Statistic === input.Statistic) &&
      (input.ExtendedStatistic === undefined || asked.ExtendedStatistic === input.ExtendedStatistic) &&
      (input.Period === undefined || asked.Period === input.Period) &&
      (input.Unit === undefined || asked.Unit === input.Unit)
    );
  };
  const alarms = await readAlarms(database);
  return {
    MetricAlarms: alarms.flatMap((alarm) =>
      alarm.kind === 'metric' && fits(alarm) ? [showMetricAlarm(alarm, place)] : [],
    ),
  };
}

/** The newest first, unless it is asked otherwise. @throws ServiceError InvalidNextToken, InvalidParameterValue */
export async function describeAlarmHistory(
  { database }: Context,
  input: CloudWatchInput<'DescribeAlarmHistory'>,
): Promise<CloudWatchOutput<'DescribeAlarmHistory'>> {
  const { MaxRecords: limit = mostRecords, NextToken, ...asked } = input;
  checkLimit(limit);
  const after = NextToken === undefined ? undefined : Number(readToken(asked, NextToken));
  const fetched = await readHistory(database, {
    alarm: input.AlarmName,
    kinds: wantedKinds(input.AlarmTypes),
    type: input.HistoryItemType,
    fromMs: input.StartDate?.getTime(),
    toMs: input.EndDate?.getTime(),
    isAscending: input.ScanBy === 'TimestampAscending',
    after,
    limit: limit + 1,
  });
  const page = fetched.slice(0, limit);
  return {
    AlarmHistoryItems: page.map(({ item }) => ({
      AlarmName: item.alarm,
      AlarmType: item.kind === 'metric' ? 'MetricAlarm' : 'CompositeAlarm',
      Timestamp: new Date(item.atMs),
      HistoryItemType: item.type,
      HistorySummary: item.summary,
      HistoryData: item.data,
    })),
    ...(fetched.length > limit && { NextToken: tokenOf(asked, page.at(-1)!.number) }),
  };
}
