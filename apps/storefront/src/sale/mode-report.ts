/** (pure) Puts one mode's measurements together. */
import type { PageAudit, StockAudit } from './auditor.ts';
import type { SaleTotals } from './generator-messages.ts';
import type { PriceChange } from './price-changer.ts';
import type { Mode, ModeReport, Point, SaleEvent } from './report.ts';
import type { ShopCounts } from './shop-counts.ts';
import { spreadOf } from './spread.ts';

export interface ModeMeasurements {
  readonly mode: Mode;
  readonly totals: SaleTotals;
  /** Of the shop processes, over the measured time. */
  readonly counts: ShopCounts;
  readonly hotChanges: number;
  readonly pages: PageAudit;
  readonly stock: StockAudit;
  readonly changes: readonly PriceChange[];
  readonly points: readonly Point[];
  readonly events: readonly SaleEvent[];
}

export function modeReport(measured: ModeMeasurements): ModeReport {
  const { mode, totals, counts, hotChanges, pages, stock, changes } = measured;
  const seconds = totals.measuredMs / 1_000;
  const { near, far, database } = counts.productsFrom;
  const products = near + far + database;
  const visible = changes.flatMap((change) => change.visibleAfterMs ?? []);
  return {
    mode,
    measuredSeconds: seconds,
    offeredPerSecond: over(totals.offered, seconds),
    achievedPerSecond: over(totals.answered, seconds),
    p50Ms: totals.latency.p50Ms,
    p95Ms: totals.latency.p95Ms,
    p99Ms: totals.latency.p99Ms,
    maxMs: totals.latency.maxMs,
    errors: totals.errors,
    abandoned: totals.abandoned,
    pages: totals.answered,
    orders: totals.orders,
    soldOutAnswers: totals.soldOut,
    databaseQueries: counts.databaseQueries,
    databaseQueriesPerPage: over(counts.databaseQueries, counts.pages),
    serverCpuMicrosPerPage: over(counts.cpuMicros, counts.pages),
    hitRate: { near: over(near, products), far: over(far, products), database: over(database, products) },
    auditedPages: pages.observations,
    stalePages: pages.stalePages,
    phantomPages: pages.phantomPages,
    worstStaleMs: pages.worstStaleMs,
    staleExamples: pages.examples,
    soldUnits: stock.soldUnits,
    oversoldUnits: stock.oversoldUnits,
    duplicateOrders: stock.duplicateOrders,
    hotChanges,
    hotLoads: counts.hotLoads,
    loadsPerHotChange: over(counts.hotLoads, hotChanges),
    priceChanges: changes.length,
    priceChangesUnseen: changes.length - visible.length,
    commitToVisibleMs: spreadOf(visible),
    points: measured.points,
    events: measured.events,
  };
}

function over(value: number, divisor: number): number {
  return divisor === 0 ? 0 : value / divisor;
}
