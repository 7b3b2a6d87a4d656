/** What a parameter group means for a node, and which group a request means. For the resources that have one. */

import { serviceError } from '@larder/contract/errors';
import { type EngineName, engineTraits } from '@larder/engine/engine';
import { directiveOf, toDirectives } from '@larder/engine/parameters/directives';
import { familyName, parameterFamilies, parametersOf } from '@larder/engine/parameters/family';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { defaultParameterGroup } from '../request/engine-choice.ts';
import { invalidCombination } from '../request/refusals.ts';
import { type ParameterGroup, valuesOf, wantsClusterMode } from './parameter-group.ts';
import { readParameterGroup } from './store.ts';

export interface ParameterSettings {
  readonly groupName: string;
  /**
   * Directive -> value in the engine's normal form, as CONFIG GET answers it: all that the group decides, ElastiCache's
   * own defaults included. For Memcached parameter name -> value, as `memcachedArguments` takes them.
   */
  readonly directives: Readonly<Record<string, string>>;
  /** Names among them that take effect only when the process starts. */
  readonly atStart: ReadonlySet<string>;
  /** Share of the node type's memory that is not given to data, 0 to 100. */
  readonly reservedMemoryPercent: number;
}

/**
 * @param version of the engine that runs: a directive that it does not know is left out.
 * @throws ServiceError CacheParameterGroupNotFound
 */
export async function parameterSettings(
  database: Database | DatabaseTransaction,
  groupName: string,
  version: string,
): Promise<ParameterSettings> {
  const group = await existingParameterGroup(database, groupName);
  const values = valuesOf(group, version);
  const known = parametersOf(group.family, version);
  if (group.family.engine === 'memcached') {
    const names = known.filter(({ modifiable }) => modifiable).map(({ name }) => name);
    return {
      groupName,
      directives: Object.fromEntries(names.map((name) => [name, values.get(name)!])),
      atStart: new Set(names),
      reservedMemoryPercent: 0,
    };
  }
  // What can't be changed in a group is decided elsewhere, unless it is a part of what can.
  const decided = new Set(
    known.flatMap(({ name, modifiable }) => (modifiable ? (directiveOf(name) ?? []) : [])),
  );
  const late = known.filter(({ changeType }) => changeType === 'requires-reboot');
  return {
    groupName,
    directives: Object.fromEntries([...toDirectives(values)].filter(([name]) => decided.has(name))),
    atStart: new Set(late.flatMap(({ name }) => directiveOf(name) ?? [])),
    reservedMemoryPercent: Number(values.get('reserved-memory-percent')),
  };
}

/** Whether a group still says what a pass began with. If not its nodes are applying again, whatever the pass saw. */
export async function stillAsked(
  transaction: DatabaseTransaction,
  of: { readonly parameterGroup: string; readonly engineVersion: string },
  before: ParameterSettings,
): Promise<boolean> {
  const now = await parameterSettings(transaction, of.parameterGroup, of.engineVersion);
  return JSON.stringify(now.directives) === JSON.stringify(before.directives);
}

/**
 * The name to write down.
 * @throws ServiceError CacheParameterGroupNotFound; InvalidParameterCombination for a group of another family, for one
 *   whose `cluster-enabled` does not fit, and for a version of which there is no family.
 */
export async function chooseParameterGroup(
  database: Database | DatabaseTransaction,
  requested: string | undefined,
  of: { readonly engine: EngineName; readonly version: string; readonly clusterEnabled: boolean },
): Promise<string> {
  const family = familyName(of.engine, of.version);
  if (!parameterFamilies().has(family)) {
    throw invalidCombination(
      `There is no parameter group family ${family} for ${engineTraits[of.engine].title} ${of.version} in this version of Larder; there are ${[...parameterFamilies().keys()].join(', ')}.`,
    );
  }
  if (requested === undefined) return defaultParameterGroup(of.engine, of.version, of.clusterEnabled);
  const group = await existingParameterGroup(database, requested);
  if (group.family.family !== family) {
    throw invalidCombination(
      `Expected a parameter group of family ${family} but found one of family ${group.family.family}: ${group.name}.`,
    );
  }
  if (engineTraits[of.engine].replicates && wantsClusterMode(group) !== of.clusterEnabled) {
    throw invalidCombination(
      of.clusterEnabled
        ? `Cluster mode needs a parameter group with cluster-enabled yes; in ${group.name} it is no.`
        : `The parameter group ${group.name} has cluster-enabled yes, which only a group with cluster mode can use.`,
    );
  }
  return group.name;
}

/**
 * Whether a request that names this group means cluster mode; false when it names none.
 * @throws ServiceError CacheParameterGroupNotFound
 */
export async function parameterGroupWantsClusterMode(
  database: Database | DatabaseTransaction,
  requested: string | undefined,
): Promise<boolean> {
  return requested !== undefined && wantsClusterMode(await existingParameterGroup(database, requested));
}

/** @throws ServiceError CacheParameterGroupNotFound */
export async function existingParameterGroup(
  database: Database | DatabaseTransaction,
  name: string,
): Promise<ParameterGroup> {
  const group = await readParameterGroup(database, name.toLowerCase());
  if (group !== undefined) return group;
  throw serviceError(
    'CacheParameterGroupNotFoundFault',
    `CacheParameterGroup ${name.slice(0, 255)} not found.`,
  );
}
