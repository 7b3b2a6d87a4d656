/** The restore drills' SQL: the last result of each source, also for metrics. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { Origin } from '../snapshot/snapshot.ts';
import type { DrillOutcome, DrillResult } from './due.ts';

export async function readDrillResults(database: Database | DatabaseTransaction): Promise<DrillResult[]> {
  const rows = await database
    .selectFrom('restore_drill')
    .selectAll()
    .orderBy('origin_resource')
    .orderBy('origin_id')
    .execute();
  return rows.map((row) => ({
    origin: { resource: row.origin_resource as Origin['resource'], id: row.origin_id },
    snapshot: row.snapshot,
    endedAtMs: row.ended_at,
    tookMs: row.took_ms,
    outcome: row.outcome as DrillOutcome,
    keysRecorded: row.keys_recorded,
    keysFound: row.keys_found,
    ...(row.because !== null && { because: row.because }),
  }));
}

export async function writeDrillResult(transaction: DatabaseTransaction, result: DrillResult): Promise<void> {
  await forgetDrillResult(transaction, result.origin);
  await transaction
    .insertInto('restore_drill')
    .values({
      origin_resource: result.origin.resource,
      origin_id: result.origin.id,
      snapshot: result.snapshot,
      ended_at: result.endedAtMs,
      took_ms: result.tookMs,
      outcome: result.outcome,
      keys_recorded: result.keysRecorded,
      keys_found: result.keysFound,
      because: result.because ?? null,
    })
    .execute();
}

export async function forgetDrillResult(
  database: Database | DatabaseTransaction,
  { resource, id }: DrillResult['origin'],
): Promise<void> {
  await database
    .deleteFrom('restore_drill')
    .where('origin_resource', '=', resource)
    .where('origin_id', '=', id)
    .execute();
}
