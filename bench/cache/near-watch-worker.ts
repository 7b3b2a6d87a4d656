/** A process with a near tier, full of the rows that are written elsewhere; says when it dropped which key. */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import pg from 'pg';
import { nowMs } from '../monotonic.ts';
import { openLarder } from '../subjects/larder.ts';
import { serve } from '../worker-service.ts';

export interface NearWatchStart {
  readonly engine: { readonly host: string; readonly port: number };
  readonly postgres: PostgresAddress;
  readonly table: string;
  readonly keys: number;
}

export interface Drop {
  readonly key: number;
  readonly atMs: number;
}

serve<NearWatchStart>(async ({ engine, postgres, table, keys }) => {
  const pool = new pg.Pool({ ...postgres, max: 4 });
  const larder = openLarder<{ readonly version: number }>({
    ...{ engine, namespace: table, near: true, ttlMs: 3_600_000 },
    load: async (id) =>
      (await pool.query(`SELECT version FROM ${table} WHERE id = $1`, [id])).rows[0] ?? null,
    watches: [{ table: `public.${table}`, key: (row) => row.id }],
  });
  let drops: Drop[] = [];
  // The cache itself calls this when a message says that the key changed; after it the old value is gone.
  const definition = larder.definition as typeof larder.definition & { forget(key: string): void };
  const forget = definition.forget.bind(definition);
  definition.forget = (key) => {
    forget(key);
    drops.push({ key: Number(key), atMs: nowMs() });
    // Somebody wants it again, as in life; so there is something to drop the next time.
    setTimeout(() => larder.get(Number(key)).catch(() => {}), 50);
  };
  await larder.cache.ready();
  for (let key = 1; key <= keys; key += 1) await larder.get(key);
  return {
    drops(): Drop[] {
      const since = drops;
      drops = [];
      return since;
    },
    near: () => Array.from({ length: keys }, (_, index) => definition.near(index + 1)).filter(Boolean).length,
    async close() {
      await larder.close();
      await pool.end();
    },
  };
});
