/**
 * What keeps a flood of data from filling memory and disk: requests and values in a time, requests under way, and how
 * many metrics there are. Everything is bounded; nothing is queued.
 */
import { serviceError } from '@larder/contract/errors';
import { type Metric, metricKey } from '@larder/metrics/metric';
import type { MetricReader } from '@larder/metrics/metric-store';
import { TooManyMetrics } from '../metric/metric-keeper.ts';

export interface PutRates {
  readonly requestsPerSecond: number;
  readonly dataPerSecond: number;
  readonly underWay: number;
  /** Made by clients, with data in the last two weeks. */
  readonly metrics: number;
}

export const usualRates: PutRates = {
  requestsPerSecond: 150,
  dataPerSecond: 20_000,
  underWay: 32,
  metrics: 20_000,
};

/** A pause may be made up for by so many seconds' worth at once. */
const burstSeconds = 3;
const activeMs = 14 * 24 * 3_600_000;
/** While the bound is reached it is counted afresh no more often than this. */
const countAgainMs = 60_000;

export interface PutLimits {
  /**
   * Runs `work` when there is room.
   * @throws ServiceError Throttling, which SDKs try again after a while; LimitExceeded for too many metrics.
   */
  within(
    put: { readonly metrics: readonly Metric[]; readonly dataCount: number },
    work: () => Promise<void>,
  ): Promise<void>;
}

/** @param isCounted whether a metric counts: those that the service makes itself don't. */
export function putLimits(
  reader: MetricReader,
  nowMs: () => number,
  isCounted: (metric: Metric) => boolean,
  rates = usualRates,
): PutLimits {
  const requests = bucket(rates.requestsPerSecond, nowMs);
  const data = bucket(rates.dataPerSecond, nowMs);
  let underWay = 0;
  let known: Set<string> | undefined;
  let countedAtMs = 0;

  async function count(): Promise<Set<string>> {
    countedAtMs = nowMs();
    const listed = await reader.list({ sinceMs: countedAtMs - activeMs });
    return new Set(listed.filter(isCounted).map(metricKey));
  }

  async function checkCount(metrics: readonly Metric[]): Promise<void> {
    known ??= await count();
    const keys = new Set(metrics.map(metricKey));
    const added = () => [...keys].filter((key) => !known!.has(key));
    if (known.size + added().length > rates.metrics && nowMs() - countedAtMs > countAgainMs) {
      known = await count();
    }
    const missing = added();
    if (known.size + missing.length > rates.metrics) {
      throw serviceError('LimitExceededFault', `There can be up to ${rates.metrics} metrics of one's own.`, {
        hint: 'Fewer values of dimensions make fewer metrics; those without data are forgotten after two weeks.',
      });
    }
    for (const key of missing) known.add(key);
  }

  return {
    async within({ metrics, dataCount }, work) {
      if (underWay >= rates.underWay || !requests.take(1)) throw tooFast('requests');
      if (!data.take(dataCount)) throw tooFast('values');
      underWay += 1;
      try {
        await checkCount(metrics);
        await work().catch((error: Error) => {
          throw error instanceof TooManyMetrics ? serviceError('LimitExceededFault', error.message) : error;
        });
      } finally {
        underWay -= 1;
      }
    },
  };
}

/** A token bucket: what was not used in the last seconds may be taken at once. A full one gives out anything. */
function bucket(perSecond: number, nowMs: () => number): { take(count: number): boolean } {
  const most = perSecond * burstSeconds;
  let left = most;
  let atMs = nowMs();
  return {
    take(count) {
      const now = nowMs();
      left = Math.min(most, left + (Math.max(0, now - atMs) / 1000) * perSecond);
      atMs = now;
      if (left < Math.min(count, most)) return false;
      left -= count;
      return true;
    },
  };
}

function tooFast(what: string) {
  return serviceError('Throttling', `Rate exceeded: too many ${what} at once.`, {
    hint: 'Put several metrics into one request, and several values into one metric.',
  });
}
