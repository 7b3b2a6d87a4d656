/** The state in a file of the data directory, which one service at a time has open. */
import { dirname, join } from 'node:path';
import { connectDatabase } from '@larder/control/database/connect';
import { beginTerm } from '@larder/control/database/leadership';
import { connectMetricFile } from '@larder/control/metric/tables';
import type { HeldState } from './held-state.ts';

/** @throws StateInUse when another service has it. */
export async function holdFile(file: string): Promise<HeldState> {
  const database = connectDatabase(file);
  // Who has the state has this one too.
  const metricDatabase = connectMetricFile(join(dirname(file), 'metrics.db'));
  return {
    database,
    metricDatabase,
    term: await beginTerm(database),
    // The lock on the file goes with the process.
    lost: new Promise(() => {}),
    async release() {
      await metricDatabase.destroy();
      await database.destroy();
    },
  };
}
