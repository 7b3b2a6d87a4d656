/** Before any test: the engines and databases that tests start must be here. Installs what is missing. */
import { join } from 'node:path';
import { engineNames } from '@larder/engine/engine';
import { engineStore } from '@larder/engine/store/engine-store';
import { findPostgres } from '@larder/storefront/postgres/binaries';
import { directories, searchPath } from './config.ts';
import { installMariadb } from './mariadb.ts';

export default async function setup(): Promise<void> {
  const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
  for (const engine of engineNames) await store.install(engine);
  // What is upgraded from.
  for (const version of ['8.1', '8.0']) await store.install('valkey', version);
  await findPostgres(join(directories.cache, 'postgresql'));
  // Only tests of its feed need it, and they say so themselves.
  await installMariadb().catch((error: Error) => console.warn(`No MariaDB: ${error.message}`));
}
