/** A process of the application whose loads the parent can hold, slow down and fail. */
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import pg from 'pg';
import { nowMs, sleep } from '../monotonic.ts';
import { openLarder } from '../subjects/larder.ts';
import { peerConfiguration } from '../subjects/peer-configurations.ts';
import { emitEvent, type Handlers, serve } from '../worker-service.ts';

export interface HeldLoaderStart {
  /** 'larder', or a peer's name. */
  readonly subject: string;
  readonly engine: { readonly host: string; readonly port: number };
  readonly postgres: PostgresAddress;
  /** Of rows (id, version); also the namespace. */
  readonly table: string;
  /** Larder only: changes come by the feed. */
  readonly watched: boolean;
}

export interface Burst {
  readonly key: number;
  readonly callers: number;
  /** All processes begin then. */
  readonly atMs: number;
}

export interface BurstResult {
  readonly values: number;
  readonly errors: number;
  readonly loads: number;
}

interface Row {
  readonly version: number;
}

/** What the loader does after it has read the row. */
type Manner = 'plain' | 'slow' | 'failing';
const slowMs = 50;

serve<HeldLoaderStart>(async ({ subject: name, engine, postgres, table, watched }) => {
  const pool = new pg.Pool({ ...postgres, max: 16 });
  pool.on('error', () => {});
  const held = new Map<number, (() => void) | undefined>();
  let manner: Manner = 'plain';
  let loads = 0;

  const load = async (id: number): Promise<Row | null> => {
    loads += 1;
    const { rows } = await pool.query<Row>(
      `SELECT version${manner === 'slow' ? `, pg_sleep(${slowMs / 1_000})` : ''} FROM ${table} WHERE id = $1`,
      [id],
    );
    if (manner === 'failing') {
      await sleep(slowMs);
      throw new Error('The loader fails, as it was told.');
    }
    // Only the first load of a key that is to be held: a library that notices may load again.
    if (held.has(id) && held.get(id) === undefined) {
      const released = new Promise<void>((resolve) => held.set(id, resolve));
      emitEvent('loaded', { key: id, version: rows[0]?.version });
      await released;
    }
    return rows[0] === undefined ? null : { version: rows[0].version };
  };

  const common = { engine, namespace: table, ttlMs: 600_000, load };
  const subject =
    name === 'larder'
      ? openLarder<Row>({
          ...common,
          near: true,
          watches: watched ? [{ table: `public.${table}`, key: (row) => row.id }] : [],
        })
      : await peerConfiguration(name).open<Row>({ ...common, near: peerConfiguration(name).near });
  if ('cache' in subject) await (subject as { cache: { ready(): Promise<void> } }).cache.ready();

  const handlers: Handlers = {
    hold: (keys: readonly number[]) => {
      for (const key of keys) held.set(key, undefined);
    },
    release: (key: number) => held.get(key)?.(),
    behave: (next: Manner) => {
      manner = next;
    },
    get: async (key: number) => (await subject.get(key))?.version ?? null,
    invalidate: (key: number) => subject.invalidate(key),
    async burst({ key, callers, atMs }: Burst): Promise<BurstResult> {
      await sleep(atMs - nowMs());
      const before = loads;
      const settled = await Promise.allSettled(Array.from({ length: callers }, () => subject.get(key)));
      const values = settled.filter(({ status }) => status === 'fulfilled').length;
      return { values, errors: callers - values, loads: loads - before };
    },
    async close() {
      await subject.close();
      await pool.end();
    },
  };
  return handlers;
});
