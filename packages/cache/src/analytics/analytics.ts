/**
 * Real-time analytics in the shared tier: each method makes one kind of thing, and costs nothing until it is used. All
 * are shared by every process that names them alike.
 *
 * Numbers here are as durable as the engine: a failover can lose the last writes, those of the replication's lag. What
 * the database knows as well can be put right with `rebuild`, while everything goes on.
 */
import type { Cache } from '../cache.ts';
import { Counter, type CounterOptions } from './counter.ts';
import { Leaderboard, type LeaderboardOptions } from './leaderboard.ts';
import { RateLimiter, type RateLimiterOptions } from './rate-limiter.ts';
import { TopItems, type TopItemsOptions } from './top-items.ts';
import { Visitors, type VisitorsOptions } from './visitors.ts';

export type { Counter, Leaderboard, RateLimiter, TopItems, Visitors };

export interface Analytics {
  /** Members by score. All throw CacheConfigError. */
  leaderboard(options: LeaderboardOptions): Leaderboard;
  /** Counts over sliding windows. */
  counter(options: CounterOptions): Counter;
  /** How many different ones. */
  visitors(options: VisitorsOptions): Visitors;
  /** The most frequent items. */
  topItems(options: TopItemsOptions): TopItems;
  /** How often something may happen. */
  rateLimiter(options: RateLimiterOptions): RateLimiter;
}

/** They end with the cache's connections, by `cache.close()`. */
export function createAnalytics(cache: Cache): Analytics {
  return {
    leaderboard: (options) => new Leaderboard(cache, options),
    counter: (options) => new Counter(cache, options),
    visitors: (options) => new Visitors(cache, options),
    topItems: (options) => new TopItems(cache, options),
    rateLimiter: (options) => new RateLimiter(cache, options),
  };
}
