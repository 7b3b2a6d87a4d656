/** What nodes had counted at the beginning of the minute: read back after a restart, so that no minute is missed. */
import { sql, type Transaction } from 'kysely';
import type { MinuteCount } from './node-watch.ts';
import type { MetricDatabase, MetricTables } from './tables.ts';

export async function readMinuteCounts(database: MetricDatabase): Promise<Map<string, MinuteCount>> {
  const rows = await database.selectFrom('node_count').selectAll().execute();
  return new Map(rows.map(({ node_id: nodeId, count }) => [nodeId, JSON.parse(count) as MinuteCount]));
}

/** In the transaction that records the minute before: else a kill between the two would count it twice, or never. */
export async function writeMinuteCounts(
  transaction: Transaction<MetricTables>,
  counts: ReadonlyMap<string, MinuteCount>,
): Promise<void> {
  if (counts.size === 0) return;
  await transaction
    .insertInto('node_count')
    .values([...counts].map(([nodeId, count]) => ({ node_id: nodeId, count: JSON.stringify(count) })))
    .onConflict((conflict) => conflict.column('node_id').doUpdateSet({ count: sql`excluded.count` }))
    .execute();
}

export async function dropMinuteCounts(database: MetricDatabase, nodeIds: readonly string[]): Promise<void> {
  if (nodeIds.length === 0) return;
  await database.deleteFrom('node_count').where('node_id', 'in', nodeIds).execute();
}
