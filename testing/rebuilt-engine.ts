/** Two builds of one release, as Debian's packages rebuild it: what a patch is rehearsed with. */
import { join } from 'node:path';
import { isNewerBuild, releaseOf } from '@larder/engine/engine';
import type { EngineBuild } from '@larder/engine/store/engine-build';
import { engineStore } from '@larder/engine/store/engine-store';
import { directories, searchPath } from './config.ts';

/** In the archive's first and its latest list of this release, while it lasts. */
const firstRevision = '5:7.0.15-1~deb12u7';

/**
 * Installs them when they are not here.
 * @throws EngineUnavailable when the archive has no second one any more.
 */
export async function rebuiltRedis(): Promise<{ readonly older: EngineBuild; readonly newer: EngineBuild }> {
  const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
  const older = await store.install('redis', '7.0', { revision: firstRevision });
  const newer = await store.install('redis', '7.0', { revision: 'newest' });
  if (isNewerBuild(newer.version, older.version) && releaseOf(newer.version) === releaseOf(older.version)) {
    return { older, newer };
  }
  throw new Error(`The archive has no newer build of ${older.detail}; it has ${newer.detail}.`);
}
