/** Create, modify, delete. A group decides about nodes that are placed later; those that stand stay where they are. */
import type { Input } from '@larder/contract/elasticache/model';
import { serviceError } from '@larder/contract/errors';
import { checkedName } from '@larder/contract/ids';
import type { ControlContext } from '../control-context.ts';
import type { DatabaseTransaction } from '../database/connect.ts';
import { recordEvent } from '../event-log/event-log.ts';
import { readTags } from '../request/tags.ts';
import { deleteTags, writeTags } from '../tag/store.ts';
import {
  countSubnetGroups,
  existingSubnetGroup,
  nodesInSubnetGroup,
  readSubnetGroups,
  removeSubnetGroup,
  saveSubnetGroup,
} from './store.ts';
import { defaultSubnetGroup, type SubnetGroup, subnetsOf, zoneOfSubnet } from './subnet-group.ts';

/** ElastiCache's quotas. */
const mostGroups = 300;
const mostSubnets = 20;

/**
 * @throws ServiceError CacheSubnetGroupAlreadyExists, CacheSubnetGroupQuotaExceeded, CacheSubnetQuotaExceededFault,
 *   InvalidSubnet, InvalidParameterValue, TagQuotaPerResourceExceeded
 */
export async function createSubnetGroup(
  context: ControlContext,
  region: string,
  input: Input<'CreateCacheSubnetGroup'>,
): Promise<SubnetGroup> {
  const group: SubnetGroup = {
    name: checkedName('CacheSubnetGroupName', input.CacheSubnetGroupName),
    description: input.CacheSubnetGroupDescription,
    subnets: knownSubnets(input.SubnetIds, region),
  };
  const tags = readTags(input.Tags);
  const { name } = group;
  await context.database.transaction().execute(async (transaction) => {
    if ((await readSubnetGroups(transaction, region)).some((each) => each.name === name)) {
      throw serviceError('CacheSubnetGroupAlreadyExistsFault', `Cache subnet group ${name} already exists.`);
    }
    if ((await countSubnetGroups(transaction)) >= mostGroups) {
      throw serviceError(
        'CacheSubnetGroupQuotaExceededFault',
        `There can be at most ${mostGroups} subnet groups.`,
        { hint: 'Delete one that is not used.' },
      );
    }
    await saveSubnetGroup(transaction, group);
    await writeTags(transaction, { resourceType: 'subnetgroup', name }, tags);
    await record(context, transaction, name, `Created cache subnet group ${name}`);
  });
  return group;
}

/**
 * Replaces the description or the subnets.
 * @throws ServiceError CacheSubnetGroupNotFoundFault, InvalidSubnet, CacheSubnetQuotaExceededFault; SubnetInUse when a
 *   node of a user of the group stands in the zone of a subnet that would go; SubnetNotAllowedFault for the default one.
 */
export async function modifySubnetGroup(
  context: ControlContext,
  region: string,
  input: Input<'ModifyCacheSubnetGroup'>,
): Promise<SubnetGroup> {
  const subnets = input.SubnetIds === undefined ? undefined : knownSubnets(input.SubnetIds, region);
  return context.database.transaction().execute(async (transaction) => {
    const before = await existingSubnetGroup(transaction, input.CacheSubnetGroupName, region);
    if (before.name === defaultSubnetGroup) {
      throw serviceError('SubnetNotAllowedFault', 'The default subnet group always has every subnet.');
    }
    const after: SubnetGroup = {
      ...before,
      description: input.CacheSubnetGroupDescription ?? before.description,
      subnets: subnets ?? before.subnets,
    };
    const zones = after.subnets.map(zoneOfSubnet);
    const gone = before.subnets.map(zoneOfSubnet).filter((zone) => !zones.includes(zone));
    const node = (await nodesInSubnetGroup(transaction, before.name)).find(({ zone }) => gone.includes(zone));
    if (node !== undefined) {
      throw serviceError(
        'SubnetInUse',
        `The subnet subnet-${node.zone} is in use by ${node.of}, which has a node in ${node.zone}.`,
      );
    }
    await saveSubnetGroup(transaction, after);
    await record(context, transaction, after.name, `Modified cache subnet group ${after.name}`);
    return after;
  });
}

/** @throws ServiceError CacheSubnetGroupNotFoundFault, CacheSubnetGroupInUse */
export async function deleteSubnetGroup(
  context: ControlContext,
  region: string,
  input: Input<'DeleteCacheSubnetGroup'>,
): Promise<void> {
  await context.database.transaction().execute(async (transaction) => {
    const { name } = await existingSubnetGroup(transaction, input.CacheSubnetGroupName, region);
    if (name === defaultSubnetGroup) {
      throw serviceError('CacheSubnetGroupInUse', "The default subnet group can't be deleted.");
    }
    const [node] = await nodesInSubnetGroup(transaction, name);
    if (node !== undefined) {
      throw serviceError(
        'CacheSubnetGroupInUse',
        `Cache subnet group ${name} is currently in use by ${node.of}.`,
      );
    }
    await removeSubnetGroup(transaction, name);
    await deleteTags(transaction, { resourceType: 'subnetgroup', name });
    await record(context, transaction, name, `Deleted cache subnet group ${name}`);
  });
}

/** Each once. */
function knownSubnets(ids: readonly string[], region: string): string[] {
  if (ids.length > mostSubnets) {
    throw serviceError(
      'CacheSubnetQuotaExceededFault',
      `A subnet group has at most ${mostSubnets} subnets; ${ids.length} were given.`,
    );
  }
  if (ids.length === 0) {
    throw serviceError('InvalidParameterValueException', 'SubnetIds must name at least one subnet.');
  }
  const known = subnetsOf(region);
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown !== undefined) {
    throw serviceError(
      'InvalidSubnet',
      `There is no subnet ${unknown.slice(0, 100)}; there is one in each zone: ${known.join(', ')}.`,
    );
  }
  return [...new Set(ids)];
}

function record(
  context: ControlContext,
  transaction: DatabaseTransaction,
  name: string,
  message: string,
): Promise<void> {
  return recordEvent(transaction, {
    atMs: context.nowMs(),
    sourceType: 'cache-subnet-group',
    sourceId: name,
    message,
  });
}
