/**
 * Parameter families: what may be set on an engine version, what it is by default and when a change takes effect.
 * The data is read from the engines themselves by `npm run families` and kept in `packages/engine/families/`.
 */
import { readFileSync } from 'node:fs';
import { compareVersions, type EngineName } from '../engine.ts';

export interface FamilyParameter {
  readonly name: string;
  /** The default, in the form in which the engine shows it. */
  readonly value: string;
  readonly description: string;
  /** `engine-default`: the value is the engine's own. `system`: it is ElastiCache's or Larder's. */
  readonly source: 'system' | 'engine-default';
  readonly dataType: 'string' | 'integer' | 'float' | 'boolean';
  /** `yes,no`, `0-100`, `0,20-2147483647`; missing where the engine alone knows. */
  readonly allowedValues?: string;
  readonly modifiable: boolean;
  readonly minimumEngineVersion: string;
  readonly changeType: 'immediate' | 'requires-reboot';
}

export interface ParameterFamily {
  readonly family: string;
  readonly engine: EngineName;
  /** Version lines it was read from. */
  readonly lines: readonly string[];
  readonly parameters: readonly FamilyParameter[];
}

const files = ['valkey9', 'valkey8', 'redis7', 'memcached1.6'] as const;
let loaded: ReadonlyMap<string, ParameterFamily> | undefined;

/** Every family by its name. */
export function parameterFamilies(): ReadonlyMap<string, ParameterFamily> {
  loaded ??= new Map(
    files.map((name) => {
      const file = new URL(`../../families/${name}.json`, import.meta.url);
      return [name, JSON.parse(readFileSync(file, 'utf8')) as ParameterFamily];
    }),
  );
  return loaded;
}

/** `valkey9`, `redis7`, `memcached1.6`: the family's name, whether or not there is one. */
export function familyName(engine: EngineName, version: string): string {
  const [major, minor] = version.split('.');
  return engine === 'memcached' ? `memcached${major}.${minor ?? '0'}` : `${engine}${major}`;
}

/** What of the family that version knows. */
export function parametersOf(family: ParameterFamily, version: string): readonly FamilyParameter[] {
  return family.parameters.filter((each) => compareVersions(version, each.minimumEngineVersion) >= 0);
}
