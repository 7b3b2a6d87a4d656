import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stateContract } from '../../../../testing/state-contract.ts';
import { readReplicationGroups } from '../replication-group/store.ts';
import { connectDatabase, type Database, StateInUse } from './connect.ts';

let folder: string;
let database: Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-state-'));
  database = connectDatabase(join(folder, 'made', 'state.db'));
});

afterEach(async () => {
  await database.destroy();
  rmSync(folder, { recursive: true });
});

// That the owner's end sets it free is seen in e2e/: libsql lets go of the file with the process.
test('has one owner; a second is told so, and the first goes on', async () => {
  expect(() => connectDatabase(join(folder, 'made', 'state.db'))).toThrow(StateInUse);
  expect(await readReplicationGroups(database)).toEqual([]);
});

stateContract(() => database);
