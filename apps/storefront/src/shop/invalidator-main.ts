/**
 * The process that reads PostgreSQL's change feed and invalidates what the shop cached. One runs; a second
 * one waits for the replication slot. Configuration and ready message as in main.ts.
 */
import { postgresFeed } from '@larder/cache/postgres';
import { shopCache } from './catalogue-larder.ts';
import { checkInvalidatorConfiguration, receiveConfiguration } from './configuration.ts';
import { newCounters } from './counters.ts';
import { openDatabase } from './database.ts';
import { runUntilTold } from './process-life.ts';

await runUntilTold(async () => {
  const { postgres, cache: address, feedName } = checkInvalidatorConfiguration(await receiveConfiguration());
  // Only the definitions matter here; this connection stays unused, because nothing is ever loaded.
  const database = openDatabase(postgres, 1);
  const { cache } = shopCache(address, database.query, newCounters());
  const name = feedName ?? 'larder_shop';
  const invalidator = cache.invalidator(
    postgresFeed({ connection: postgres, slot: name, publication: name, createPublication: true }),
  );
  await invalidator.start();
  return {
    ready: {},
    async close() {
      await invalidator.close();
      await cache.close();
      await database.close();
    },
  };
});
