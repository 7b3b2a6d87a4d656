/** A table, an engine, processes with held loaders, and for Larder the feed: the stage of races and stampedes. */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import pg from 'pg';
import { startEngine } from '../../testing/engine.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { defaultBoundMs } from '../subjects/larder.ts';
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { HeldLoaderStart } from './held-loader-worker.ts';
import { InvalidatorPair } from './invalidator-pair.ts';

export interface BenchShop {
  readonly pool: pg.Pool;
  readonly table: string;
  readonly workers: readonly WorkerProcess[];
  /** Resolves when the feed's invalidation of everything committed so far is confirmed. */
  untilFeedApplied(): Promise<void>;
  close(): Promise<void>;
}

export interface BenchShopOptions {
  readonly postgres: PostgresAddress;
  readonly subject: string;
  readonly watched: boolean;
  readonly processes: number;
  readonly rows: number;
  /** Must be new on this database. */
  readonly table: string;
}

export async function openBenchShop(options: BenchShopOptions): Promise<BenchShop> {
  const { postgres, subject, watched, processes, rows, table } = options;
  const engine = await startEngine('valkey');
  const { host, port } = engine;
  const pool = new pg.Pool({ ...postgres, max: 20 });
  pool.on('error', () => {});
  await pool.query(`CREATE TABLE ${table} (id int PRIMARY KEY, version int NOT NULL)`);
  await pool.query(`INSERT INTO ${table} SELECT i, 1 FROM generate_series(1, ${rows}) i`);
  const invalidators = new InvalidatorPair({
    engine: { host, port },
    postgres,
    table,
    boundMs: defaultBoundMs,
  });
  if (watched) await invalidators.start();
  const start: HeldLoaderStart = { subject, engine: { host, port }, postgres, table, watched };
  const workers = await Promise.all(
    Array.from({ length: processes }, () =>
      startWorker({ file: 'bench/consistency/held-loader-worker.js', start }),
    ),
  );
  return {
    pool,
    table,
    workers,
    async untilFeedApplied() {
      const { rows: found } = await pool.query("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn AS at");
      const position = BigInt(found[0].at);
      // What is applied is confirmed through a commit's end; the log may go on a little behind it.
      await waitFor(
        () => invalidators.applied(),
        (applied) => applied >= position,
        { what: 'the feed has applied every commit', everyMs: 1 },
      );
    },
    async close() {
      await Promise.all([...workers.map((worker) => worker.kill()), invalidators.killAll()]);
      if (watched) await dropSlot(pool, table);
      await pool.end();
      await engine.stop();
    },
  };
}

/** Its consumer is dead, but the server may need a moment to notice. */
export async function dropSlot(pool: pg.Pool, slot: string): Promise<void> {
  await waitFor(
    () =>
      pool.query(
        'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      ),
    () => true,
    { what: `slot ${slot} is free`, everyMs: 50 },
  );
}
