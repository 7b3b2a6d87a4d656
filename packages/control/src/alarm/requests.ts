/** DeleteAlarms, SetAlarmState, EnableAlarmActions and DisableAlarmActions. */
import type { CloudWatchInput } from '@larder/contract/cloudwatch/model';
import { serviceError } from '@larder/contract/errors';
import type { AlarmState } from '@larder/metrics/alarm/evaluate-alarm';
import type { DatabaseTransaction } from '../database/connect.ts';
import { invalidValue } from '../request/refusals.ts';
import { deleteTags } from '../tag/store.ts';
import { type Alarm, alarmArn } from './alarm.ts';
import type { AlarmContext } from './put.ts';
import { readCompositeAlarm } from './read-alarm.ts';
import { deleteAlarmRows, readAlarm, readAlarms, recordHistory, writeAlarm } from './store.ts';
import { transitionIn } from './transition.ts';

const mostNames = 100;
const states: readonly AlarmState[] = ['OK', 'ALARM', 'INSUFFICIENT_DATA'];

/** All of them, or none. @throws ServiceError ResourceNotFound; ResourceConflict for one that another alarm needs. */
export async function deleteAlarms(
  context: AlarmContext,
  { AlarmNames: names }: CloudWatchInput<'DeleteAlarms'>,
): Promise<void> {
  checkCount(names);
  await context.database.transaction().execute(async (transaction) => {
    const all = await readAlarms(transaction);
    const gone = names.find((name) => !all.some((alarm) => alarm.name === name));
    if (gone !== undefined) throw notThere(gone);
    const leaving = all.filter(({ name }) => names.includes(name));
    const needing = all.find((alarm) => !leaving.includes(alarm) && needs(alarm, names, context));
    if (needing !== undefined) {
      throw serviceError(
        'ResourceConflict',
        `Alarm ${needing.name} needs one of them; delete or change it first.`,
      );
    }
    await removeIn(transaction, leaving, context);
  });
  context.alarmsChanged();
}

function needs(alarm: Alarm, names: readonly string[], { place }: AlarmContext): boolean {
  if (alarm.kind === 'metric') return false;
  const { children, suppressor } = readCompositeAlarm(alarm.configuration, place);
  return children.some((child) => names.includes(child)) || names.includes(suppressor?.alarm ?? '');
}

/** With their tags and what they owe; their history stays. */
export async function removeIn(
  transaction: DatabaseTransaction,
  alarms: readonly Alarm[],
  { nowMs, place }: Pick<AlarmContext, 'nowMs' | 'place'>,
): Promise<void> {
  await deleteAlarmRows(
    transaction,
    alarms.map(({ name }) => name),
  );
  for (const { name, kind, configuration } of alarms) {
    await deleteTags(transaction, { resourceType: 'alarm', name });
    await recordHistory(transaction, {
      alarm: name,
      kind,
      atMs: nowMs(),
      type: 'ConfigurationUpdate',
      summary: `Alarm "${name}" deleted`,
      data: JSON.stringify({
        version: '1.0',
        type: 'Delete',
        alarmArn: alarmArn(name, place),
        deletedConfiguration: configuration,
      }),
    });
  }
}

/** Until the next evaluation, which may find it otherwise. @throws ServiceError ResourceNotFound, InvalidFormat, … */
export async function setAlarmState(
  { database, nowMs, place, alarmsChanged }: AlarmContext,
  input: CloudWatchInput<'SetAlarmState'>,
): Promise<void> {
  const state = states.find((each) => each === input.StateValue);
  if (state === undefined)
    throw invalidValue(`The parameter StateValue must be one of ${states.join(', ')}.`);
  if (input.StateReason.length > 1023) {
    throw invalidValue('The parameter StateReason can have up to 1023 characters.');
  }
  checkReasonData(input.StateReasonData);
  await database.transaction().execute(async (transaction) => {
    const before = await readAlarm(transaction, input.AlarmName);
    if (before === undefined) throw notThere(input.AlarmName);
    // An evaluation of what was before must not undo it at once.
    const alarm = { ...before, revision: before.revision + 1 };
    await writeAlarm(transaction, alarm);
    const { StateReason: reason, StateReasonData: reasonData } = input;
    await transitionIn(transaction, alarm, { state, reason, reasonData, atMs: nowMs() }, place);
  });
  alarmsChanged();
}

function checkReasonData(data: string | undefined): void {
  if (data === undefined) return;
  if (data.length > 4000) throw invalidValue('The parameter StateReasonData can have up to 4000 characters.');
  try {
    JSON.parse(data);
  } catch {
    throw serviceError('InvalidFormatFault', 'The parameter StateReasonData must be JSON.');
  }
}

/** @throws ServiceError ResourceNotFound */
export async function enableActions(
  { database, nowMs, place, alarmsChanged }: AlarmContext,
  names: readonly string[],
  isEnabled: boolean,
): Promise<void> {
  checkCount(names);
  await database.transaction().execute(async (transaction) => {
    const alarms = await readAlarms(transaction, names);
    const gone = names.find((name) => !alarms.some((alarm) => alarm.name === name));
    if (gone !== undefined) throw notThere(gone);
    for (const before of alarms) {
      if ((before.configuration.ActionsEnabled ?? true) === isEnabled) continue;
      const { name, kind, revision } = before;
      const configuration = { ...before.configuration, ActionsEnabled: isEnabled };
      await writeAlarm(transaction, { ...before, configuration, revision: revision + 1 } as Alarm);
      await recordHistory(transaction, {
        alarm: name,
        kind,
        atMs: nowMs(),
        type: 'ConfigurationUpdate',
        summary: `Alarm actions ${isEnabled ? 'enabled' : 'disabled'} for ${name}`,
        data: JSON.stringify({
          version: '1.0',
          type: 'Update',
          alarmArn: alarmArn(name, place),
          updatedConfiguration: { actionsEnabled: isEnabled },
        }),
      });
    }
  });
  alarmsChanged();
}

function checkCount(names: readonly string[]): void {
  if (names.length <= mostNames) return;
  throw invalidValue(`The parameter AlarmNames can have up to ${mostNames} names; it has ${names.length}.`);
}

function notThere(name: string) {
  return serviceError('ResourceNotFound', `There is no alarm ${name.slice(0, 255)}.`);
}
