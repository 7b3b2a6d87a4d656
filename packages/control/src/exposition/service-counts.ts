/** What the service counts of itself, in memory: it begins anew with each start, as counters of processes do. */
import type { Sample } from '@larder/metrics/exposition/open-metrics';
import type { EndedPass } from '../reconciler/driver.ts';

export interface ServedRequest {
  readonly requestId: string;
  readonly startedAtMs: number;
  /** `unknown` when it did not get so far. */
  readonly operation: string;
  /** `OK`, or that of the error that was answered. */
  readonly code: string;
  readonly durationMs: number;
}

export interface ServiceCounts {
  request(served: ServedRequest): void;
  pass(ended: Pick<EndedPass, 'reconciler' | 'outcome'>): void;
  /** Reads an event of the log. */
  event(sourceType: string, sourceId: string, message: string): void;
  readonly requests: () => Sample[];
  readonly requestDurations: () => Sample[];
  readonly passes: () => Sample[];
  readonly events: () => Sample[];
  readonly failovers: () => Sample[];
}

/** Of one family. Names come from clients and customers: what is beyond it is counted together. */
const mostSeries = 1_000;

export function serviceCounts(): ServiceCounts {
  const requests = counter();
  const requestCounts = counter();
  const requestSeconds = counter();
  const passes = counter();
  const events = counter();
  const failovers = counter();
  return {
    request({ operation, code, durationMs }) {
      requests.add({ operation, code });
      requestCounts.add({ operation });
      requestSeconds.add({ operation }, durationMs / 1_000);
    },
    pass: ({ reconciler, outcome }) => passes.add({ reconciler, outcome }),
    event(sourceType, sourceId, message) {
      events.add({ source_type: sourceType });
      if (sourceType === 'replication-group' && message.startsWith('Failover from primary node ')) {
        failovers.add({ replication_group: sourceId });
      }
    },
    requests: requests.samples,
    requestDurations() {
      const counts = requestCounts.samples();
      const sums = requestSeconds.samples();
      return counts.map(({ labels, value }, index) => ({
        labels,
        value: { sum: sums[index]!.value as number, count: value as number },
      }));
    },
    passes: passes.samples,
    events: events.samples,
    failovers: failovers.samples,
  };
}

function counter() {
  const series = new Map<string, { labels: Record<string, string>; value: number }>();
  return {
    add(labels: Record<string, string>, amount = 1): void {
      let key = JSON.stringify(labels);
      if (!series.has(key) && series.size >= mostSeries) {
        labels = Object.fromEntries(Object.keys(labels).map((name) => [name, 'other']));
        key = JSON.stringify(labels);
      }
      const found = series.get(key);
      if (found === undefined) series.set(key, { labels, value: amount });
      else found.value += amount;
    },
    samples: (): Sample[] => [...series.values()].map(({ labels, value }) => ({ labels, value })),
  };
}
