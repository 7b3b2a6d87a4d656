/** The process that carries the changes; it reports what the shared tier confirmed. */
import { subscribe } from 'node:diagnostics_channel';
import { postgresFeed } from '@larder/cache/postgres';
import type { PostgresAddress } from '@larder/storefront/postgres/server';
import { nowMs } from '../monotonic.ts';
import { openLarder } from '../subjects/larder.ts';
import { emitEvent, serve } from '../worker-service.ts';
import type { Acknowledgement } from './history.ts';

export interface InvalidatorStart {
  readonly engine: { readonly host: string; readonly port: number };
  readonly postgres: PostgresAddress;
  /** Also the name of the cache, of the slot and of the publication. */
  readonly table: string;
  readonly boundMs: number;
  readonly maxKeysPerTransaction?: number;
}

serve<InvalidatorStart>(async ({ engine, postgres, table, boundMs, maxKeysPerTransaction }) => {
  subscribe('larder:cache:invalidation', (message) => {
    const { position } = message as { position: string };
    const acknowledgement: Acknowledgement = { position: BigInt(`0x${position}`), atMs: nowMs() };
    emitEvent('acknowledgement', acknowledgement);
  });
  const { cache } = openLarder<never>({
    engine,
    namespace: table,
    near: false,
    boundMs,
    ttlMs: 600_000,
    load: async () => null,
    watches: [{ table: `public.${table}`, key: (row) => row.id }],
  });
  const invalidator = cache.invalidator(
    postgresFeed({ connection: postgres, slot: table, publication: table, createPublication: true }),
    maxKeysPerTransaction === undefined ? {} : { maxKeysPerTransaction },
  );
  await invalidator.start();
  return { status: () => invalidator.status(), stop: () => cache.close() };
});
