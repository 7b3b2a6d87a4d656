/**
 * Case `invalidation-latency`: from the moment at which a writer has its COMMIT back, how long can anybody still
 * be served the old value? All times are of one monotonic clock; a negative one means that the change was
 * applied before the writer had its answer. Writes come on a schedule that waits for nothing.
 */
import pg from 'pg';
import { startEngine } from '../../testing/engine.ts';
import { startTestPostgres } from '../../testing/postgres.ts';
import { judge } from '../bar.ts';
import { dropSlot } from '../consistency/bench-shop.ts';
import type { Acknowledgement } from '../consistency/history.ts';
import type { InvalidatorStart } from '../consistency/invalidator-worker.ts';
import { sleep } from '../monotonic.ts';
import { progress } from '../run-report.ts';
import { quantile, spreadOf } from '../statistics.ts';
import { defaultBoundMs } from '../subjects/larder.ts';
import { spreadText, table } from '../table.ts';
import { startWorker, type WorkerProcess } from '../worker-process.ts';
import type { BenchCase } from './bench-case.ts';
import type { LatencyWriterStart, TimedWrite, WriteRequest } from './latency-writer-worker.ts';
import type { Drop, NearWatchStart } from './near-watch-worker.ts';

const name = 'latency';
const keys = 200;
const perSecond = 50;
const rounds = 5;
const readers = 2;
/** After the last write: everything has arrived, or is missing for good. */
const drainMs = 500;

export const invalidationLatency: BenchCase = {
  name: 'invalidation-latency',
  purpose: `from COMMIT returned to no stale read possible, ms; ${perSecond} writes/s, ${readers} processes with near tiers`,
  async run({ seconds }) {
    const [engine, postgres] = await Promise.all([startEngine('valkey'), startTestPostgres()]);
    const workers: WorkerProcess[] = [];
    const pool = new pg.Pool({ ...postgres.address, max: 2 });
    pool.on('error', () => {});
    try {
      await pool.query(`CREATE TABLE ${name} (id int PRIMARY KEY, version int NOT NULL)`);
      await pool.query(`INSERT INTO ${name} SELECT i, 1 FROM generate_series(1, ${keys}) i`);
      const place = {
        ...{
          engine: { host: engine.host, port: engine.port },
          postgres: postgres.address,
          table: name,
          keys,
        },
      };
      const start: InvalidatorStart = { ...place, boundMs: defaultBoundMs };
      const feed = await startWorker({ file: 'bench/consistency/invalidator-worker.js', start });
      workers.push(feed);
      const watchStart: NearWatchStart = place;
      const watchers: WorkerProcess[] = [];
      for (let count = 0; count < readers; count += 1) {
        watchers.push(await startWorker({ file: 'bench/cache/near-watch-worker.js', start: watchStart }));
      }
      workers.push(...watchers);
      const writerStart: LatencyWriterStart = place;
      const writer = await startWorker({ file: 'bench/cache/latency-writer-worker.js', start: writerStart });
      workers.push(writer);

      let acknowledgements: Acknowledgement[] = [];
      feed.onEvent('acknowledgement', (each: Acknowledgement) => acknowledgements.push(each));
      const round = async (request: WriteRequest): Promise<{ engine: number[]; near: number[] }> => {
        acknowledgements = [];
        await Promise.all(watchers.map((watcher) => watcher.call('drops')));
        const writes = await writer.call<TimedWrite[]>('write', request);
        await sleep(drainMs);
        const drops = await Promise.all(watchers.map((watcher) => watcher.call<Drop[]>('drops')));
        return latenciesOf(writes, acknowledgements, drops);
      };
      // Everything is compiled and connected before it counts.
      await round({ perSecond, forMs: 1_000 });
      const results: { engine: number[]; near: number[] }[] = [];
      for (let count = 0; count < rounds; count += 1) {
        results.push(await round({ perSecond, forMs: (1_000 * seconds) / rounds }));
        progress(`${count + 1} of ${rounds} rounds`);
      }
      const quantiles = (of: 'engine' | 'near', share: number): number[] =>
        results.map((result) => quantile(result[of], share));
      const row = (of: 'engine' | 'near', title: string): string[] => [
        title,
        ...[0.5, 0.9, 0.99, 1].map((share) => spreadText(spreadOf(quantiles(of, share)))),
      ];
      const bar = (what: string, limit: number, values: number[]) =>
        judge({ name: `commit to ${what}`, better: 'lower', limit, unit: 'ms', values });
      return {
        text: table(
          ['until', 'p50', 'p90', 'p99', 'max'],
          [row('engine', 'the shared tier has confirmed'), row('near', 'every near tier has dropped it')],
        ),
        bars: [
          bar('the shared tier, p50', 2, quantiles('engine', 0.5)),
          bar('the shared tier, p99', 15, quantiles('engine', 0.99)),
          bar('all near tiers, p99', 25, quantiles('near', 0.99)),
        ],
        numbers: results,
      };
    } finally {
      await Promise.all(workers.map((worker) => worker.kill()));
      await dropSlot(pool, name);
      await pool.end();
      await Promise.all([engine.stop(), postgres.remove()]);
    }
  },
};

/** (pure) Sorted, one per write; Infinity for what never came. */
export function latenciesOf(
  writes: readonly TimedWrite[],
  acknowledgements: readonly Acknowledgement[],
  drops: readonly (readonly Drop[])[],
): { engine: number[]; near: number[] } {
  const never = Number.POSITIVE_INFINITY;
  const engine = writes.map(({ before, returnedMs }) => {
    const confirmed = acknowledgements.find(({ position }) => position > before);
    return (confirmed?.atMs ?? never) - returnedMs;
  });
  const near = writes.map(({ key, beganMs, returnedMs }) => {
    const times = drops.map(
      (each) => each.find((drop) => drop.key === key && drop.atMs >= beganMs)?.atMs ?? never,
    );
    return Math.max(...times) - returnedMs;
  });
  const ascending = (values: number[]): number[] => values.sort((left, right) => left - right);
  return { engine: ascending(engine), near: ascending(near) };
}
