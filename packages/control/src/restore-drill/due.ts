/** (pure) Restore drills: of which sources one is due, and what it found. */
import type { Rehearsal } from '@larder/fleet/host';
import type { Origin, Snapshot } from '../snapshot/snapshot.ts';

export type DrillOutcome = 'passed' | 'failed' | 'skipped';

/** The last one of a source. */
export interface DrillResult {
  readonly origin: Pick<Origin, 'resource' | 'id'>;
  /** The snapshot that was loaded. */
  readonly snapshot: string;
  readonly endedAtMs: number;
  readonly tookMs: number;
  readonly outcome: DrillOutcome;
  /** When it was saved. */
  readonly keysRecorded: number;
  /** With those whose life time was over meanwhile. */
  readonly keysFound: number;
  /** Why it failed or was skipped. */
  readonly because?: string;
}

/** There may be room then. */
const skippedAgainMs = 3_600_000;

/** Each source's newest snapshot, by the source. */
export function latestSnapshots(snapshots: readonly Snapshot[]): Map<string, Snapshot> {
  const latest = new Map<string, Snapshot>();
  for (const each of snapshots) {
    // A copy's data is another's.
    if (each.status !== 'available' || each.kind === 'seed' || each.copiedFrom !== undefined) continue;
    const known = latest.get(sourceKey(each.origin));
    if (known === undefined || known.createdAtMs < each.createdAtMs) latest.set(sourceKey(each.origin), each);
  }
  return latest;
}

export function sourceKey({ resource, id }: Pick<Origin, 'resource' | 'id'>): string {
  return `${resource}/${id}`;
}

/**
 * A source is due when its last drill is as long ago as drills are apart; after half of that already for an automatic
 * snapshot which that drill did not see, so that the daily one is loaded soon after it was taken.
 */
export function dueSnapshots(
  snapshots: readonly Snapshot[],
  results: readonly DrillResult[],
  { nowMs, everyMs }: { readonly nowMs: number; readonly everyMs: number },
): Snapshot[] {
  if (everyMs === 0) return [];
  const last = new Map(results.map((each) => [sourceKey(each.origin), each]));
  return [...latestSnapshots(snapshots).entries()]
    .filter(([key, { kind, name }]) => {
      const before = last.get(key);
      if (before === undefined) return true;
      if (before.outcome === 'skipped') return nowMs - before.endedAtMs >= Math.min(everyMs, skippedAgainMs);
      const news = kind === 'automated' && name !== before.snapshot;
      return nowMs - before.endedAtMs >= (news ? everyMs / 2 : everyMs);
    })
    .map(([, snapshot]) => snapshot);
}

/** Of all shards together. */
export function judge(
  { shards }: Snapshot,
  rehearsals: readonly Rehearsal[],
): Pick<DrillResult, 'outcome' | 'keysRecorded' | 'keysFound' | 'because'> {
  const keysRecorded = shards.reduce((sum, { saved }) => sum + (saved?.keys ?? 0), 0);
  let keysFound = 0;
  for (const [index, found] of rehearsals.entries()) {
    const { id, saved } = shards[index]!;
    const told = { keysRecorded, keysFound };
    if (found.kind !== 'loaded') {
      const outcome = found.kind === 'failed' ? 'failed' : 'skipped';
      return { ...told, outcome, because: `shard ${id}: ${found.because}` };
    }
    const keys = found.keys + found.expiredKeys;
    keysFound += keys;
    if (keys !== saved?.keys) {
      const because = `shard ${id} had ${saved?.keys ?? 0} keys when it was saved, and ${keys} were loaded`;
      return { ...told, keysFound, outcome: 'failed', because };
    }
  }
  return { outcome: 'passed', keysRecorded, keysFound };
}
