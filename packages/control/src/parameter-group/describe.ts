/** Parameter groups, their parameters and the engine versions as ElastiCache shows them. */
import type { Caller } from '@larder/contract/elasticache/handlers';
import type { Input, Output } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { formatArn } from '@larder/contract/ids';
import {
  compareVersions,
  type EngineName,
  engineTraits,
  releaseOf,
  shownVersion,
  versionMatches,
} from '@larder/engine/engine';
import { nodeTypes } from '@larder/engine/node-type';
import {
  type FamilyParameter,
  familyName,
  type ParameterFamily,
  parameterFamilies,
} from '@larder/engine/parameters/family';
import type { ControlContext } from '../control-context.ts';
import { pageOf } from '../request/page.ts';
import type { ParameterGroup } from './parameter-group.ts';
import { unknownFamily } from './requests.ts';
import { existingParameterGroup } from './settings.ts';
import { readParameterGroups } from './store.ts';

type Owner = Pick<Caller, 'region' | 'accountId'>;
type ShownGroup = NonNullable<Output<'DescribeCacheParameterGroups'>['CacheParameterGroups']>[number];
type ShownParameter = NonNullable<Output<'DescribeCacheParameters'>['Parameters']>[number];
type ByNodeType = NonNullable<Output<'DescribeCacheParameters'>['CacheNodeTypeSpecificParameters']>[number];

/** @throws ServiceError CacheParameterGroupNotFound when one was asked for by name and is not there. */
export async function describeParameterGroups(
  { database }: ControlContext,
  owner: Owner,
  input: Input<'DescribeCacheParameterGroups'>,
): Promise<Output<'DescribeCacheParameterGroups'>> {
  if (input.CacheParameterGroupName !== undefined) {
    const group = await existingParameterGroup(database, input.CacheParameterGroupName);
    return { CacheParameterGroups: [showParameterGroup(group, owner)] };
  }
  const { items, ...marker } = pageOf(await readParameterGroups(database), input, ({ name }) => name);
  return { CacheParameterGroups: items.map((group) => showParameterGroup(group, owner)), ...marker };
}

export function showParameterGroup(group: ParameterGroup, owner: Owner): ShownGroup {
  return {
    CacheParameterGroupName: group.name,
    CacheParameterGroupFamily: group.family.family,
    Description: group.description,
    IsGlobal: false,
    ARN: formatArn({ ...owner, resourceType: 'parametergroup', name: group.name }),
  };
}

const sources = ['user', 'system', 'engine-default'];

/** @throws ServiceError CacheParameterGroupNotFound, InvalidParameterValue for a Source that is none. */
export async function describeParameters(
  { database }: ControlContext,
  input: Input<'DescribeCacheParameters'>,
): Promise<Output<'DescribeCacheParameters'>> {
  const group = await existingParameterGroup(database, input.CacheParameterGroupName);
  const source = input.Source === '' ? undefined : input.Source;
  if (source !== undefined && !sources.includes(source)) {
    throw serviceError('InvalidParameterValueException', `Source must be one of ${sources.join(', ')}.`);
  }
  const shown = group.family.parameters
    .map((parameter) => showParameter(parameter, group))
    .filter((each) => source === undefined || each.Source === source);
  const { items, ...marker } = pageOf(shown, input, ({ ParameterName }) => ParameterName!);
  return {
    Parameters: [...items],
    CacheNodeTypeSpecificParameters:
      source === undefined || source === 'system' ? byNodeType(group.family) : [],
    ...marker,
  };
}

/** @throws ServiceError InvalidParameterValue for a family that is not there. */
export async function describeEngineDefaults(
  input: Input<'DescribeEngineDefaultParameters'>,
): Promise<Output<'DescribeEngineDefaultParameters'>> {
  const family = parameterFamilies().get(input.CacheParameterGroupFamily.toLowerCase());
  if (family === undefined) throw unknownFamily(input.CacheParameterGroupFamily);
  const shown = family.parameters.map((parameter) => showParameter(parameter));
  const { items, ...marker } = pageOf(shown, input, ({ ParameterName }) => ParameterName!);
  return {
    EngineDefaults: {
      CacheParameterGroupFamily: family.family,
      Parameters: [...items],
      CacheNodeTypeSpecificParameters: byNodeType(family),
      ...marker,
    },
  };
}

function showParameter(parameter: FamilyParameter, group?: ParameterGroup): ShownParameter {
  const set = group?.settings[parameter.name];
  return {
    ParameterName: parameter.name,
    ParameterValue: set ?? parameter.value,
    Description: parameter.description,
    Source: set === undefined ? parameter.source : group?.isDefault ? 'system' : 'user',
    DataType: parameter.dataType,
    ...(parameter.allowedValues !== undefined && { AllowedValues: parameter.allowedValues }),
    IsModifiable: parameter.modifiable,
    MinimumEngineVersion: parameter.minimumEngineVersion,
    ChangeType: parameter.changeType,
  };
}

/** What the node type decides. */
function byNodeType(family: ParameterFamily): ByNodeType[] {
  const common = {
    Source: 'system',
    DataType: 'integer',
    IsModifiable: false,
    MinimumEngineVersion: family.parameters[0]!.minimumEngineVersion,
    ChangeType: 'requires-reboot' as const,
  };
  const values = (of: (type: { maxmemoryBytes: number; vcpus: number }) => number) =>
    [...nodeTypes.values()].map((type) => ({ CacheNodeType: type.name, Value: String(of(type)) }));
  if (family.engine !== 'memcached') {
    return [
      {
        ...common,
        ParameterName: 'maxmemory',
        Description: "The node's memory in bytes, of which reserved-memory-percent is not used for data.",
        CacheNodeTypeSpecificValues: values(({ maxmemoryBytes }) => maxmemoryBytes),
      },
    ];
  }
  return [
    {
      ...common,
      ParameterName: 'max_cache_memory',
      Description: 'Memory for items, in megabytes.',
      CacheNodeTypeSpecificValues: values(({ maxmemoryBytes }) => Math.floor(maxmemoryBytes / 2 ** 20)),
    },
  ];
}

/** The versions that can run here: Memcached's whole, of the others the newest of each line, as ElastiCache has them. */
export async function describeEngineVersions(
  { engines }: ControlContext,
  input: Input<'DescribeCacheEngineVersions'>,
): Promise<Output<'DescribeCacheEngineVersions'>> {
  const newestFirst = (await engines.list()).sort((a, b) => compareVersions(b.version, a.version));
  const wanted = newestFirst
    .filter(({ engine }) => input.Engine === undefined || engine === input.Engine.toLowerCase())
    .filter(
      ({ version }) => input.EngineVersion === undefined || versionMatches(version, input.EngineVersion),
    )
    .filter(
      ({ engine, version }) =>
        input.CacheParameterGroupFamily === undefined ||
        familyName(engine, version) === input.CacheParameterGroupFamily.toLowerCase(),
    );
  const seen = new Map(
    wanted.reverse().map((build) => [`${build.engine} ${shownVersion(build.engine, build.version)}`, build]),
  );
  const shown = [...seen.entries()]
    .map(([key, build]) => ({ key, ...build }))
    .filter(({ engine, version }) => input.DefaultOnly !== true || isDefault(newestFirst, engine, version))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const { items, ...marker } = pageOf(shown, input, ({ key }) => key);
  return {
    CacheEngineVersions: items.map(({ engine, version }) => ({
      Engine: engine,
      EngineVersion: shownVersion(engine, version),
      CacheParameterGroupFamily: familyName(engine, version),
      CacheEngineDescription: engineTraits[engine].title,
      CacheEngineVersionDescription: `${engineTraits[engine].title} version ${releaseOf(version)}`,
    })),
    ...marker,
  };
}

/** What a request without EngineVersion gets: the newest here. */
function isDefault(
  newestFirst: readonly { readonly engine: EngineName; readonly version: string }[],
  engine: EngineName,
  version: string,
): boolean {
  return newestFirst.find((build) => build.engine === engine)?.version === version;
}
