/** A real PostgreSQL for a test file, in a folder of its own. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgres } from '@larder/storefront/postgres/binaries';
import { type PostgresServer, startPostgres } from '@larder/storefront/postgres/server';
import { directories } from './config.ts';

export type { PostgresAddress, PostgresServer } from '@larder/storefront/postgres/server';

export interface TestPostgres extends PostgresServer {
  /** Stops the server and removes its folder. */
  remove(): Promise<void>;
}

/** @param settings as in postgresql.conf, for example `{ synchronous_standby_names: 'nobody' }`. */
export async function startTestPostgres(
  settings: Readonly<Record<string, string | number>> = {},
): Promise<TestPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'larder-test-postgres-'));
  await chmod(folder, 0o755);
  const server = await startPostgres({
    binaries: await findPostgres(join(directories.cache, 'postgresql')),
    dataDirectory: join(folder, 'data'),
    settings: { shared_buffers: '32MB', max_wal_size: '256MB', ...settings },
  });
  return {
    ...server,
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
