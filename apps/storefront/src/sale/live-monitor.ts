/** The numbers of a sale under way that do not come from the load generator, for the cockpit's tiles and charts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Shops } from '../scenario/stage.ts';
import { type Auditor, auditStock } from './auditor.ts';
import type { Tick } from './generator-messages.ts';
import type { Market } from './market.ts';
import type { PriceChanger } from './price-changer.ts';
import type { Mode, Point } from './report.ts';
import { readShopCounts, type ShopCounts } from './shop-counts.ts';

export interface LiveMonitor {
  /** Joins what the generator saw with what the monitor knows. */
  point(tick: Tick): Point;
  /** Waits for the look under way. */
  stop(): Promise<void>;
}

interface MonitorParts {
  readonly market: Market;
  readonly mode: Mode;
  readonly shops: Shops;
  readonly auditor: Auditor;
  /** Its own while the monitor runs. */
  readonly client: pg.ClientBase;
  readonly changer: PriceChanger;
}

const monitorEveryMs = 500;
const stockAuditEvery = 4;

/** Live, so roughly: the last second is still open. The numbers that do not come from the generator, read beside the sale. */
export function liveMonitor(parts: MonitorParts): LiveMonitor {
  const { market, mode, shops, auditor, client, changer } = parts;
  let running = true;
  let queriesPerSecond = 0;
  let stalePages = 0;
  let oversoldUnits = 0;
  let previous: ShopCounts | undefined;

  async function look(round: number): Promise<void> {
    const counts = await readShopCounts(shops.urls, market.hotProductId);
    if (previous !== undefined) {
      const seconds = (counts.atMs - previous.atMs) / 1_000;
      if (seconds > 0) queriesPerSecond = (counts.databaseQueries - previous.databaseQueries) / seconds;
    }
    previous = counts;
    stalePages = (await auditor.judgeLive()).stalePages;
    if (round % stockAuditEvery === 0) {
      oversoldUnits = (await auditStock(client, changer.restocked)).oversoldUnits;
    }
  }
  const looking = (async () => {
    for (let round = 0; running; round += 1) {
      // A busy shop may not answer in time; the next look will do.
      await look(round).catch(() => {});
      await sleep(monitorEveryMs);
    }
  })();

  return {
    point(tick: Tick): Point {
      const perSecond = (count: number): number => (tick.spanMs === 0 ? 0 : (count * 1_000) / tick.spanMs);
      return {
        atMs: tick.atMs,
        mode,
        measuring: tick.measuring,
        offeredPerSecond: perSecond(tick.offered),
        answeredPerSecond: perSecond(tick.answered),
        errors: tick.errors,
        p50Ms: tick.latency.p50Ms,
        p99Ms: tick.latency.p99Ms,
        maxMs: tick.latency.maxMs,
        p99LastFiveSecondsMs: tick.lastFiveSeconds.p99Ms,
        ordersPerSecond: perSecond(tick.orders),
        databaseQueriesPerSecond: queriesPerSecond,
        stalePages,
        oversoldUnits,
      };
    },
    async stop() {
      running = false;
      await looking;
    },
  };
}
