/** The update actions' SQL. */
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { UpdateAction, UpdatedResource } from './service-update.ts';

export async function readUpdateActions(database: Database | DatabaseTransaction): Promise<UpdateAction[]> {
  const rows = await database
    .selectFrom('update_action')
    .select(['update_name', 'resource', 'resource_id', 'started_at', 'stopped'])
    .execute();
  return rows.map((row) => ({
    update: row.update_name,
    resource: row.resource as UpdatedResource,
    id: row.resource_id,
    startedAtMs: row.started_at,
    stopped: row.stopped === 1,
  }));
}

/** Another update of the same resource takes the place of one that was not complete. */
export async function writeUpdateAction(
  transaction: DatabaseTransaction,
  action: UpdateAction,
): Promise<void> {
  const values = {
    update_name: action.update,
    resource: action.resource,
    resource_id: action.id,
    started_at: action.startedAtMs,
    stopped: action.stopped ? 1 : 0,
  };
  await transaction
    .insertInto('update_action')
    .values(values)
    .onConflict((conflict) =>
      conflict.columns(['update_name', 'resource', 'resource_id']).doUpdateSet({
        started_at: values.started_at,
        stopped: values.stopped,
      }),
    )
    .execute();
}

export async function deleteUpdateActions(
  transaction: DatabaseTransaction,
  resource: UpdatedResource,
  id: string,
): Promise<void> {
  await transaction
    .deleteFrom('update_action')
    .where('resource', '=', resource)
    .where('resource_id', '=', id)
    .execute();
}
