/** The nouns of a parameter group, and the default ones, which exist without being written down. */
import { engineTraits } from '@larder/engine/engine';
import {
  type FamilyParameter,
  type ParameterFamily,
  parameterFamilies,
  parametersOf,
} from '@larder/engine/parameters/family';

export interface ParameterGroup {
  readonly name: string;
  readonly family: ParameterFamily;
  readonly description: string;
  /** Parameter name -> value in the engine's normal form, for those that differ from the family or were set. */
  readonly settings: Readonly<Record<string, string>>;
  /** One that always exists and never changes. */
  readonly isDefault: boolean;
}

/** `default.valkey9`, `default.valkey9.cluster.on` and so on, for every family. */
export function defaultParameterGroups(): ParameterGroup[] {
  return [...parameterFamilies().values()].flatMap((family) => {
    const group = {
      name: `default.${family.family}`,
      family,
      description: `Default parameter group for ${family.family}`,
      settings: {},
      isDefault: true,
    };
    if (!engineTraits[family.engine].replicates) return [group];
    return [
      group,
      {
        ...group,
        name: `${group.name}.cluster.on`,
        description: `Customized default parameter group for ${family.family} with cluster mode on`,
        settings: { 'cluster-enabled': 'yes' },
      },
    ];
  });
}

export function parameterOf({ family }: ParameterGroup, name: string): FamilyParameter | undefined {
  return family.parameters.find((each) => each.name === name);
}

/** What holds for each parameter: for one version, or for all the family knows. */
export function valuesOf(group: ParameterGroup, version?: string): Map<string, string> {
  const parameters = version === undefined ? group.family.parameters : parametersOf(group.family, version);
  return new Map(parameters.map(({ name, value }) => [name, group.settings[name] ?? value]));
}

export function wantsClusterMode(group: ParameterGroup): boolean {
  return valuesOf(group).get('cluster-enabled') === 'yes';
}
