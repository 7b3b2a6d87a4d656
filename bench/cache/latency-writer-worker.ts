/** Writes rows at a steady rate; says when each commit had returned. One connection, so commits don't overlap. */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import pg from 'pg';
import { nowMs, sleep } from '../monotonic.ts';
import { serve } from '../worker-service.ts';

export interface LatencyWriterStart {
  readonly postgres: PostgresAddress;
  readonly table: string;
  readonly keys: number;
}

export interface TimedWrite {
  readonly key: number;
  /** Before the transaction began. */
  readonly beganMs: number;
  readonly returnedMs: number;
  /** Log position before the commit record: everything applied beyond it includes this commit. */
  readonly before: bigint;
}

export interface WriteRequest {
  readonly perSecond: number;
  readonly forMs: number;
}

serve<LatencyWriterStart>(async ({ postgres, table, keys }) => {
  const client = new pg.Client(postgres);
  await client.connect();
  let next = 0;
  return {
    /** The schedule doesn't wait for slow commits; what is late is made up for at once. */
    async write({ perSecond, forMs }: WriteRequest): Promise<TimedWrite[]> {
      const writes: TimedWrite[] = [];
      const startMs = nowMs();
      for (let count = 0; count < (perSecond * forMs) / 1_000; count += 1) {
        await sleep(startMs + (1_000 * count) / perSecond - nowMs());
        next = (next % keys) + 1;
        const beganMs = nowMs();
        await client.query('BEGIN');
        await client.query(`UPDATE ${table} SET version = version + 1 WHERE id = $1`, [next]);
        const { rows } = await client.query("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS at");
        await client.query('COMMIT');
        writes.push({ key: next, beganMs, returnedMs: nowMs(), before: BigInt(rows[0].at) });
      }
      return writes;
    },
    close: () => client.end(),
  };
});
