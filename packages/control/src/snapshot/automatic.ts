/** The daily snapshots: when one is due, how it is named, and how long it is kept. */
import type { ControlContext } from '../control-context.ts';
import type { Database } from '../database/connect.ts';
import { defaultSnapshotWindow, openSinceMs } from '../request/snapshot-window.ts';
import { changeSource, isOf, readSource, type Source } from './origin.ts';
import type { Snapshot } from './snapshot.ts';
import { readSnapshots } from './store.ts';
import { beginSnapshot } from './take.ts';

const dayMs = 24 * 3_600_000;

export interface AutomaticDeps {
  readonly database: Database;
  readonly nowMs: () => number;
  readonly wake: ControlContext['wake'];
}

/**
 * Begins the snapshot of this day's window, if it is open, the source is available, and there is none of it yet.
 * @param member of a replication group without cluster mode: whose data it is to be.
 * @returns whether one was begun.
 */
export async function beginAutomaticSnapshot(
  { database, nowMs, wake }: AutomaticDeps,
  { origin, status, settings, retentionDays }: Source,
  member?: string,
): Promise<boolean> {
  if (status !== 'available' || retentionDays === 0) return false;
  const window = settings.snapshotWindow ?? defaultSnapshotWindow;
  const sinceMs = openSinceMs(window, nowMs());
  if (sinceMs === undefined) return false;
  const begun = await database.transaction().execute(async (transaction) => {
    const source = await readSource(transaction, origin);
    if (source === undefined) return undefined;
    const name = automaticName(member ?? origin.id, nowMs());
    const present = await readSnapshots(transaction, { origin });
    const done = present.some(
      (each) =>
        each.name === name ||
        (each.kind === 'automated' && each.createdAtMs >= sinceMs && isOf(each, source)),
    );
    if (done) return undefined;
    if (!(await changeSource(transaction, origin, 'snapshot-requested'))) return undefined;
    return beginSnapshot(transaction, source, {
      name,
      kind: 'automated',
      final: false,
      ...(member !== undefined && { member }),
      nowMs: nowMs(),
    });
  });
  if (begun !== undefined) wake('snapshot', begun.name);
  return begun !== undefined;
}

/** (pure) `automatic.shop-001-2026-11-23-03-04`. */
export function automaticName(id: string, nowMs: number): string {
  const [date, time] = new Date(nowMs).toISOString().split('T') as [string, string];
  return `automatic.${id}-${date}-${time.slice(0, 5).replace(':', '-')}`;
}

/** (pure) With its source an automatic snapshot goes too; while there are none any more, the old ones stay their time. */
export function hasExpired(
  { kind, createdAtMs, settings }: Pick<Snapshot, 'kind' | 'createdAtMs' | 'settings'>,
  source: Pick<Source, 'retentionDays'> | undefined,
  nowMs: number,
): boolean {
  if (kind !== 'automated') return false;
  if (source === undefined) return true;
  const days = source.retentionDays || settings.snapshotRetentionDays;
  return nowMs >= createdAtMs + days * dayMs;
}
