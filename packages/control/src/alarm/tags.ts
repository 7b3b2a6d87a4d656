/** TagResource, UntagResource and ListTagsForResource: of alarms and dashboards, by their ARNs. */
import type { CloudWatchInput, CloudWatchOutput } from '@larder/contract/cloudwatch/model';
import { type ServiceError, serviceError } from '@larder/contract/errors';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { invalidValue } from '../request/refusals.ts';
import { mostTags, readTags } from '../request/tags.ts';
import { deleteTags, readTagsOf, type TaggedResource, writeTags } from '../tag/store.ts';
import type { Place } from './alarm.ts';
import type { AlarmContext } from './put.ts';

type Context = Pick<AlarmContext, 'database' | 'place'>;

/** @throws ServiceError ResourceNotFoundException, InvalidParameterValue */
export async function tagResource(
  { database, place }: Context,
  input: CloudWatchInput<'TagResource'>,
): Promise<void> {
  const tags = readTags(input.Tags);
  await database.transaction().execute(async (transaction) => {
    const resource = await existing(transaction, input.ResourceARN, place);
    await writeTags(transaction, resource, tags);
    if ((await readTagsOf(transaction, resource)).length > mostTags) {
      throw invalidValue(`A resource may have at most ${mostTags} tags.`);
    }
  });
}

/** Keys that it does not have are no mistake. @throws ServiceError ResourceNotFoundException */
export async function untagResource(
  { database, place }: Context,
  input: CloudWatchInput<'UntagResource'>,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const resource = await existing(transaction, input.ResourceARN, place);
    if (input.TagKeys.length > 0) await deleteTags(transaction, resource, input.TagKeys);
  });
}

/** @throws ServiceError ResourceNotFoundException */
export async function listTagsForResource(
  { database, place }: Context,
  input: CloudWatchInput<'ListTagsForResource'>,
): Promise<CloudWatchOutput<'ListTagsForResource'>> {
  const tags = await readTagsOf(database, await existing(database, input.ResourceARN, place));
  return { Tags: tags.map(({ key, value }) => ({ Key: key, Value: value })) };
}

async function existing(
  database: Database | DatabaseTransaction,
  arn: string,
  { region, accountId }: Place,
): Promise<TaggedResource> {
  const alarms = `arn:aws:cloudwatch:${region}:${accountId}:alarm:`;
  // A dashboard belongs to no region.
  const dashboards = `arn:aws:cloudwatch::${accountId}:dashboard/`;
  const resourceType = arn.startsWith(alarms)
    ? 'alarm'
    : arn.startsWith(dashboards)
      ? 'dashboard'
      : undefined;
  if (resourceType === undefined) throw notThere(arn);
  const name = arn.slice(resourceType === 'alarm' ? alarms.length : dashboards.length);
  const row = await database
    .selectFrom(resourceType)
    .select('name')
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined) throw notThere(arn);
  return { resourceType, name };
}

function notThere(arn: string): ServiceError {
  return serviceError(
    'ResourceNotFoundException',
    `There is no alarm and no dashboard ${arn.slice(0, 300)} here.`,
  );
}
