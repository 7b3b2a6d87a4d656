/**
 * The race that stale caches are made of, in forced order:
 *
 *   a loader reads version 1 → version 2 is committed → the invalidation is confirmed → the fill lands → read
 *
 * Whoever reads version 1 then reads it until something else ends the entry.
 */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import { sleep } from '../monotonic.ts';
import { defaultBoundMs } from '../subjects/larder.ts';
import type { WorkerProcess } from '../worker-process.ts';
import { type BenchShop, openBenchShop } from './bench-shop.ts';
import { holdCommits } from './commit-gap.ts';

/** Who invalidates: the process that loads, another one, or nobody (the feed alone brings the change). */
export type Invalidation = 'same process' | 'other process' | 'feed only' | 'feed, before visibility';

export interface RaceReport {
  readonly subject: string;
  readonly invalidation: Invalidation;
  readonly races: number;
  /** Races after which some process served version 1. */
  readonly stale: number;
}

export interface RaceOptions {
  readonly postgres: PostgresAddress;
  readonly subject: string;
  readonly invalidation: Invalidation;
  readonly races: number;
  readonly table: string;
}

const atOnce = 10;
/** Some libraries fill behind their caller's back. */
const settleMs = 40;

export async function runRaces(options: RaceOptions): Promise<RaceReport> {
  const { postgres, subject, invalidation, races, table } = options;
  const watched = invalidation.startsWith('feed');
  const shop = await openBenchShop({ postgres, subject, watched, processes: 2, rows: races, table });
  try {
    let stale = 0;
    for (let first = 1; first <= races; first += atOnce) {
      const keys = Array.from({ length: Math.min(atOnce, races - first + 1) }, (_, index) => first + index);
      stale += await (invalidation === 'feed, before visibility'
        ? raceVisibility(shop, keys)
        : raceFills(shop, keys, invalidation));
    }
    return { subject, invalidation, races, stale };
  } finally {
    await shop.close();
  }
}

async function raceFills(
  shop: BenchShop,
  keys: readonly number[],
  invalidation: Invalidation,
): Promise<number> {
  const { pool, table, workers, untilFeedApplied } = shop;
  const [loader, other] = workers as readonly [WorkerProcess, WorkerProcess];
  await loader.call('hold', keys);
  const loaded = new Promise<void>((resolve, reject) => {
    let left = keys.length;
    loader.onEvent('loaded', ({ version }: { version: number }) => {
      if (version !== 1) reject(new Error(`The race began with version ${version}.`));
      left -= 1;
      if (left === 0) resolve();
    });
  });
  const reading = keys.map((key) => loader.call<number>('get', key));
  await loaded;
  await pool.query(`UPDATE ${table} SET version = 2 WHERE id = ANY($1)`, [keys]);
  if (invalidation === 'feed only') await untilFeedApplied();
  else {
    const invalidator = invalidation === 'same process' ? loader : other;
    await Promise.all(keys.map((key) => invalidator.call('invalidate', key)));
  }
  for (const key of keys) await loader.call('release', key);
  await Promise.all(reading);
  await sleep(settleMs);
  return countOld(workers, keys);
}

/** The change is applied to the shared tier while nobody sees it yet; both processes read in between. */
async function raceVisibility(shop: BenchShop, keys: readonly number[]): Promise<number> {
  const { pool, table, workers, untilFeedApplied } = shop;
  for (const worker of workers) for (const key of keys) await worker.call('get', key);
  const letGo = await holdCommits(pool);
  let committed: Promise<unknown>;
  try {
    committed = pool.query(`UPDATE ${table} SET version = 2 WHERE id = ANY($1)`, [keys]);
    await untilWaiting(shop);
    await untilFeedApplied();
    for (const worker of workers) {
      const versions = await Promise.all(keys.map((key) => worker.call<number>('get', key)));
      if (versions.some((version) => version !== 1)) throw new Error('The change was visible too early.');
    }
  } finally {
    await letGo();
  }
  await committed;
  await sleep(defaultBoundMs);
  return countOld(workers, keys);
}

/** The update itself is in the log: its commit waits beside the probe's. */
async function untilWaiting({ pool, table }: BenchShop): Promise<void> {
  for (;;) {
    const { rows } = await pool.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE $1",
      [`UPDATE ${table} %`],
    );
    if (rows.length > 0) return;
    await sleep(1);
  }
}

async function countOld(workers: readonly WorkerProcess[], keys: readonly number[]): Promise<number> {
  let stale = 0;
  for (const key of keys) {
    const versions = await Promise.all(workers.map((worker) => worker.call<number>('get', key)));
    if (versions.some((version) => version !== 2)) stale += 1;
  }
  return stale;
}
