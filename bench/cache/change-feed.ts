/**
 * Case `change-feed`: how many row changes one invalidator can apply, and what a huge transaction does to it. A
 * backlog is written while nobody consumes; then the consumer's time, and its CPU time, until all of it is
 * applied to the shared tier. The rate per second of CPU is what one core can do; the server decodes the log on
 * the same machine, so the rate by the clock is lower.
 */
import pg from 'pg';
import { startEngine } from '../../testing/engine.ts';
import { startTestPostgres } from '../../testing/postgres.ts';
import { judge } from '../bar.ts';
import { nowMs, sleep } from '../monotonic.ts';
import { progress } from '../run-report.ts';
import { shuffled, spreadOf } from '../statistics.ts';
import { figure, spreadText, table } from '../table.ts';
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { BenchCase } from './bench-case.ts';
import type { Drained, FeedStart, FeedState } from './feed-worker.ts';

const tableName = 'feed';
const publication = 'feed';
const rounds = 5;
const rows = 10_000;
/** Below what the invalidator queues before it would rather forget everything. */
const mostBacklog = 40_000;
const hugeRows = 500_000;
const hugeTimeoutMs = 60_000;
const consumers = ['larder', 'pg-logical-replication'] as const;

type Consumer = (typeof consumers)[number];

interface FeedRate {
  readonly consumer: Consumer;
  readonly rowsPerTransaction: number;
  readonly perCpuSecond: number[];
  readonly perSecond: number[];
}

export const changeFeed: BenchCase = {
  name: 'change-feed',
  purpose: `row changes applied by one invalidator, and a transaction of ${figure(hugeRows)} rows`,
  async run({ seconds, random }) {
    const [engine, postgres] = await Promise.all([
      startEngine('valkey'),
      startTestPostgres({ max_wal_size: '4GB', checkpoint_timeout: '1h', shared_buffers: '128MB' }),
    ]);
    const workers = new Map<Consumer, WorkerProcess>();
    const pool = new pg.Pool({ ...postgres.address, max: 3 });
    pool.on('error', () => {});
    try {
      await pool.query(
        `CREATE TABLE ${tableName} (id int PRIMARY KEY, version int, a text, b text, c text, d text)`,
      );
      const fill = `repeat('a', 40), repeat('b', 40), repeat('c', 40), repeat('d', 40)`;
      await pool.query(`INSERT INTO ${tableName} SELECT i, 1, ${fill} FROM generate_series(1, ${rows}) i`);
      await pool.query(
        `CREATE PUBLICATION ${publication} FOR TABLE ${tableName} WITH (publish_via_partition_root = true)`,
      );
      for (const consumer of consumers) {
        const slot = consumer === 'larder' ? 'feed_larder' : 'feed_peer';
        await pool.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
        const start: FeedStart = {
          ...{ consumer, engine: { host: engine.host, port: engine.port }, postgres: postgres.address },
          ...{ table: tableName, slot, publication },
        };
        workers.set(consumer, await startWorker({ file: 'bench/cache/feed-worker.js', start }));
      }
      const backlog = Math.min(mostBacklog, Math.round(seconds * 2_000));
      const rates: FeedRate[] = [];
      for (const rowsPerTransaction of [1, 10]) {
        rates.push(...(await measureRates(pool, workers, { rowsPerTransaction, backlog, random })));
      }
      const huge = await measureHuge(pool, workers.get('larder')!);
      const ours = (rowsPerTransaction: number): number[] =>
        rates.find((rate) => rate.consumer === 'larder' && rate.rowsPerTransaction === rowsPerTransaction)!
          .perCpuSecond;
      return {
        text: [
          table(
            ['consumer', 'rows per transaction', 'row changes per CPU second', 'by the clock'],
            rates.map(({ consumer, rowsPerTransaction, perCpuSecond, perSecond }) => [
              consumer === 'larder' ? 'larder, applied to Valkey' : 'pg-logical-replication, decoded only',
              ...[String(rowsPerTransaction), spreadText(spreadOf(perCpuSecond))],
              spreadText(spreadOf(perSecond)),
            ]),
          ),
          `${figure(hugeRows)} rows in one transaction: current again (applied, and a heartbeat younger than 1 s)`,
          `${figure(huge.currentMs)} ms after its commit, ${huge.epochs} times everything was forgotten, peak memory ` +
            `of the invalidator ${figure(huge.peakRssBytes / 2 ** 20)} MiB`,
        ].join('\n'),
        bars: [
          ...[1, 10].map((each) =>
            judge({
              ...{ name: `row changes per core and second, ${each} per transaction`, better: 'higher' },
              ...{ limit: 20_000, unit: '/s', values: ours(each) },
            }),
          ),
          judge({
            ...{
              name: `current again after ${figure(hugeRows)} rows`,
              better: 'lower',
              limit: 10_000,
              unit: 'ms',
            },
            values: [huge.currentMs],
          }),
        ],
        numbers: { rates, huge },
      };
    } finally {
      await Promise.all([...workers.values()].map((worker) => worker.kill()));
      await pool.end();
      await Promise.all([engine.stop(), postgres.remove()]);
    }
  },
};

async function measureRates(
  pool: pg.Pool,
  workers: ReadonlyMap<Consumer, WorkerProcess>,
  options: { readonly rowsPerTransaction: number; readonly backlog: number; readonly random: () => number },
): Promise<FeedRate[]> {
  const { rowsPerTransaction, backlog, random } = options;
  const rates = consumers.map(
    (consumer): FeedRate => ({ consumer, rowsPerTransaction, perCpuSecond: [], perSecond: [] }),
  );
  // One round for the compilers, and for the state in the engine.
  for (let round = -1; round < rounds; round += 1) {
    const target = await writeBacklog(pool, backlog, rowsPerTransaction);
    for (const { consumer, perCpuSecond, perSecond } of shuffled(rates, random)) {
      const drained = await workers.get(consumer)!.call<Drained>('drain', target);
      if (round < 0) continue;
      const { changes, elapsedMs, cpuMicros, epochs } = drained;
      // Whoever forgets everything is done quickly.
      if (epochs > 0 || changes < backlog) {
        throw new Error(`${consumer} took ${changes} of ${backlog} changes, and began ${epochs} epochs.`);
      }
      perCpuSecond.push((1e6 * changes) / cpuMicros);
      perSecond.push((1_000 * changes) / elapsedMs);
    }
    if (round >= 0) progress(`${rowsPerTransaction} rows per transaction: ${round + 1} of ${rounds} rounds`);
  }
  return rates;
}

/** Returns a log position that is reached once all of it is applied. */
async function writeBacklog(pool: pg.Pool, backlog: number, rowsPerTransaction: number): Promise<bigint> {
  const client = await pool.connect();
  try {
    // Nobody reads these rows; how soon they are on disk is not what is measured.
    await client.query('SET synchronous_commit = off');
    const transactions = Math.ceil(backlog / rowsPerTransaction);
    await client.query(`DO $$ BEGIN
      FOR i IN 0..${transactions - 1} LOOP
        FOR j IN 0..${rowsPerTransaction - 1} LOOP
          UPDATE ${tableName} SET version = version + 1 WHERE id = 1 + (i * ${rowsPerTransaction} + j) % ${rows};
        END LOOP;
        COMMIT;
      END LOOP;
    END $$`);
    await client.query('SET synchronous_commit = on');
    // The last commit takes the others to disk with it; its record begins after this position.
    const { rows: found } = await client.query("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS at");
    await client.query(`UPDATE ${tableName} SET version = version + 1 WHERE id = 1`);
    return BigInt(found[0].at) + 1n;
  } finally {
    client.release();
  }
}

async function measureHuge(
  pool: pg.Pool,
  worker: WorkerProcess,
): Promise<{ readonly currentMs: number; readonly epochs: number; readonly peakRssBytes: number }> {
  progress(`a transaction of ${figure(hugeRows)} rows`);
  await worker.call('begin');
  const fill = `repeat('a', 40), repeat('b', 40), repeat('c', 40), repeat('d', 40)`;
  const { rows: found } = await pool.query("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS at");
  const before = BigInt(found[0].at);
  await pool.query(
    `INSERT INTO ${tableName} SELECT i, 1, ${fill} FROM generate_series(${rows + 1}, ${rows + hugeRows}) i`,
  );
  const committedMs = nowMs();
  const { rows: after } = await pool.query("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn AS at");
  const position = BigInt(after[0].at);
  if (position <= before) throw new Error('The transaction left nothing in the log.');
  for (;;) {
    const { applied, heartbeatAgeMs, epochs, peakRssBytes } = await worker.call<FeedState>('state');
    const currentMs = nowMs() - committedMs;
    const current = applied >= position && heartbeatAgeMs < 1_000;
    if (current || currentMs > hugeTimeoutMs) {
      await worker.call('end');
      return { currentMs: current ? currentMs : Number.POSITIVE_INFINITY, epochs, peakRssBytes };
    }
    await sleep(20);
  }
}
