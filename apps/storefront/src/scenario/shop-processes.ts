/** Starts the shop's processes of one mode, and in mode larder the invalidator with them. */
import pg from 'pg';
import type { PostgresAddress } from '../postgres/server.ts';
import type { CacheEndpoint } from '../sale/cache-group.ts';
import type { Mode } from '../sale/report.ts';
import type { ProcessToStart, ScenarioProcess } from './child-process.ts';
import { type Shops, shopProcessesPerMode } from './stage.ts';

export interface ShopSurroundings {
  readonly postgres: PostgresAddress;
  readonly cache: CacheEndpoint;
  start(process: Omit<ProcessToStart, 'logDirectory' | 'environment'>): Promise<ScenarioProcess>;
}

/** Of the replication slot and the publication. */
const feedName = 'larder_flash_sale';
const poolSize = 10;

export async function startShops(surroundings: ShopSurroundings, mode: Mode): Promise<Shops> {
  const { postgres, cache } = surroundings;
  const started: ScenarioProcess[] = [];
  async function stop(): Promise<void> {
    // The invalidator last: pages that are still being answered must stay right.
    for (const group of [started.filter((one) => one.name !== 'invalidator'), started]) {
      await Promise.all(group.map((one) => one.stop()));
    }
    if (mode === 'larder') await dropFeed(postgres);
  }
  try {
    if (mode === 'larder') {
      await dropFeed(postgres);
      started.push(
        await surroundings.start({
          name: 'invalidator',
          module: 'shop/invalidator-main',
          configuration: { postgres, cache, feedName },
        }),
      );
    }
    const shops = await Promise.all(
      Array.from({ length: shopProcessesPerMode }, (_, index) =>
        surroundings.start({
          name: `shop-${mode}-${index + 1}`,
          module: 'shop/main',
          configuration: { mode, port: 0, postgres, poolSize, ...(mode === 'none' ? {} : { cache }) },
        }),
      ),
    );
    started.push(...shops);
    return { mode, urls: shops.map((shop) => `http://127.0.0.1:${shop.ready.port}`), stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** A slot that nobody reads keeps PostgreSQL's log for ever; the cache begins empty anyway. */
async function dropFeed(postgres: PostgresAddress): Promise<void> {
  const client = new pg.Client(postgres);
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active',
      [feedName],
    );
    // It names tables that a newly filled shop has dropped; the invalidator makes it again.
    await client.query(`DROP PUBLICATION IF EXISTS ${feedName}`);
  } finally {
    await client.end();
  }
}
