/** Values as a request brings them, checked against the family and, where an engine can be asked, by the engine. */
import { type ServiceError, serviceError } from '@larder/contract/errors';
import { compareVersions, engineTraits } from '@larder/engine/engine';
import { isAllowed } from '@larder/engine/parameters/allowed-values';
import { directiveOf, fromDirective, toDirectives } from '@larder/engine/parameters/directives';
import { familyName } from '@larder/engine/parameters/family';
import type { EngineStore } from '@larder/engine/store/engine-store';
import type { ScratchEngines } from '@larder/fleet/scratch-engine';
import { invalidValue } from '../request/refusals.ts';
import { type ParameterGroup, parameterOf, valuesOf } from './parameter-group.ts';

/** Longer than any value has to be. */
const longestValue = 1_024;

/** @throws ServiceError InvalidParameterValue for a name the family does not have. */
export function existingParameter(group: ParameterGroup, name: string) {
  const parameter = parameterOf(group, name);
  if (parameter === undefined) throw invalidValue(`Parameter ${shown(name)} doesn't exist`);
  return parameter;
}

/**
 * The values in the form in which the engine shows them. What takes effect only when a process starts can't be tried:
 * there the family's bounds decide, and the value is stored as it came.
 * @throws ServiceError InvalidParameterValue, naming the parameter; InvalidParameterCombination when no engine of the
 *   family is installed that could be asked.
 */
export async function normaliseSettings(
  { scratch, engines }: { readonly scratch: ScratchEngines; readonly engines: EngineStore },
  group: ParameterGroup,
  wanted: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const normal = new Map<string, string>();
  const asked = new Map<string, string>();
  for (const [name, value] of wanted) {
    const parameter = existingParameter(group, name);
    if (!parameter.modifiable) throw invalidValue(`The parameter ${name} cannot be modified.`);
    if (value.length > longestValue || !isAllowed(parameter, value)) {
      const allowed = parameter.allowedValues;
      throw invalidValue(
        `The value of parameter ${name} is not valid` +
          (allowed === undefined ? '.' : `; it must be one of ${allowed}.`),
      );
    }
    normal.set(name, value);
    if (directiveOf(name) !== undefined && parameter.changeType === 'immediate') asked.set(name, value);
  }
  if (asked.size === 0 || !engineTraits[group.family.engine].replicates) return normal;
  for (const [name, value] of await askEngine({ scratch, engines }, group, asked)) {
    if (wanted.has(name)) normal.set(name, value);
  }
  return normal;
}

async function askEngine(
  { scratch, engines }: { readonly scratch: ScratchEngines; readonly engines: EngineStore },
  group: ParameterGroup,
  asked: ReadonlyMap<string, string>,
): Promise<[parameter: string, value: string][]> {
  const { engine, family } = group.family;
  const version = (await engines.list())
    .filter((build) => build.engine === engine && familyName(engine, build.version) === family)
    .map((build) => build.version)
    .sort(compareVersions)
    .at(-1);
  if (version === undefined) {
    throw serviceError(
      'InvalidParameterCombinationException',
      `No engine of family ${family} is installed here that could check the values.`,
      { hint: `Run "larder engines install ${engine} ${group.family.lines[0]}".` },
    );
  }
  const names = new Set([...asked.keys()].map((name) => directiveOf(name)!));
  // Other parts of a directive as they are: the engine takes it as a whole.
  const all = toDirectives(new Map([...valuesOf(group, version), ...asked]));
  const words = [...names].flatMap((name) => [name, all.get(name)!]);
  const [set, ...gets] = await scratch.ask(engine, version, [
    ['CONFIG', 'SET', ...words],
    ...[...names].map((name) => ['CONFIG', 'GET', name]),
  ]);
  if (set?.ok !== true) throw refused(set?.error ?? 'no answer', asked);
  return gets.flatMap((reply) => {
    const [directive, value] = reply.ok ? (reply.value as [string, string]) : [];
    return directive === undefined || value === undefined ? [] : fromDirective(directive, value);
  });
}

/** "ERR CONFIG SET failed (possibly related to argument 'x') - why" */
function refused(error: string, asked: ReadonlyMap<string, string>): ServiceError {
  const match = /argument '([^']*)'\) - (.*)$/.exec(error);
  const parameter = [...asked.keys()].find((name) => directiveOf(name) === match?.[1]);
  return invalidValue(
    parameter === undefined
      ? `The engine does not take these values: ${error}`
      : `The value of parameter ${parameter} is not valid: ${match?.[2]}`,
  );
}

/** A name as the request had it, bounded: it comes back in the message. */
function shown(name: string): string {
  return name.slice(0, 100);
}
