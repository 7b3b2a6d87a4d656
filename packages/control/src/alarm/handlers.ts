/** CloudWatch's operations on alarms, and on tags. */
import type { CloudWatchHandlers } from '@larder/contract/cloudwatch/handlers';
import { describeAlarmHistory, describeAlarms, describeAlarmsForMetric } from './describe.ts';
import { type AlarmContext, putCompositeAlarm, putMetricAlarm } from './put.ts';
import { deleteAlarms, enableActions, setAlarmState } from './requests.ts';
import { listTagsForResource, tagResource, untagResource } from './tags.ts';

export function alarmHandlers(context: AlarmContext): CloudWatchHandlers {
  /** Of operations that answer nothing. */
  const silent = async (work: Promise<void>) => {
    await work;
    return {};
  };
  return {
    PutMetricAlarm: (input) => silent(putMetricAlarm(context, input)),
    PutCompositeAlarm: (input) => silent(putCompositeAlarm(context, input)),
    DescribeAlarms: (input) => describeAlarms(context, input),
    DescribeAlarmsForMetric: (input) => describeAlarmsForMetric(context, input),
    DescribeAlarmHistory: (input) => describeAlarmHistory(context, input),
    DeleteAlarms: (input) => silent(deleteAlarms(context, input)),
    SetAlarmState: (input) => silent(setAlarmState(context, input)),
    EnableAlarmActions: ({ AlarmNames }) => silent(enableActions(context, AlarmNames, true)),
    DisableAlarmActions: ({ AlarmNames }) => silent(enableActions(context, AlarmNames, false)),
    TagResource: (input) => silent(tagResource(context, input)),
    UntagResource: (input) => silent(untagResource(context, input)),
    ListTagsForResource: (input) => listTagsForResource(context, input),
  };
}
