/** A parameter family from what its engines tell and what stands in `parameters/curation.ts`. */
import { compareVersions, type EngineName, versionLine } from '@larder/engine/engine';
import {
  bufferClasses,
  bufferParts,
  type Curated,
  curated,
  firstVersions,
  isListed,
  pseudoParameters,
} from '@larder/engine/parameters/curation';
import { fromDirective } from '@larder/engine/parameters/directives';
import type { FamilyParameter, ParameterFamily } from '@larder/engine/parameters/family';
import { memcachedArguments, memcachedFixed, memcachedParameters } from '@larder/engine/parameters/memcached';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import { type ReadDirective, readDirectives } from './read-engine.ts';
import { memcachedSettings } from './read-memcached.ts';

/** Which families there are, and of which version lines. */
export const families: readonly Pick<ParameterFamily, 'family' | 'engine' | 'lines'>[] = [
  { family: 'valkey9', engine: 'valkey', lines: ['9.1'] },
  { family: 'valkey8', engine: 'valkey', lines: ['8.1'] },
  { family: 'redis7', engine: 'redis', lines: ['7.0'] },
  { family: 'memcached1.6', engine: 'memcached', lines: ['1.6'] },
];

/** @param builds one for each line of the family, oldest first. */
export async function buildFamily(
  { family, engine, lines }: (typeof families)[number],
  builds: readonly EngineBuild[],
  scratch: ScratchEngines,
): Promise<ParameterFamily> {
  const base = engine === 'memcached' ? `${lines[0]}.0` : `${/\d+/.exec(family)![0]}.0.0`;
  if (engine === 'memcached') {
    return { family, engine, lines, parameters: await readMemcached(builds.at(-1)!, base) };
  }
  const known = new Map<string, FamilyParameter>();
  for (const [index, build] of builds.entries()) {
    const first = index === 0 ? base : `${versionLine(build.version)}.0`;
    const wanted = (name: string) => name === bufferDirective || isListed(engine, name);
    const directives = await readDirectives(scratch, build, wanted);
    for (const parameter of directives.flatMap((each) => fromEngine(engine, each, first))) {
      const before = known.get(parameter.name);
      const now = {
        ...parameter,
        minimumEngineVersion: before?.minimumEngineVersion ?? parameter.minimumEngineVersion,
      };
      if (before !== undefined && JSON.stringify(before) !== JSON.stringify(now)) {
        throw new Error(
          `${parameter.name} differs within ${family}; a family has one default for all its lines.`,
        );
      }
      known.set(parameter.name, now);
    }
  }
  for (const [name, { type, ...rest }] of Object.entries(pseudoParameters)) {
    known.set(name, {
      name,
      value: rest.value,
      description: rest.description,
      source: 'system',
      dataType: type,
      allowedValues: rest.allowedValues,
      modifiable: true,
      minimumEngineVersion: base,
      changeType: name === 'cluster-enabled' ? 'requires-reboot' : 'immediate',
    });
  }
  return { family, engine, lines, parameters: sorted([...known.values()]) };
}

const bufferDirective = 'client-output-buffer-limit';
/** Bounds of the parts, which the engine does not tell: the largest file offset, the largest int. */
const bufferBounds: Readonly<Record<(typeof bufferParts)[number], string>> = {
  'hard-limit': '0-9223372036854775807',
  'soft-limit': '0-9223372036854775807',
  'soft-seconds': '0-2147483647',
};

/** Larder asks nodes for their state as such a client; with less than this it could not. */
const normalBounds: typeof bufferBounds = {
  ...bufferBounds,
  'hard-limit': '0,1048576-9223372036854775807',
  'soft-limit': '0,1048576-9223372036854775807',
};

function fromEngine(engine: EngineName, directive: ReadDirective, first: string): FamilyParameter[] {
  if (directive.name !== bufferDirective)
    return [completed(engine, directive, curated[directive.name]!, first)];
  const values = new Map(fromDirective(directive.name, directive.value));
  return bufferClasses.flatMap((each) =>
    bufferParts.map((part) => {
      const name = `${bufferDirective}-${each}-${part}`;
      const read = { ...directive, name, value: values.get(name)!, dataType: 'integer' as const };
      const allowedValues = each === 'normal' ? normalBounds[part] : bufferBounds[part];
      return completed(engine, { ...read, allowedValues }, curated[name]!, first);
    }),
  );
}

function completed(engine: EngineName, read: ReadDirective, known: Curated, first: string): FamilyParameter {
  const allowed = known.allowedValues ?? read.allowedValues;
  const value = known.value ?? read.value;
  const since = firstVersions[`${engine} ${read.name}`];
  return {
    name: read.name,
    value,
    description: known.description,
    source: known.fixed === true || value !== read.value ? 'system' : 'engine-default',
    dataType: read.dataType,
    ...(allowed !== undefined && { allowedValues: allowed }),
    modifiable: known.fixed !== true,
    minimumEngineVersion: since !== undefined && compareVersions(since, first) > 0 ? since : first,
    changeType: read.changeType,
  };
}

async function readMemcached(build: EngineBuild, base: string): Promise<FamilyParameter[]> {
  const settings = await memcachedSettings(build, memcachedArguments({}));
  const common = { minimumEngineVersion: base, changeType: 'requires-reboot' as const };
  return sorted([
    ...Object.entries(memcachedParameters).map(([name, each]): FamilyParameter => {
      const shown = settings.get(each.setting);
      if (shown === undefined) throw new Error(`memcached ${build.version} has no setting ${each.setting}.`);
      return {
        name,
        value: each.read(shown),
        description: each.description,
        source: 'engine-default',
        dataType: each.dataType,
        allowedValues: each.allowedValues,
        modifiable: true,
        ...common,
      };
    }),
    ...Object.entries(memcachedFixed).map(
      ([name, { description, value }]): FamilyParameter => ({
        name,
        value,
        description,
        source: 'system',
        dataType: 'integer',
        modifiable: false,
        ...common,
      }),
    ),
  ]);
}

function sorted(parameters: FamilyParameter[]): FamilyParameter[] {
  return parameters.sort((a, b) => (a.name < b.name ? -1 : 1));
}
