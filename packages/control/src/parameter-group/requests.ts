/** Create, modify, reset, delete. What uses a group is woken after the commit and brings its nodes to the new values. */
import type { Input } from '@larder/contract/elasticache/model';
import { type ServiceError, serviceError } from '@larder/contract/errors';
import { checkedName } from '@larder/contract/ids';
import { parameterFamilies } from '@larder/engine/parameters/family';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { invalidValue } from '../request/refusals.ts';
import { readTags } from '../request/tags.ts';
import { deleteTags, writeTags } from '../tag/store.ts';
import { existingParameter, normaliseSettings } from './normalise.ts';
import { type ParameterGroup, valuesOf } from './parameter-group.ts';
import { existingParameterGroup } from './settings.ts';
import {
  countParameterGroups,
  insertParameterGroup,
  markApplying,
  readParameterGroup,
  removeParameterGroup,
  usersOfParameterGroup,
  writeSettings,
} from './store.ts';

/** ElastiCache's quota. */
const mostGroups = 300;
const mostChanges = 20;

/**
 * A group with its family's values.
 * @throws ServiceError CacheParameterGroupAlreadyExists, CacheParameterGroupQuotaExceeded, InvalidParameterValue
 */
export async function createParameterGroup(
  context: ControlContext,
  input: Input<'CreateCacheParameterGroup'>,
): Promise<ParameterGroup> {
  const name = checkedName('CacheParameterGroupName', input.CacheParameterGroupName);
  const tags = readTags(input.Tags);
  const family = parameterFamilies().get(input.CacheParameterGroupFamily.toLowerCase());
  if (family === undefined) throw unknownFamily(input.CacheParameterGroupFamily);
  const group: ParameterGroup = {
    name,
    family,
    description: input.Description,
    settings: {},
    isDefault: false,
  };
  await context.database.transaction().execute(async (transaction) => {
    if ((await readParameterGroup(transaction, name)) !== undefined) {
      throw serviceError('CacheParameterGroupAlreadyExistsFault', `Parameter group ${name} already exists.`);
    }
    if ((await countParameterGroups(transaction)) >= mostGroups) {
      throw serviceError(
        'CacheParameterGroupQuotaExceededFault',
        `There can be at most ${mostGroups} parameter groups.`,
        { hint: 'Delete one that is not used.' },
      );
    }
    await insertParameterGroup(transaction, group);
    await writeTags(transaction, { resourceType: 'parametergroup', name }, tags);
    await record(context, transaction, name, `Created cache parameter group ${name}`);
  });
  return group;
}

/**
 * Changes up to 20 parameters, all or none.
 * @returns the group's name.
 * @throws ServiceError CacheParameterGroupNotFound, InvalidCacheParameterGroupState, InvalidParameterValue,
 *   InvalidParameterCombination
 */
export async function modifyParameterGroup(
  context: ControlContext,
  input: Input<'ModifyCacheParameterGroup'>,
): Promise<string> {
  const asked = input.ParameterNameValues;
  if (asked.length === 0 || asked.length > mostChanges) {
    throw invalidValue(
      `ParameterNameValues must name 1 to ${mostChanges} parameters; it names ${asked.length}.`,
    );
  }
  const wanted = new Map<string, string>();
  for (const { ParameterName, ParameterValue } of asked) {
    if (ParameterName === undefined || ParameterValue === undefined) {
      throw invalidValue('Each of ParameterNameValues needs a ParameterName and a ParameterValue.');
    }
    if (wanted.has(ParameterName))
      throw invalidValue(`Parameter ${ParameterName.slice(0, 100)} is given twice.`);
    wanted.set(ParameterName, ParameterValue);
  }
  // The engine is asked outside of the transaction, which would hold up everybody else.
  const group = await changeableGroup(context.database, input.CacheParameterGroupName);
  const normal = await normaliseSettings(context, group, wanted);
  return change(context, group.name, 'Modified', (settings) => ({
    ...settings,
    ...Object.fromEntries(normal),
  }));
}

/**
 * Back to the family's values: the listed parameters, or all.
 * @returns the group's name.
 * @throws ServiceError as `modifyParameterGroup`
 */
export async function resetParameterGroup(
  context: ControlContext,
  input: Input<'ResetCacheParameterGroup'>,
): Promise<string> {
  const group = await changeableGroup(context.database, input.CacheParameterGroupName);
  const listed = input.ParameterNameValues ?? [];
  const all = input.ResetAllParameters ?? false;
  if (all === listed.length > 0) {
    throw serviceError(
      'InvalidParameterCombinationException',
      'Give ResetAllParameters or ParameterNameValues, one of the two.',
    );
  }
  if (listed.length > mostChanges) {
    throw invalidValue(`ParameterNameValues must name at most ${mostChanges} parameters.`);
  }
  const names = new Set(
    listed.map(({ ParameterName }) => existingParameter(group, ParameterName ?? '').name),
  );
  return change(context, group.name, 'Reset', (settings) =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => !all && !names.has(name))),
  );
}

/** @throws ServiceError CacheParameterGroupNotFound, InvalidCacheParameterGroupState while something uses it. */
export async function deleteParameterGroup(
  context: ControlContext,
  input: Input<'DeleteCacheParameterGroup'>,
): Promise<void> {
  await context.database.transaction().execute(async (transaction) => {
    const { name } = await changeableGroup(transaction, input.CacheParameterGroupName);
    const [user] = await usersOfParameterGroup(transaction, name);
    if (user !== undefined) {
      throw state(
        `One or more cache clusters are still members of this parameter group ${name} (${user.id} is one), so the group cannot be deleted.`,
      );
    }
    await removeParameterGroup(transaction, name);
    await deleteTags(transaction, { resourceType: 'parametergroup', name });
    await record(context, transaction, name, `Deleted cache parameter group ${name}`);
  });
}

export function unknownFamily(family: string): ServiceError {
  return invalidValue(
    `CacheParameterGroupFamily ${family.slice(0, 100)} is not a valid parameter group family.`,
  );
}

async function change(
  context: ControlContext,
  name: string,
  verb: 'Modified' | 'Reset',
  changed: (settings: ParameterGroup['settings']) => ParameterGroup['settings'],
): Promise<string> {
  const users = await context.database.transaction().execute(async (transaction) => {
    const before = await existingParameterGroup(transaction, name);
    const after = { ...before, settings: changed(before.settings) };
    const using = await usersOfParameterGroup(transaction, name);
    const [one] = using;
    if (one !== undefined && clusterEnabled(before) !== clusterEnabled(after)) {
      throw state(`cluster-enabled can't change while ${one.id} uses the parameter group ${name}.`);
    }
    await writeSettings(transaction, name, after.settings);
    await markApplying(transaction, using);
    await record(
      context,
      transaction,
      name,
      `${verb} ${differing(before, after)} of cache parameter group ${name}`,
    );
    return using;
  });
  for (const { resource, id } of users) context.wake(resource, id);
  return name;
}

/** Names only: a value may be long. */
function differing(before: ParameterGroup, after: ParameterGroup): string {
  const was = valuesOf(before);
  const names = [...valuesOf(after)].filter(([name, value]) => was.get(name) !== value).map(([name]) => name);
  return names.length === 0 ? 'no value' : names.join(', ');
}

function clusterEnabled(group: ParameterGroup): string | undefined {
  return valuesOf(group).get('cluster-enabled');
}

async function changeableGroup(
  database: Parameters<typeof existingParameterGroup>[0],
  name: string,
): Promise<ParameterGroup> {
  const group = await existingParameterGroup(database, name);
  if (!group.isDefault) return group;
  throw state(`The default parameter group ${group.name} can't be changed or deleted.`);
}

function record(
  context: ControlContext,
  transaction: DatabaseTransaction,
  name: string,
  message: string,
): Promise<void> {
  return recordEvent(transaction, {
    atMs: context.nowMs(),
    sourceType: 'cache-parameter-group',
    sourceId: name,
    message,
  });
}

function state(message: string): ServiceError {
  return serviceError('InvalidCacheParameterGroupStateFault', message);
}
