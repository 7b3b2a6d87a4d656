/** One history: processes that read and write, saboteurs, a witness at the database, and the check of it all. */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import pg from 'pg';
import { nowMs, sleep } from '../monotonic.ts';
import { progress } from '../run-report.ts';
import { seededRandom } from '../seeded-random.ts';
import { shuffled } from '../statistics.ts';
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { AppCounts, AppStart } from './app-worker.ts';
import { dropSlot } from './bench-shop.ts';
import { checkHistory, type Verdict } from './check-history.ts';
import { startEngineFront } from './engine-front.ts';
import { cacheFaults, databaseFaults, type Fault, type Scene } from './faults.ts';
import type { ReadBatch, Sighting, Span, WriteRecord } from './history.ts';
import { InvalidatorPair } from './invalidator-pair.ts';
import { ItemTable, keyCount } from './item-table.ts';

export interface HistoryOptions {
  readonly postgres: PostgresAddress;
  /** 'larder' or a peer's name. Faults are for Larder alone. */
  readonly subject: string;
  readonly seconds: number;
  readonly seed: number;
  readonly boundMs: number;
  /** Of the table, the slot and the namespace; must be new. */
  readonly name: string;
}

export interface FaultCount {
  done: number;
  failed: number;
  /** Of all of them, with what it took to heal. */
  lastedMs: number;
}

export interface HistoryReport {
  readonly subject: string;
  readonly seconds: number;
  readonly seed: number;
  readonly verdict: Verdict;
  readonly writes: number;
  /** Commits whose answer was lost. */
  readonly unknownWrites: number;
  readonly keysStaleAtTheEnd: number;
  readonly failedReads: Readonly<Record<string, number>>;
  readonly loads: number;
  /** By name: how often it was done, and how often it could not be. */
  readonly faults: Readonly<Record<string, FaultCount>>;
  /** Larder only: until every process had every key in the cache again; null when that took too long. */
  readonly cachedAgainMs: number | null;
  readonly processes: readonly (object | undefined)[];
}

const witnessEveryMs = 20;
/** More than this in one transaction voids the cache; small, so that a bulk change does. */
const maxKeysPerTransaction = 20;
const recoveryTimeoutMs = 15_000;

export async function runHistory(options: HistoryOptions): Promise<HistoryReport> {
  const { postgres, subject, seconds, seed, boundMs, name } = options;
  const larder = subject === 'larder';
  const random = seededRandom(seed);
  const engine = await startEngineFront();
  const table = new ItemTable(postgres, name, 8);
  const admin = new pg.Pool({ ...postgres, max: 4, application_name: 'saboteur' });
  admin.on('error', () => {});
  const invalidators = new InvalidatorPair({
    ...{ engine: { host: engine.host, port: engine.port }, postgres, table: name },
    ...{ boundMs, maxKeysPerTransaction },
  });
  const apps: WorkerProcess[] = [];
  try {
    const writes = await table.create();
    const reads: ReadBatch[] = [];
    const lostConfirmations: Span[] = [];
    if (larder) await invalidators.start();
    await Promise.all(
      appStarts(options, engine, random).map(async (start) => {
        const app = await startWorker({ file: 'bench/consistency/app-worker.js', start });
        app.onEvent('reads', (batch: ReadBatch) => reads.push(batch));
        apps.push(app);
      }),
    );
    const witness = startWitness(admin, name);
    const scene: Scene = {
      ...{ engine, invalidators, table, admin, slot: name, random },
      record: (made) => writes.push(...made),
      loseConfirmations: (span) => lostConfirmations.push(span),
    };
    await Promise.all(apps.map((app) => app.call('run')));
    const untilMs = nowMs() + seconds * 1_000;
    const counts = new Map<string, FaultCount>();
    const lanes = larder ? [databaseFaults, cacheFaults] : [];
    await Promise.all([
      ...lanes.map((deck) => sabotage(deck, scene, { untilMs, counts })),
      report(subject, { untilMs, reads: () => reads.reduce((sum, { keys }) => sum + keys.length, 0) }),
      sleep(seconds * 1_000),
    ]);
    for (const app of apps) writes.push(...(await app.call<WriteRecord[]>('stopWrites')));
    await untilNothingHangs(admin, table);
    // Everything that was replaced was replaced longer ago than the bound: from here on only the truth will do.
    await sleep(boundMs + 2 * witnessEveryMs);
    const keysStaleAtTheEnd = await countStale(table, apps);
    const cachedAgainMs = larder ? await untilCached(apps) : null;
    const counted = await Promise.all(apps.map((app) => app.call<AppCounts>('counts')));
    const sightings = await witness.stop();
    const { acknowledgements } = invalidators;
    const verdict = checkHistory({ writes, sightings, acknowledgements, reads, lostConfirmations }, boundMs);
    return {
      ...{ subject, seconds, seed, verdict, keysStaleAtTheEnd, cachedAgainMs },
      writes: writes.length - keyCount,
      unknownWrites: writes.filter(({ returnedMs }) => Number.isNaN(returnedMs)).length,
      failedReads: addUp(counted.map(({ failedReads }) => failedReads)),
      loads: counted.reduce((sum, { loads }) => sum + loads, 0),
      faults: Object.fromEntries(counts),
      processes: counted.map(({ stats }) => stats),
    };
  } finally {
    await Promise.all([...apps.map((app) => app.kill()), invalidators.killAll()]);
    await dropSlot(admin, name);
    await Promise.all([table.pool.end(), admin.end(), engine.stop()]);
  }
}

/** Larder: two processes with near tiers, one without, and one whose far hits can be told apart. */
function appStarts(
  { postgres, subject, boundMs, name }: HistoryOptions,
  { host, port }: { readonly host: string; readonly port: number },
  random: () => number,
): AppStart[] {
  const common = { subject, engine: { host, port }, postgres, table: name, boundMs };
  const seed = (): number => Math.floor(random() * 2 ** 32);
  if (subject !== 'larder') {
    const peer = { ...common, near: true, readers: 3, writers: 2, invalidates: true };
    return [1, 2].map(() => ({ ...peer, seed: seed() }));
  }
  const app = { ...common, invalidates: false };
  return [
    { ...app, near: true, readers: 3, writers: 2, seed: seed() },
    { ...app, near: true, readers: 3, writers: 2, seed: seed() },
    { ...app, near: false, readers: 3, writers: 0, seed: seed() },
    { ...app, near: false, readers: 1, writers: 0, seed: seed() },
  ];
}

async function sabotage(
  deck: readonly Fault[],
  scene: Scene,
  run: { readonly untilMs: number; readonly counts: Map<string, FaultCount> },
): Promise<void> {
  const { random } = scene;
  for (const { name } of deck) run.counts.set(name, { done: 0, failed: 0, lastedMs: 0 });
  for (;;) {
    for (const { name, run: cause } of shuffled(deck, random)) {
      await sleep(100 + random() * 700);
      if (nowMs() > run.untilMs - 500) return;
      const count = run.counts.get(name)!;
      const beganMs = nowMs();
      try {
        await cause(scene);
        count.done += 1;
      } catch {
        // The other saboteur's work, most likely: its connection was cut.
        count.failed += 1;
      }
      count.lastedMs += nowMs() - beganMs;
    }
  }
}

/** Reads the states from the database itself, all the time. */
function startWitness(admin: pg.Pool, name: string): { stop(): Promise<Sighting[]> } {
  const sightings: Sighting[] = [];
  const newest = new Map<number, number>();
  let running = true;
  const looking = (async () => {
    while (running) {
      try {
        const { rows } = await admin.query(`SELECT id, version FROM ${name}_state`);
        const atMs = nowMs();
        for (const { id, version } of rows) {
          if (version === newest.get(id)) continue;
          newest.set(id, version);
          sightings.push({ key: id, state: version, atMs });
        }
      } catch {
        // Without an answer there is nothing to have seen.
      }
      await sleep(witnessEveryMs);
    }
  })();
  return {
    async stop() {
      running = false;
      await looking;
      return sightings;
    },
  };
}

/** No commit waits, nothing is prepared: the database has come to rest. */
async function untilNothingHangs(admin: pg.Pool, table: ItemTable): Promise<void> {
  await admin.query('ALTER SYSTEM SET synchronous_standby_names = DEFAULT');
  await admin.query('SELECT pg_reload_conf()');
  const { rows } = await admin.query('SELECT gid FROM pg_prepared_xacts');
  for (const { gid } of rows) await admin.query(`COMMIT PREPARED '${gid}'`);
  for (;;) {
    const { rows: busy } = await admin.query(
      `SELECT 1 FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL`,
    );
    if (busy.length === 0) break;
    await sleep(5);
  }
  await table.truth();
}

async function countStale(table: ItemTable, apps: readonly WorkerProcess[]): Promise<number> {
  const truth = await table.truth();
  let stale = 0;
  for (const app of apps) {
    const versions = await app.call<number[]>('readAll');
    for (const [index, { version }] of truth.entries()) if (versions[index] !== version) stale += 1;
  }
  return stale;
}

async function untilCached(apps: readonly WorkerProcess[]): Promise<number | null> {
  const beganMs = nowMs();
  for (const app of apps) {
    while ((await app.call<number>('cached')) < keyCount) {
      if (nowMs() - beganMs > recoveryTimeoutMs) return null;
      await sleep(20);
    }
  }
  return nowMs() - beganMs;
}

async function report(
  subject: string,
  { untilMs, reads }: { readonly untilMs: number; readonly reads: () => number },
): Promise<void> {
  for (;;) {
    const leftMs = untilMs - nowMs();
    if (leftMs <= 0) return;
    await sleep(Math.min(10_000, leftMs));
    progress(`${subject}: ${reads().toLocaleString('en-US')} reads`);
  }
}

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}
