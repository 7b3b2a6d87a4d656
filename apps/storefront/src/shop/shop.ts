/** Puts one shop together for its mode, and serves it. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { shopApp } from './app.ts';
import { openCacheServer } from './cache-server.ts';
import type { Catalogue } from './catalogue.ts';
import { catalogueNone } from './catalogue-none.ts';
import { catalogueTtl } from './catalogue-ttl.ts';
import { newCheckout } from './checkout.ts';
import { ConfigurationError, type ShopConfiguration } from './configuration.ts';
import { type Counters, newCounters } from './counters.ts';
import { type Database, type DatabaseLoad, openDatabase } from './database.ts';
import { retryingSessions, type Sessions } from './session.ts';
import { postgresSessions } from './session-postgres.ts';
import { redisSessions } from './session-redis.ts';
import { valkeySessions } from './session-valkey.ts';
import { noHolds, type StockHolds, stockHolds } from './stock.ts';

export interface Shop {
  /** For example `http://127.0.0.1:20817`. */
  readonly url: string;
  readonly port: number;
  /** @param productIds whose loads to list one by one. */
  metrics(productIds?: readonly number[]): ShopMetrics;
  /** Answers what is under way (at most 5 s), takes nothing new, and closes every connection. */
  close(): Promise<void>;
}

/** What /metrics.json answers. All counts are of this process since its start. */
export interface ShopMetrics extends Omit<Counters, 'productLoadsById'> {
  readonly mode: ShopConfiguration['mode'];
  readonly pid: number;
  readonly upMs: number;
  /** Loads of the products that the request asked for (`?products=17,18`). */
  readonly productLoadsById: Readonly<Record<string, number>>;
  readonly database: DatabaseLoad;
  readonly cpu: { readonly userMicros: number; readonly systemMicros: number };
  readonly memoryBytes: number;
  /** The library's own counts; null in the other modes. */
  readonly cache: unknown;
}

interface Caching {
  readonly catalogue: Catalogue;
  readonly sessions: Sessions;
  readonly holds: StockHolds;
}

const drainMs = 5_000;
const longestHeaderBytes = 8_192;

/** Listens before it returns. The cache server may be away at that time; PostgreSQL may too. */
export async function startShop(
  configuration: ShopConfiguration,
  reportError: (error: unknown) => void,
): Promise<Shop> {
  const startedAt = performance.now();
  const { mode } = configuration;
  const counters = newCounters();
  const database = openDatabase(configuration.postgres, configuration.poolSize);
  const { catalogue, sessions, holds } = await cachingOf(configuration, database, counters);

  function metrics(productIds: readonly number[] = []): ShopMetrics {
    const { productLoadsById, ...counts } = counters;
    const { user, system } = process.cpuUsage();
    return {
      mode,
      pid: process.pid,
      upMs: Math.round(performance.now() - startedAt),
      ...counts,
      productLoadsById: Object.fromEntries(productIds.map((id) => [id, productLoadsById.get(id) ?? 0])),
      database: database.load(),
      cpu: { userMicros: user, systemMicros: system },
      memoryBytes: process.memoryUsage.rss(),
      cache: catalogue.statistics(),
    };
  }

  const checkout = newCheckout(database, catalogue, holds, counters);
  const app = shopApp({ mode, database, catalogue, sessions, checkout, counters, metrics, reportError });
  const host = configuration.host ?? '127.0.0.1';
  // Hono instead of bare node:http: both sent 15 to 20 thousand pages of 6 kB a second here, within the noise.
  const server = await new Promise<Server>((resolve, reject) => {
    const listening = serve(
      {
        fetch: app.fetch,
        hostname: host,
        port: configuration.port,
        serverOptions: { maxHeaderSize: longestHeaderBytes, headersTimeout: 10_000, requestTimeout: 15_000 },
      },
      () => resolve(listening as Server),
    );
    listening.once('error', reject);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://${host}:${port}`,
    port,
    metrics,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed;
      clearTimeout(timer);
      await catalogue.close();
      await database.close();
    },
  };
}

async function cachingOf(
  configuration: ShopConfiguration,
  database: Database,
  counters: Counters,
): Promise<Caching> {
  if (configuration.mode === 'none') {
    return {
      catalogue: catalogueNone(database, counters),
      sessions: postgresSessions(database),
      holds: noHolds,
    };
  }
  const address = configuration.cache;
  if (address === undefined) throw new ConfigurationError(`Mode "${configuration.mode}" needs "cache".`);
  const server = openCacheServer(address);
  const larder = configuration.mode === 'larder';
  let catalogue: Catalogue;
  if (larder) {
    // Loaded only here: the other two modes measure a shop that has nothing of the library in its process.
    const { catalogueLarder, shopCache } = await import('./catalogue-larder.ts');
    catalogue = await catalogueLarder(shopCache(address, database.query, counters), server, counters);
  } else {
    catalogue = catalogueTtl(database, server, counters);
  }
  const knownStock = async (id: number): Promise<number | null> =>
    (catalogue.nearProduct(id) ?? (await catalogue.product(id)).value)?.stock ?? null;
  return {
    catalogue,
    sessions: retryingSessions(larder ? valkeySessions(server) : redisSessions(server), counters),
    holds: stockHolds(server, knownStock, counters),
  };
}
