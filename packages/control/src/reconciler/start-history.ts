/**
 * Remembers when nodes were started, so that one whose process keeps ending is started less and less often.
 * In memory only: a restarted service tries afresh.
 */
import type { NodeObservation } from '@larder/fleet/host';

export interface StartHistory {
  started(nodeId: string, atMs: number): void;
  /** It is ended on purpose, to be started anew: no failed start, and it need not wait. */
  restarting(nodeId: string): void;
  /** For nodes that ended soon after their last start: when they may be started again. */
  earliestStartMs(
    observations: ReadonlyMap<string, NodeObservation>,
    nowMs: number,
  ): ReadonlyMap<string, number>;
  /** Whether a node ended soon after each of its last starts, so often that more tries are pointless. */
  keepFailing(observations: ReadonlyMap<string, NodeObservation>): boolean;
}

/** A process that lived longer than this was no failed start. */
const livedMs = 2_000;
const firstDelayMs = 50;
const longestDelayMs = 60_000;
const hopelessAfter = 6;

export function startHistory(): StartHistory {
  const starts = new Map<string, { lastMs: number; failures: number }>();

  return {
    started(nodeId, atMs) {
      const known = starts.get(nodeId);
      const soon = known !== undefined && atMs - known.lastMs < livedMs + delayAfterMs(known.failures);
      starts.set(nodeId, { lastMs: atMs, failures: soon ? known.failures + 1 : 0 });
    },
    restarting(nodeId) {
      starts.delete(nodeId);
    },
    earliestStartMs(observations, nowMs) {
      const earliest = new Map<string, number>();
      for (const [nodeId, { process }] of observations) {
        const known = starts.get(nodeId);
        if (known === undefined || process.kind === 'running') continue;
        if (known.failures === 0 && nowMs - known.lastMs > livedMs) continue;
        earliest.set(nodeId, known.lastMs + delayAfterMs(known.failures));
      }
      return earliest;
    },
    keepFailing(observations) {
      return [...observations].some(
        ([nodeId, { process }]) =>
          process.kind === 'dead' && (starts.get(nodeId)?.failures ?? 0) >= hopelessAfter,
      );
    },
  };
}

function delayAfterMs(failures: number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** failures);
}
