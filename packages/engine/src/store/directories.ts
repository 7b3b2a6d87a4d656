import { join } from 'node:path';

export interface Directories {
  /** What can be fetched again: engine builds, unpacked programs. */
  readonly cache: string;
  /** What must survive: the service's state, the nodes' folders. */
  readonly data: string;
}

/**
 * (pure) Where Larder keeps things: the operating system's places for root, the XDG folders for others.
 * `LARDER_CACHE_DIR` and `LARDER_DATA_DIR` override them.
 */
export function defaultDirectories(
  environment: Readonly<Record<string, string | undefined>>,
  uid: number | undefined,
): Directories {
  const home = environment.HOME ?? '/';
  const cache = uid === 0 ? '/var/cache' : (environment.XDG_CACHE_HOME ?? join(home, '.cache'));
  const data = uid === 0 ? '/var/lib' : (environment.XDG_DATA_HOME ?? join(home, '.local', 'share'));
  return {
    cache: environment.LARDER_CACHE_DIR ?? join(cache, 'larder'),
    data: environment.LARDER_DATA_DIR ?? join(data, 'larder'),
  };
}
