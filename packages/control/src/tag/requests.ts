/** AddTagsToResource, RemoveTagsFromResource, ListTagsForResource. */
import type { Caller } from '@larder/contract/elasticache/handlers';
import type { Input, Output } from '@larder/contract/elasticache/model';
import { type ErrorName, type ServiceError, serviceError } from '@larder/contract/errors';
import { type ArnResourceType, parseArn } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import type { Database, DatabaseTransaction } from '../database/connect.ts';
import { readParameterGroup } from '../parameter-group/store.ts';
import { mostTags, readTags, type Tag } from '../request/tags.ts';
import { readSnapshot } from '../snapshot/store.ts';
import { readSubnetGroups } from '../subnet-group/store.ts';
import { deleteTags, readTagsOf, type TaggedResource, writeTags } from './store.ts';

type Owner = Pick<Caller, 'region' | 'accountId'>;
type Reader = Database | DatabaseTransaction;

/** @throws ServiceError InvalidARN, the type's own not found, TagQuotaPerResourceExceeded, InvalidParameterValue */
export async function addTags(
  { database }: ControlContext,
  owner: Owner,
  input: Input<'AddTagsToResource'>,
): Promise<Output<'AddTagsToResource'>> {
  const tags = readTags(input.Tags);
  return database.transaction().execute(async (transaction) => {
    const resource = await existingResource(transaction, owner, input.ResourceName);
    await writeTags(transaction, resource, tags);
    if ((await readTagsOf(transaction, resource)).length > mostTags) {
      throw serviceError('TagQuotaPerResourceExceeded', `A resource may have at most ${mostTags} tags.`);
    }
    return tagList(transaction, resource);
  });
}

/**
 * @returns the tags that are left.
 * @throws ServiceError InvalidARN, the type's own not found, TagNotFound for a key that the resource does not have.
 */
export async function removeTags(
  { database }: ControlContext,
  owner: Owner,
  input: Input<'RemoveTagsFromResource'>,
): Promise<Output<'RemoveTagsFromResource'>> {
  return database.transaction().execute(async (transaction) => {
    const resource = await existingResource(transaction, owner, input.ResourceName);
    const here = new Set((await readTagsOf(transaction, resource)).map(({ key }) => key));
    const missing = input.TagKeys.find((key) => !here.has(key));
    if (missing !== undefined) {
      throw serviceError(
        'TagNotFoundFault',
        `${resource.name} has no tag ${missing.slice(0, 128)} of its own.`,
      );
    }
    if (input.TagKeys.length > 0) await deleteTags(transaction, resource, [...new Set(input.TagKeys)]);
    return tagList(transaction, resource);
  });
}

/** @throws ServiceError InvalidARN, the type's own not found */
export async function listTags(
  { database }: ControlContext,
  owner: Owner,
  input: Input<'ListTagsForResource'>,
): Promise<Output<'ListTagsForResource'>> {
  return tagList(database, await existingResource(database, owner, input.ResourceName));
}

async function tagList(database: Reader, resource: TaggedResource): Promise<Output<'ListTagsForResource'>> {
  const tags = [...(await groupTags(database, resource)), ...(await readTagsOf(database, resource))];
  const byKey = new Map(tags.map(({ key, value }) => [key, value]));
  return { TagList: [...byKey].map(([Key, Value]) => ({ Key, Value })) };
}

/** A replication group's tags hold for its members; a member's own tag of that key comes first. */
async function groupTags(database: Reader, { resourceType, name }: TaggedResource): Promise<Tag[]> {
  if (resourceType !== 'cluster') return [];
  const row = await database
    .selectFrom('member')
    .select('group_id')
    .where('id', '=', name)
    .executeTakeFirst();
  return row === undefined
    ? []
    : readTagsOf(database, { resourceType: 'replicationgroup', name: row.group_id });
}

interface Kind {
  /** What it is called, and the error when there is none of that name. */
  readonly title: string;
  readonly notFound: ErrorName;
  readonly exists: (database: Reader, name: string, region: string) => Promise<boolean>;
}

/** Of what is not made here yet there is none. */
const nothing = async () => false;

const kinds: Readonly<Record<Exclude<ArnResourceType, 'globalreplicationgroup'>, Kind>> = {
  cluster: {
    title: 'Cache cluster',
    notFound: 'CacheClusterNotFoundFault',
    exists: async (database, name) =>
      (await hasRow(database, 'cache_cluster', name)) || (await hasRow(database, 'member', name)),
  },
  replicationgroup: {
    title: 'Replication group',
    notFound: 'ReplicationGroupNotFoundFault',
    exists: (database, name) => hasRow(database, 'replication_group', name),
  },
  parametergroup: {
    title: 'Cache parameter group',
    notFound: 'CacheParameterGroupNotFoundFault',
    exists: async (database, name) => (await readParameterGroup(database, name)) !== undefined,
  },
  subnetgroup: {
    title: 'Cache subnet group',
    notFound: 'CacheSubnetGroupNotFoundFault',
    exists: async (database, name, region) =>
      (await readSubnetGroups(database, region)).some((each) => each.name === name),
  },
  user: {
    title: 'User',
    notFound: 'UserNotFoundFault',
    exists: (database, name) => hasRow(database, 'cache_user', name),
  },
  usergroup: {
    title: 'User group',
    notFound: 'UserGroupNotFoundFault',
    exists: (database, name) => hasRow(database, 'user_group', name),
  },
  securitygroup: {
    title: 'Cache security group',
    notFound: 'CacheSecurityGroupNotFoundFault',
    exists: nothing,
  },
  snapshot: {
    title: 'Snapshot',
    notFound: 'SnapshotNotFoundFault',
    exists: async (database, name) => (await readSnapshot(database, name)) !== undefined,
  },
  serverlesscache: { title: 'Serverless cache', notFound: 'ServerlessCacheNotFoundFault', exists: nothing },
  serverlesscachesnapshot: {
    title: 'Serverless cache snapshot',
    notFound: 'ServerlessCacheSnapshotNotFoundFault',
    exists: nothing,
  },
  'reserved-instance': {
    title: 'Reserved cache node',
    notFound: 'ReservedCacheNodeNotFoundFault',
    exists: nothing,
  },
};

async function existingResource(database: Reader, owner: Owner, arn: string): Promise<TaggedResource> {
  const { region, accountId, resourceType, name: given } = parseArn(arn);
  if (resourceType === 'globalreplicationgroup') throw invalidArn('A global replication group has no tags.');
  if (region !== owner.region || accountId !== owner.accountId) {
    throw invalidArn(`The ARN is not of account ${owner.accountId} in ${owner.region}.`);
  }
  const name = given.toLowerCase();
  const { title, notFound, exists } = kinds[resourceType];
  if (!(await exists(database, name, region))) throw serviceError(notFound, `${title} ${name} not found.`);
  return { resourceType, name };
}

async function hasRow(
  database: Reader,
  table: 'cache_cluster' | 'member' | 'replication_group' | 'cache_user' | 'user_group',
  id: string,
): Promise<boolean> {
  return (
    (await database.selectFrom(table).select('id').where('id', '=', id).executeTakeFirst()) !== undefined
  );
}

function invalidArn(message: string): ServiceError {
  return serviceError('InvalidARNFault', message);
}
