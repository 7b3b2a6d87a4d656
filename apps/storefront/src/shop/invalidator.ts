/** What carries PostgreSQL's changes to the shop's cache. */
import { postgresFeed } from '@larder/cache/postgres';
import { shopCache } from './catalogue-larder.ts';
import type { InvalidatorConfiguration } from './configuration.ts';
import { newCounters } from './counters.ts';
import { openDatabase } from './database.ts';

export interface ShopInvalidator {
  /** How far the feed is, as the library tells it. */
  status(): unknown;
  close(): Promise<void>;
}

/** @throws the library's FeedConfigError, with the statement that repairs it, when the database can't feed it. */
export async function startInvalidator({
  postgres,
  cache: address,
  feedName = 'larder_shop',
}: InvalidatorConfiguration): Promise<ShopInvalidator> {
  // Only the definitions matter here. Nothing is ever loaded, so no connection is ever made.
  const database = openDatabase(postgres, 1);
  const { cache } = shopCache(address, database.query, newCounters());
  const feed = postgresFeed({
    connection: postgres,
    slot: feedName,
    publication: feedName,
    createPublication: true,
  });
  const invalidator = cache.invalidator(feed);
  await invalidator.start();
  return {
    status: () => invalidator.status(),
    async close() {
      await cache.close();
      await database.close();
    },
  };
}
