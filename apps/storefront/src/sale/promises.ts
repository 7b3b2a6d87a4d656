/** (pure) What Larder promises about a sale, and whether this one kept it. */
import type { PromiseReport, Ratio, SaleReport } from './report.ts';

const commitToVisibleP99Ms = 50;
const mostLoadsPerHotChange = 1.5;
const targets = { larderToNone: 3, larderToTtl: 1, larderToStatic: 0.9 };

type Measured = Pick<SaleReport, 'modes' | 'freshness' | 'failover' | 'saturation'>;

export function judgePromises({ modes, freshness, failover, saturation }: Measured): PromiseReport[] {
  const { larder, ttl, none } = modes;
  const visible = freshness.commitToVisibleMs;
  const explained = Math.ceil((larder.offeredPerSecond * failover.writeGapMs) / 1_000);
  return [
    {
      name: 'larder: no page is stale beyond the bound',
      held: larder.stalePages === 0 && larder.auditedPages > 0,
      detail: `${larder.stalePages} of ${larder.auditedPages} audited pages were out of date by more than ${
        freshness.boundMs
      } ms; the worst by ${round(larder.worstStaleMs)} ms`,
    },
    {
      name: 'every mode: no page shows what never was true',
      held: [none, ttl, larder].every((mode) => mode.phantomPages === 0),
      detail: `${none.phantomPages} without a cache, ${ttl.phantomPages} with TTL, ${larder.phantomPages} with Larder`,
    },
    {
      name: 'none: the auditor raises no false alarm',
      held: none.stalePages === 0,
      detail: `${none.stalePages} of ${none.auditedPages} pages read straight from the database; the worst by ${round(none.worstStaleMs)} ms`,
    },
    {
      name: `larder: a committed price is visible within ${commitToVisibleP99Ms} ms (p99)`,
      held: visible.p99 !== null && visible.p99 <= commitToVisibleP99Ms && larder.priceChangesUnseen === 0,
      detail: `p50 ${orNone(visible.p50)}, p99 ${orNone(visible.p99)}, max ${orNone(visible.max)} over ${
        freshness.changes
      } changes, ${larder.priceChangesUnseen} unseen`,
    },
    {
      name: 'larder: nothing is oversold',
      held: larder.oversoldUnits === 0 && larder.duplicateOrders === 0 && larder.soldUnits > 0,
      detail: `${larder.oversoldUnits} of ${larder.soldUnits} sold units, ${larder.duplicateOrders} orders twice`,
    },
    {
      name: `larder: a change of the hot product costs at most ${mostLoadsPerHotChange} loads`,
      held: larder.hotChanges > 0 && larder.loadsPerHotChange <= mostLoadsPerHotChange,
      detail: `${round(larder.loadsPerHotChange)} (${larder.hotLoads} loads for ${larder.hotChanges} changes); without a cache ${round(
        none.loadsPerHotChange,
      )}`,
    },
    {
      name: 'larder: no more errors than the primary’s death explains',
      held: larder.errors <= explained,
      detail: `${larder.errors} errors; ${round(failover.writeGapMs)} ms without a primary explain ${explained}`,
    },
    {
      name: 'larder: the group survives the death of its primary',
      held: failover.promotedMemberId !== null && failover.priceVisibleAfterMs !== null,
      detail: `writable again after ${round(failover.writeGapMs)} ms, ${failover.failedRequests} failed requests; a price changed ${
        failover.priceChangedDuringGap ? 'while it was down' : 'just after'
      } was visible after ${orNone(failover.priceVisibleAfterMs)}`,
    },
    {
      name: 'ttl: the same auditor sees stale pages',
      held: ttl.stalePages > 0,
      detail: `${ttl.stalePages} of ${ttl.auditedPages} pages; an auditor that sees none here would prove nothing`,
    },
    ratioPromise('without a cache', saturation.ratios.larderToNone, targets.larderToNone),
    ratioPromise('a TTL cache', saturation.ratios.larderToTtl, targets.larderToTtl),
    ratioPromise('a page that never changes', saturation.ratios.larderToStatic, targets.larderToStatic),
  ];
}

/**
 * A throughput on a shared machine scatters, so the spread of its interleaved rounds is the tolerance: the
 * promise is broken when not even the best round reached the target. The detail says which it was.
 */
function ratioPromise(other: string, ratio: Ratio, target: number): PromiseReport {
  const inMedian = ratio.median >= target;
  const inSpread = ratio.max >= target;
  const verdict = inMedian
    ? ''
    : inSpread
      ? '; below the target, but within the spread'
      : '; below the target';
  return {
    name: `larder: at least ${target.toFixed(1)} times the pages of ${other}`,
    held: inMedian || inSpread,
    detail: `${ratio.median.toFixed(2)} [${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}]${verdict}`,
  };
}

function orNone(ms: number | null): string {
  return ms === null ? 'never' : `${round(ms)} ms`;
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}
