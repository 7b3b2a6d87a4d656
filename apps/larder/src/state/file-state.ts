/** The state in a file of the data directory, which one service at a time has open. */
import { dirname, join } from 'node:path';
import { connectDatabase } from '@larder/control/database/connect';
import { beginTerm } from '@larder/control/database/leadership';
import { connectLogFile } from '@larder/control/log-store/tables';
import { connectMetricFile } from '@larder/control/metric/tables';
import type { HeldState } from './held-state.ts';

/** @throws StateInUse when another service has it. */
export async function holdFile(file: string): Promise<HeldState> {
  const database = connectDatabase(file);
  // Who has the state has this one too.
  const metricDatabase = connectMetricFile(join(dirname(file), 'metrics.db'));
  const logDatabase = connectLogFile(join(dirname(file), 'logs.db'));
  return {
    database,
    metricDatabase,
    logDatabase,
    term: await beginTerm(database),
    // The lock on the file goes with the process.
    lost: new Promise(() => {}),
    async release() {
      await logDatabase.destroy();
      await metricDatabase.destroy();
      await database.destroy();
    },
  };
}
