/**
 * Remembers when nodes were started, so that one whose process keeps ending is started less and less often.
 * In memory only: a restarted service tries afresh.
 */
import type { NodeObservation } from '@larder/fleet/host';

export interface StartHistory {
  started(nodeId: string, atMs: number): void;
  /** It is ended on purpose, to be started anew: no failed start, and it need not wait. */
  restarting(nodeId: string): void;
  /** Somebody wants it tried again. */
  forgive(nodeId: string): void;
  /** For nodes that ended soon after their last start: when they may be started again; `Infinity` for never. */
  earliestStartMs(
    observations: ReadonlyMap<string, NodeObservation>,
    nowMs: number,
  ): ReadonlyMap<string, number>;
  /** Whether a node ended soon after each of its last starts, so often that more tries are pointless. */
  keepFailing(observations: ReadonlyMap<string, NodeObservation>): boolean;
  /** Nodes that are not started any more, and how many starts failed; without those `told` was called for. */
  givenUp(observations: ReadonlyMap<string, NodeObservation>): ReadonlyMap<string, number>;
  told(nodeId: string): void;
}

/** A process that lived longer than this was no failed start. */
const livedMs = 2_000;
const firstDelayMs = 50;
const longestDelayMs = 60_000;
const hopelessAfter = 6;
/** A full disk or a port that is taken may pass: a node that served is tried at least so long. */
const leastTriedMs = 60_000;

interface Starts {
  readonly lastMs: number;
  readonly failures: number;
  /** The first of those in a row. */
  readonly firstMs: number;
  readonly told: boolean;
}

export function startHistory(): StartHistory {
  const starts = new Map<string, Starts>();

  return {
    started(nodeId, atMs) {
      const known = starts.get(nodeId);
      const soon = known !== undefined && atMs - known.lastMs < livedMs + delayAfterMs(known.failures);
      starts.set(
        nodeId,
        soon
          ? { ...known, lastMs: atMs, failures: known.failures + 1 }
          : { lastMs: atMs, failures: 0, firstMs: atMs, told: false },
      );
    },
    restarting(nodeId) {
      starts.delete(nodeId);
    },
    forgive(nodeId) {
      starts.delete(nodeId);
    },
    earliestStartMs(observations, nowMs) {
      const earliest = new Map<string, number>();
      for (const [nodeId, { process }] of observations) {
        const known = starts.get(nodeId);
        if (known === undefined) continue;
        if (process.kind === 'running') {
          if (nowMs - known.lastMs > livedMs) starts.delete(nodeId);
          continue;
        }
        if (known.failures === 0 && nowMs - known.lastMs > livedMs) continue;
        const delayMs = isGivenUp(known) ? Number.POSITIVE_INFINITY : delayAfterMs(known.failures);
        earliest.set(nodeId, known.lastMs + delayMs);
      }
      return earliest;
    },
    keepFailing(observations) {
      return [...observations].some(
        ([nodeId, { process }]) =>
          process.kind === 'dead' && (starts.get(nodeId)?.failures ?? 0) >= hopelessAfter,
      );
    },
    givenUp(observations) {
      const found = [...observations].flatMap(([nodeId, { process }]) => {
        const known = starts.get(nodeId);
        const tell = process.kind === 'dead' && known !== undefined && isGivenUp(known) && !known.told;
        return tell ? [[nodeId, known.failures + 1] as const] : [];
      });
      return new Map(found);
    },
    told(nodeId) {
      const known = starts.get(nodeId);
      if (known !== undefined) starts.set(nodeId, { ...known, told: true });
    },
  };
}

function isGivenUp({ failures, firstMs, lastMs }: Starts): boolean {
  return failures >= hopelessAfter && lastMs - firstMs >= leastTriedMs;
}

function delayAfterMs(failures: number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** failures);
}
