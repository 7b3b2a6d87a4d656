/**
 * Since when could a transaction be seen? Its commit time does not say: PostgreSQL takes that before it writes
 * the commit to disk, and until the disk has answered nobody sees the change. On a busy disk that is a
 * quarter of a second now and then, and an auditor that trusted the commit time would accuse a shop that
 * reads straight from the database of showing stale pages. So a connection of its own asks for snapshots all
 * the time; a transaction that a snapshot does not hold was not visible when that snapshot was asked for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

export interface Snapshot {
  /** Before the question was sent, in milliseconds since 1970. */
  readonly askedAtMs: number;
  /** All transactions from this id on had not begun. */
  readonly nextId: bigint;
  /** Begun and not yet visible. */
  readonly underWay: ReadonlySet<bigint>;
}

export interface VisibilityClock {
  /** The last time at which the transaction is known not to have been visible; -Infinity when never asked then. */
  invisibleUntilMs(transactionId: string): number;
  stop(): Promise<void>;
}

/** By how much the auditor can be too severe. */
const everyMs = 20;

/** @param client a connection that nothing else uses. */
export function startVisibilityClock(client: pg.ClientBase): VisibilityClock {
  const snapshots: Snapshot[] = [];
  let running = true;
  const looking = (async () => {
    while (running) {
      const askedAtMs = Date.now();
      try {
        const { rows } = await client.query('SELECT pg_current_snapshot()::text AS snapshot');
        snapshots.push(parseSnapshot(rows[0].snapshot, askedAtMs));
      } catch {
        // Without the database there is nothing to be seen either; whoever needs it will say so.
      }
      await sleep(everyMs);
    }
  })();
  return {
    invisibleUntilMs: (transactionId) => invisibleUntil(snapshots, BigInt(transactionId)),
    async stop() {
      running = false;
      await looking;
    },
  };
}

/** (pure) `xmin:xmax:xip,xip`, as PostgreSQL prints it. */
export function parseSnapshot(text: string, askedAtMs: number): Snapshot {
  const [, nextId, underWay] = text.split(':');
  const ids = (underWay ?? '').split(',').filter((id) => id !== '');
  return { askedAtMs, nextId: BigInt(nextId ?? '0'), underWay: new Set(ids.map((id) => BigInt(id))) };
}

/** (pure) @param snapshots in the order of asking: once visible, always visible. */
export function invisibleUntil(snapshots: readonly Snapshot[], transactionId: bigint): number {
  let low = 0;
  let high = snapshots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { nextId, underWay } = snapshots[middle]!;
    if (transactionId < nextId && !underWay.has(transactionId)) high = middle;
    else low = middle + 1;
  }
  return low === 0 ? Number.NEGATIVE_INFINITY : snapshots[low - 1]!.askedAtMs;
}
