/** The only reader of the environment. */
import { join } from 'node:path';

export interface ShopDirectories {
  /** For what must survive and for what this run leaves behind. */
  readonly data: string;
  /** For programs that can be fetched again. */
  readonly cache: string;
}

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

export class MissingEnvironment extends Error {
  override name = 'MissingEnvironment';
}

/**
 * `LARDER_DATA_DIR` and `LARDER_CACHE_DIR`; else where the service keeps its own: the system's places for
 * root, the XDG folders for others.
 * @throws MissingEnvironment saying what to set, when there is no home directory either.
 */
export function shopDirectories(
  environment: EnvironmentVariables = process.env,
  uid: number | undefined = process.getuid?.(),
): ShopDirectories {
  const place = (variable: string, systemWide: string, xdg: string, below: readonly string[]): string => {
    const chosen = environment[variable];
    if (chosen !== undefined && chosen !== '') return chosen;
    if (uid === 0) return join(systemWide, 'larder');
    const base =
      environment[xdg] ?? (environment.HOME === undefined ? undefined : join(environment.HOME, ...below));
    if (base !== undefined) return join(base, 'larder');
    throw new MissingEnvironment(
      `Neither ${variable} nor HOME is set. Set ${variable} to a directory that this user may write to.`,
    );
  };
  return {
    data: place('LARDER_DATA_DIR', '/var/lib', 'XDG_DATA_HOME', ['.local', 'share']),
    cache: place('LARDER_CACHE_DIR', '/var/cache', 'XDG_CACHE_HOME', ['.cache']),
  };
}

/** What the scenario's own processes may see of the environment: nothing that could hold a secret. */
export function childEnvironment(
  directories: ShopDirectories,
  environment: EnvironmentVariables = process.env,
): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'USER'];
  const passed = names.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(passed),
    LARDER_DATA_DIR: directories.data,
    LARDER_CACHE_DIR: directories.cache,
  };
}

/** Its yearly notice about old Node versions would stand in the middle of the report; the version is pinned. */
export function silenceSdkNotice(environment: NodeJS.ProcessEnv = process.env): void {
  environment.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
}
