/** The harness itself, end to end and short: real processes, a real PostgreSQL, a real Valkey, ourselves alone. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../testing/postgres.ts';
import { rootFolder } from '../root-folder.ts';
import { defaultBoundMs } from '../subjects/larder.ts';
import { cacheFaults, databaseFaults } from './faults.ts';
import { proofBars, proofText, unknownParts } from './proof.ts';
import { runHistory } from './random-history.ts';
import { runRaces } from './stale-set-race.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  // Its processes run the build.
  const build = promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '-b'], {
    cwd: rootFolder,
  });
  [postgres] = await Promise.all([
    startTestPostgres({ max_prepared_transactions: 10, max_connections: 200 }),
    build,
  ]);
});
afterAll(() => postgres?.remove());

test('every schedule names parts that exist', () => {
  const faults = [...databaseFaults, ...cacheFaults].map(({ name }) => name);
  expect(new Set(faults).size).toBe(faults.length);
  expect(unknownParts(faults)).toEqual([]);
  expect(unknownParts(faults.slice(1))).not.toEqual([]);
});

test('a short history of ourselves: no violation, and everything was really tried', async () => {
  const seed = (Date.now() ^ (process.pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const options = { postgres: postgres.address, seed, seconds: 3 };
  const history = await runHistory({
    ...options,
    subject: 'larder',
    boundMs: defaultBoundMs,
    name: 'history',
  });
  expect(history.verdict.examples).toEqual([]);
  expect(history.verdict.reads).toBeGreaterThan(1_000);
  expect(history.verdict.farReads).toBeGreaterThan(10);
  expect(Object.values(history.faults).filter(({ done }) => done > 0).length).toBeGreaterThan(1);
  expect(history.keysStaleAtTheEnd).toBe(0);
  const race = await runRaces({
    ...{ postgres: postgres.address, subject: 'larder', races: 10, table: 'race' },
    invalidation: 'feed, before visibility',
  });
  expect(race.stale).toBe(0);
  const proof = { races: [race], stampedes: [], histories: [history] };
  const bars = proofBars(proof, { ...options, larder: true, peers: [], races: 10, rounds: 0 });
  for (const name of ['history: violations of "far"', 'stale-set race, feed, before visibility']) {
    expect(bars.find((bar) => bar.name === name)?.verdict).toBe('met');
  }
  const spoiled = { ...proof, races: [{ ...race, stale: 1 }] };
  expect(proofBars(spoiled, { ...options, larder: true, peers: [], races: 10, rounds: 0 })[0]?.verdict).toBe(
    'missed',
  );
  expect(proofText(proof)).toContain('Stale-set race');
});
