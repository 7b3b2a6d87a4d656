/** PutMetricAlarm and PutCompositeAlarm: made, or replaced as a whole but for the state. */
import type { CloudWatchInput } from '@larder/contract/cloudwatch/model';
import { serviceError } from '@larder/contract/errors';
import { circleThrough } from '@larder/metrics/alarm/composite-rule';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { invalidValue } from '../request/refusals.ts';
import type { Tag } from '../request/tags.ts';
import { readTags } from '../request/tags.ts';
import { writeTags } from '../tag/store.ts';
import {
  type Alarm,
  alarmArn,
  type CompositeAlarmRequest,
  type MetricAlarmRequest,
  mostAlarms,
  type Place,
  withoutEffect,
} from './alarm.ts';
import { readCompositeAlarm, readMetricAlarm } from './read-alarm.ts';
import { countAlarms, readAlarm, readAlarms, recordHistory, writeAlarm } from './store.ts';

export interface AlarmContext {
  readonly database: Database;
  readonly nowMs: () => number;
  readonly place: Place;
  /** Called after a commit: alarms are not what they were. */
  readonly alarmsChanged: () => void;
}

/** @throws ServiceError InvalidParameterValue, InvalidParameterCombination, LimitExceeded, ValidationError, … */
export async function putMetricAlarm(
  context: AlarmContext,
  input: CloudWatchInput<'PutMetricAlarm'>,
): Promise<void> {
  const ineffective = withoutEffect.find((member) => input[member] !== undefined);
  if (ineffective !== undefined) {
    throw invalidValue(
      `${ineffective} has no effect here; leave it out. Periods are those of the clock, and thresholds are numbers.`,
    );
  }
  const { Tags, ...configuration } = input;
  readMetricAlarm(configuration, context.place);
  const tags = readTags(Tags);
  await context.database.transaction().execute(async (transaction) => {
    await putIn(transaction, context, { kind: 'metric', configuration }, tags);
  });
  context.alarmsChanged();
}

/** @throws ServiceError as putMetricAlarm; ValidationError for a rule that can't be read, names no alarm, or is a circle. */
export async function putCompositeAlarm(
  context: AlarmContext,
  { Tags, ...configuration }: CloudWatchInput<'PutCompositeAlarm'>,
): Promise<void> {
  const { place } = context;
  const { children, suppressor } = readCompositeAlarm(configuration, place);
  const tags = readTags(Tags);
  await context.database.transaction().execute(async (transaction) => {
    const others = new Map((await readAlarms(transaction)).map((alarm) => [alarm.name, alarm]));
    const needed = [...children, ...(suppressor === undefined ? [] : [suppressor.alarm])];
    const gone = needed.find((name) => !others.has(name) && name !== configuration.AlarmName);
    if (gone !== undefined) throw refused(`There is no alarm ${gone.slice(0, 255)}.`);
    const childrenOfAlarm = (name: string): readonly string[] => {
      if (name === configuration.AlarmName) return needed;
      const alarm = others.get(name);
      if (alarm?.kind !== 'composite') return [];
      const settings = readCompositeAlarm(alarm.configuration, place);
      return [
        ...settings.children,
        ...(settings.suppressor === undefined ? [] : [settings.suppressor.alarm]),
      ];
    };
    const circle = circleThrough(configuration.AlarmName, childrenOfAlarm);
    if (circle !== undefined)
      throw refused(`The alarms ${circle.join(', ').slice(0, 600)} would need each other.`);
    await putIn(transaction, context, { kind: 'composite', configuration }, tags);
  });
  context.alarmsChanged();
}

type Asked =
  | { readonly kind: 'metric'; readonly configuration: MetricAlarmRequest; readonly owner?: string }
  | { readonly kind: 'composite'; readonly configuration: CompositeAlarmRequest; readonly owner?: string };

/** Of what was checked. Tags are for a new alarm; one that is there keeps its own. */
export async function putIn(
  transaction: DatabaseTransaction,
  { nowMs, place }: Pick<AlarmContext, 'nowMs' | 'place'>,
  asked: Asked,
  tags: readonly Tag[],
): Promise<void> {
  const name = asked.configuration.AlarmName;
  const now = nowMs();
  const before = await readAlarm(transaction, name);
  if (before !== undefined && before.kind !== asked.kind) {
    throw refused(`There is a ${before.kind} alarm named ${name} already.`);
  }
  if (before === undefined && (await countAlarms(transaction)) >= mostAlarms) {
    throw serviceError('LimitExceededFault', `There can be up to ${mostAlarms} alarms.`);
  }
  const standing = before ?? {
    state: 'INSUFFICIENT_DATA' as const,
    reason: 'Unchecked: Initial alarm creation',
    reasonData: undefined,
    stateUpdatedAtMs: now,
    stateTransitionedAtMs: now,
    revision: 0,
    owner: asked.owner,
  };
  await writeAlarm(transaction, {
    ...standing,
    name,
    configuredAtMs: now,
    revision: standing.revision + 1,
    ...asked,
    owner: standing.owner,
  } as Alarm);
  if (before === undefined) await writeTags(transaction, { resourceType: 'alarm', name }, tags);
  await recordHistory(transaction, {
    alarm: name,
    kind: asked.kind,
    atMs: now,
    type: 'ConfigurationUpdate',
    summary: `Alarm "${name}" ${before === undefined ? 'created' : 'updated'}`,
    data: JSON.stringify({
      version: '1.0',
      type: before === undefined ? 'Create' : 'Update',
      alarmArn: alarmArn(name, place),
      ...(before !== undefined && { previousConfiguration: before.configuration }),
      updatedConfiguration: asked.configuration,
    }),
  });
}

function refused(message: string) {
  return serviceError('ValidationError', message);
}
