/** What the shop processes count themselves, read from /metrics.json: sums over all, to take differences of. */
import type { ShopMetrics } from '../shop/shop.ts';

export interface ShopCounts {
  readonly atMs: number;
  readonly pages: number;
  readonly databaseQueries: number;
  readonly cpuMicros: number;
  readonly hotLoads: number;
  readonly productsFrom: { readonly near: number; readonly far: number; readonly database: number };
  readonly orders: number;
  readonly cacheFailures: number;
  readonly busyConnections: number;
}

/** @throws when one of the shops does not answer within 2 s. */
export async function readShopCounts(shopUrls: readonly string[], hotProductId: number): Promise<ShopCounts> {
  const all = await Promise.all(
    shopUrls.map(async (url) => {
      const response = await fetch(`${url}/metrics.json?products=${hotProductId}`, {
        signal: AbortSignal.timeout(2_000),
      });
      if (!response.ok) throw new Error(`${url}/metrics.json answered ${response.status}.`);
      return (await response.json()) as ShopMetrics;
    }),
  );
  const sum = (of: (one: ShopMetrics) => number): number => all.reduce((total, one) => total + of(one), 0);
  return {
    atMs: Date.now(),
    pages: sum((one) => Object.values(one.pages).reduce((total, count) => total + count, 0)),
    databaseQueries: sum((one) => one.database.queries),
    cpuMicros: sum((one) => one.cpu.userMicros + one.cpu.systemMicros),
    hotLoads: sum((one) => one.productLoadsById[String(hotProductId)] ?? 0),
    productsFrom: {
      near: sum((one) => one.productsFrom.near),
      far: sum((one) => one.productsFrom.far),
      database: sum((one) => one.productsFrom.database),
    },
    orders: sum((one) => one.orders.placed),
    cacheFailures: sum((one) => one.cacheFailures),
    busyConnections: sum((one) => one.database.busyConnections),
  };
}

/** (pure) What was counted between two readings; gauges are those of the later one. */
export function countsBetween(earlier: ShopCounts, later: ShopCounts): ShopCounts {
  return {
    atMs: later.atMs,
    pages: later.pages - earlier.pages,
    databaseQueries: later.databaseQueries - earlier.databaseQueries,
    cpuMicros: later.cpuMicros - earlier.cpuMicros,
    hotLoads: later.hotLoads - earlier.hotLoads,
    productsFrom: {
      near: later.productsFrom.near - earlier.productsFrom.near,
      far: later.productsFrom.far - earlier.productsFrom.far,
      database: later.productsFrom.database - earlier.productsFrom.database,
    },
    orders: later.orders - earlier.orders,
    cacheFailures: later.cacheFailures - earlier.cacheFailures,
    busyConnections: later.busyConnections,
  };
}
