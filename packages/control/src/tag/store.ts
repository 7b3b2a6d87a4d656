/** The tags' SQL: one row for each, by the resource's type and name as in its ARN. */
import type { ArnResourceType } from '@larder/contract/ids';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import type { Tag } from '../request/tags.ts';

export interface TaggedResource {
  /** Alarms and dashboards are CloudWatch's; the others are ElastiCache's. */
  readonly resourceType: ArnResourceType | 'alarm' | 'dashboard';
  readonly name: string;
}

/** In the order of their keys. */
export async function readTagsOf(
  database: Database | DatabaseTransaction,
  resource: TaggedResource,
): Promise<Tag[]> {
  return database
    .selectFrom('tag')
    .select(['key', 'value'])
    .where('resource_type', '=', resource.resourceType)
    .where('resource_name', '=', resource.name)
    .orderBy('key')
    .execute();
}

/** Adds the tags; a key that is there gets the new value. The quota is the caller's to check. */
export async function writeTags(
  transaction: DatabaseTransaction,
  resource: TaggedResource,
  tags: readonly Tag[],
): Promise<void> {
  for (const { key, value } of tags) {
    await transaction
      .insertInto('tag')
      .values({ resource_type: resource.resourceType, resource_name: resource.name, key, value })
      .onConflict((conflict) =>
        conflict.columns(['resource_type', 'resource_name', 'key']).doUpdateSet({ value }),
      )
      .execute();
  }
}

/**
 * All of a resource that goes away, or the ones with these keys. With a replication group go its members' own, so it is
 * called before those are deleted.
 */
export async function deleteTags(
  transaction: DatabaseTransaction,
  resource: TaggedResource,
  keys?: readonly string[],
): Promise<void> {
  let query = transaction
    .deleteFrom('tag')
    .where('resource_type', '=', resource.resourceType)
    .where('resource_name', '=', resource.name);
  if (keys !== undefined) query = query.where('key', 'in', keys);
  await query.execute();
  if (resource.resourceType !== 'replicationgroup' || keys !== undefined) return;
  await transaction
    .deleteFrom('tag')
    .where('resource_type', '=', 'cluster')
    .where('resource_name', 'in', (members) =>
      members.selectFrom('member').select('id').where('group_id', '=', resource.name),
    )
    .execute();
}
