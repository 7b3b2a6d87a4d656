/**
 * One mode's sale from a fresh shop to its report: reset, empty cache, start the shops, warm up, measure
 * while prices change, and audit. The same code runs unattended and behind the cockpit's buttons.
 */
import pg from 'pg';
import { seededRandom } from '../random.ts';
import type { Shops, Stage } from '../scenario/stage.ts';
import { resetShop } from '../shop/fill.ts';
import { auditStock, newAuditor } from './auditor.ts';
import { type FailoverRecord, killPrimary } from './failover.ts';
import type { Failure } from './generator-messages.ts';
import { liveMonitor } from './live-monitor.ts';
import { crowdPlan, type Market } from './market.ts';
import { modeReport } from './mode-report.ts';
import { modeTitle } from './mode-title.ts';
import { unpackObservations } from './observation.ts';
import { type PriceChange, priceChanger } from './price-changer.ts';
import { freshnessBoundMs, type Mode, type ModeReport, type Point, type SaleEvent } from './report.ts';
import { countsBetween, readShopCounts, type ShopCounts } from './shop-counts.ts';
import { productPath } from './shop-page.ts';
import { startVisibilityClock } from './visibility-clock.ts';
import { webClient } from './web-client.ts';

export interface ModeRunOptions {
  readonly mode: Mode;
  readonly pagesPerSecond: number;
  readonly seed: number;
  readonly warmUpSeconds: number;
  /** Until `stop` when left out. */
  readonly seconds?: number;
  readonly onPoint?: (point: Point) => void;
  readonly onEvent?: (event: SaleEvent) => void;
}

export interface ModeRunResult {
  readonly report: ModeReport;
  readonly failover: FailoverRecord | undefined;
  readonly changes: readonly PriceChange[];
  readonly failures: readonly Failure[];
}

export interface ModeRun {
  readonly mode: Mode;
  readonly shops: Shops;
  /** Clock time at which the warm-up ended. */
  readonly measuring: Promise<number>;
  changeHotPrice(): Promise<PriceChange>;
  killPrimary(): Promise<FailoverRecord>;
  stop(): void;
  /** The shops go on serving afterwards, until `shops.stop()`. */
  readonly finished: Promise<ModeRunResult>;
}

export const priceChangesPerSecond = 4;
const scarceUnits = 25;
const restockUnits = 10;
const restockEveryMs = 8_000;
const mostFailures = 20_000;

export async function startModeRun(stage: Stage, market: Market, options: ModeRunOptions): Promise<ModeRun> {
  const { mode } = options;
  const events: SaleEvent[] = [];
  const points: Point[] = [];
  const failures: Failure[] = [];
  function tell(kind: SaleEvent['kind'], text: string, atMs = Date.now()): void {
    const event = { atMs, kind, text };
    events.push(event);
    options.onEvent?.(event);
  }

  // Four connections: what one waits for must not delay what another measures.
  const [changing, auditing, keeping, watching] = await Promise.all([
    connected(stage, 'price changer'),
    connected(stage, 'auditor'),
    connected(stage, 'sale'),
    connected(stage, 'visibility clock'),
  ]);
  const closing: (() => Promise<unknown>)[] = [
    () => changing.end(),
    () => auditing.end(),
    () => keeping.end(),
  ];
  const closeAll = async (): Promise<void> => {
    await Promise.allSettled(closing.map((close) => close()));
  };
  try {
    await resetShop(keeping);
    await stage.emptyCache();
    const shops = await stage.startShops(mode);
    const clock = startVisibilityClock(watching);
    closing.push(() => clock.stop().then(() => watching.end()));
    const auditor = newAuditor(auditing, clock, freshnessBoundMs);
    // Probes travel on connections of their own, so that no crowd is in their way but the shop's.
    const probes = shops.urls.map((url) => webClient(url, 8));
    closing.push(...probes.map((probe) => () => probe.close()));
    const changer = priceChanger({
      client: changing,
      shops: probes,
      random: seededRandom(`prices/${options.seed}`),
      hotProductId: market.hotProductId,
      // The long tail's changes would mostly be seen by the probes alone.
      products: market.products.slice(0, 200),
      changesPerSecond: priceChangesPerSecond,
    });
    await changer.setStock(market.scarceProductId, scarceUnits);
    await openEarly(stage, market, shops);

    tell('mode', `${modeTitle(mode)} begins`);
    const monitor = liveMonitor({ market, mode, shops, auditor, client: keeping, changer });
    const load = stage.generator.startSale(
      {
        shopUrls: shops.urls,
        crowd: crowdPlan(market, options.pagesPerSecond, options.seed),
        warmUpSeconds: options.warmUpSeconds,
        ...(options.seconds === undefined ? {} : { seconds: options.seconds }),
      },
      (tick) => {
        auditor.observe(unpackObservations(tick.observations));
        for (const failure of tick.failures) if (failures.length < mostFailures) failures.push(failure);
        const point = monitor.point(tick);
        points.push(point);
        options.onPoint?.(point);
      },
    );

    let failover: FailoverRecord | undefined;
    let firstCounts: ShopCounts | undefined;
    let restocking: NodeJS.Timeout | undefined;
    // The stage may fail before anyone waits for the end.
    const measuring = load.measuring.then(async (atMs) => {
      firstCounts = await readShopCounts(shops.urls, market.hotProductId);
      changer.start();
      restocking = setInterval(() => {
        changer.addStock(market.scarceProductId, restockUnits).then(
          () => tell('stock', `${restockUnits} units more of the scarce product`),
          () => {},
        );
      }, restockEveryMs);
      tell('measuring', 'warmed up; from here on everything counts', atMs);
      return atMs;
    });

    async function finish(): Promise<ModeRunResult> {
      try {
        const totals = await load.ended;
        clearInterval(restocking);
        const changes = await changer.stop();
        await measuring;
        const lastCounts = await readShopCounts(shops.urls, market.hotProductId);
        await monitor.stop();
        tell('end', `${modeTitle(mode)} ends`);
        const audit = await auditor.finish();
        const stock = await auditStock(keeping, changer.restocked);
        const first = firstCounts ?? lastCounts;
        const counts = countsBetween(first, lastCounts);
        const hotChanges = audit.history.changes(market.hotProductId, first.atMs, lastCounts.atMs);
        return {
          report: modeReport({
            mode,
            totals,
            counts,
            hotChanges,
            pages: audit.pages,
            stock,
            changes,
            points,
            events,
          }),
          failover,
          changes,
          failures,
        };
      } finally {
        clearInterval(restocking);
        await monitor.stop();
        await changer.stop();
        await closeAll();
      }
    }

    const finished = finish();
    finished.catch(() => {});
    measuring.catch(() => {});
    return {
      mode,
      shops,
      measuring,
      finished,
      stop: () => load.stop(),
      async changeHotPrice() {
        const change = await changer.change(market.hotProductId);
        const seen =
          change.visibleAfterMs === null
            ? 'not seen yet'
            : `seen after ${Math.round(change.visibleAfterMs)} ms`;
        tell('price', `price of the hot product changed in SQL, ${seen}`, change.committedAtMs);
        return change;
      },
      async killPrimary() {
        failover = await killPrimary(stage.group, changer, market.hotProductId, (atMs, memberId) =>
          tell('kill', `primary ${memberId} killed (SIGKILL)`, atMs),
        );
        const { writableAgainAtMs, promotedMemberId, writeGapMs } = failover;
        if (writableAgainAtMs !== null) {
          tell(
            'promoted',
            `${promotedMemberId ?? 'a replica'} takes over: ${Math.round(writeGapMs)} ms without writes`,
            writableAgainAtMs,
          );
        }
        return failover;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

const warmedProducts = 5_000;
const longestWarmingMs = 15_000;

/**
 * Asks each shop process once for every product, as a team does in the hour before a sale. All modes get the
 * same; without a cache it warms PostgreSQL's memory and the shop's code.
 */
async function openEarly(stage: Stage, market: Market, shops: Shops): Promise<void> {
  const paths = market.products.slice(0, warmedProducts).map((product) => productPath(product.id));
  for (const url of shops.urls) {
    await stage.generator.burst({
      shopUrls: [url],
      paths,
      connections: 16,
      rampMs: 0,
      durationMs: longestWarmingMs,
      mostRequests: paths.length,
    });
  }
}

async function connected(stage: Stage, name: string): Promise<pg.Client> {
  const client = new pg.Client({ ...stage.postgres, application_name: name });
  // Without a listener a lost connection would end the process; the next statement reports it.
  client.on('error', () => {});
  await client.connect();
  return client;
}
