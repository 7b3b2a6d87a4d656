/** The state in a file of the data directory, which one service at a time has open. */
import { connectDatabase } from '@larder/control/database/connect';
import { beginTerm } from '@larder/control/database/leadership';
import type { HeldState } from './held-state.ts';

/** @throws StateInUse when another service has it. */
export async function holdFile(file: string): Promise<HeldState> {
  const database = connectDatabase(file);
  return {
    database,
    term: await beginTerm(database),
    // The lock on the file goes with the process.
    lost: new Promise(() => {}),
    release: () => database.destroy(),
  };
}
