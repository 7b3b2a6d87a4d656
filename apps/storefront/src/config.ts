/** The only reader of the environment. */

export interface ShopDirectories {
  /** For what must survive and for what this run leaves behind. */
  readonly data: string;
  /** For programs that can be fetched again. */
  readonly cache: string;
}

export class MissingEnvironment extends Error {
  override name = 'MissingEnvironment';
}

/** @throws MissingEnvironment saying how to set it. */
export function shopDirectories(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ShopDirectories {
  return {
    data: wanted(environment, 'LARDER_DATA_DIR'),
    cache: wanted(environment, 'LARDER_CACHE_DIR'),
  };
}

/** What the scenario's own processes may see of the environment: nothing that could hold a secret. */
export function childEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'USER', 'XDG_CACHE_HOME', 'XDG_DATA_HOME'];
  return Object.fromEntries(
    [...names, 'LARDER_DATA_DIR', 'LARDER_CACHE_DIR'].flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function wanted(environment: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = environment[name];
  if (value === undefined || value === '') {
    throw new MissingEnvironment(
      `${name} is not set. Use "npm start" in the repository's root, which sets it, or set it to a directory ` +
        'that this user may write to.',
    );
  }
  return value;
}
