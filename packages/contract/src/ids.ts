/** The names ElastiCache gives things: how they are checked, stored and formed. Pure. */
import { serviceError } from './errors.ts';

export const REPLICATION_GROUP_ID_MAX_LENGTH = 40;
export const CACHE_CLUSTER_ID_MAX_LENGTH = 50;
export const SNAPSHOT_NAME_MAX_LENGTH = 40;
/** Parameter, subnet and security group names and user ids: the bound AWS states for group names. */
export const NAME_MAX_LENGTH = 255;

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const USER_ID = /^[a-zA-Z][a-zA-Z0-9-]*$/;
const NODE_GROUP_ID = /^\d{1,4}$/;

/**
 * Checks a replication group id and returns it as it is stored: in lower case.
 *
 * @throws ServiceError InvalidParameterValueException
 */
export function replicationGroupId(value: string): string {
  return checkedName('ReplicationGroupId', value, REPLICATION_GROUP_ID_MAX_LENGTH);
}

/** As replicationGroupId, for a cache cluster: up to 50 characters. */
export function cacheClusterId(value: string): string {
  return checkedName('CacheClusterId', value, CACHE_CLUSTER_ID_MAX_LENGTH);
}

/** As replicationGroupId, for a snapshot. */
export function snapshotName(value: string): string {
  return checkedName('SnapshotName', value, SNAPSHOT_NAME_MAX_LENGTH);
}

/**
 * The rule all ElastiCache names share: a letter first, then letters, digits and hyphens; no two hyphens in a row,
 * none at the end; compared and stored in lower case. For naming something new: what exists may have a name only
 * the service gives (`default.redis7`, `automatic.rg-2015-02-02`).
 *
 * @param parameter the request's member, named in the error.
 * @throws ServiceError InvalidParameterValueException
 */
export function checkedName(parameter: string, value: string, maxLength: number = NAME_MAX_LENGTH): string {
  // Length first: the pattern then never sees more than a name's worth of input.
  if (value.length === 0 || value.length > maxLength) {
    throw serviceError(
      'InvalidParameterValueException',
      `The parameter ${parameter} must have 1 to ${maxLength} characters; it has ${value.length}.`,
    );
  }
  // ASCII only: toLowerCase would turn the Kelvin sign into a plain k.
  const stored = /^[\x20-\x7e]*$/.test(value) ? value.toLowerCase() : value;
  if (!NAME.test(stored)) {
    throw serviceError(
      'InvalidParameterValueException',
      `The parameter ${parameter} must begin with a letter, hold only letters, digits and hyphens, and neither end with a hyphen nor hold two in a row.`,
    );
  }
  return stored;
}

/**
 * A user id or user group id: unlike other names, hyphens may repeat and end it. Stored in lower case.
 *
 * @throws ServiceError InvalidParameterValueException
 */
export function userId(value: string, parameter: 'UserId' | 'UserGroupId' = 'UserId'): string {
  if (value.length === 0 || value.length > NAME_MAX_LENGTH || !USER_ID.test(value)) {
    throw serviceError(
      'InvalidParameterValueException',
      `The parameter ${parameter} must begin with a letter and hold only letters, digits and hyphens.`,
    );
  }
  return value.toLowerCase();
}

/**
 * A node group (shard) id: `0001`. Shorter digits a client may send are padded.
 *
 * @throws ServiceError InvalidParameterValueException
 */
export function nodeGroupId(value: string): string {
  if (!NODE_GROUP_ID.test(value)) {
    throw serviceError(
      'InvalidParameterValueException',
      'The parameter NodeGroupId must be one to four digits.',
    );
  }
  return value.padStart(4, '0');
}

/** The id of a group's nth shard, counting from 1. */
export function nodeGroupIdOf(ordinal: number): string {
  return ordinalText(ordinal, 4);
}

/** The id of a node within its cache cluster, counting from 1: `0001`. */
export function cacheNodeIdOf(ordinal: number): string {
  return ordinalText(ordinal, 4);
}

/**
 * The cache cluster id of a group's nth member, counting from 1.
 *
 * @param nodeGroup the shard's id where cluster mode is enabled (`rg-0001-002`); omit it where it is disabled
 *   (`rg-002`).
 */
export function memberClusterId(groupId: string, memberOrdinal: number, nodeGroup?: string): string {
  const member = ordinalText(memberOrdinal, 3);
  return nodeGroup === undefined ? `${groupId}-${member}` : `${groupId}-${nodeGroup}-${member}`;
}

function ordinalText(ordinal: number, width: number): string {
  if (!Number.isSafeInteger(ordinal) || ordinal < 1 || ordinal >= 10 ** width) {
    throw new RangeError(`an ordinal of ${width} digits cannot be ${ordinal}`);
  }
  return String(ordinal).padStart(width, '0');
}

export const arnResourceTypes = [
  'cluster',
  'replicationgroup',
  'snapshot',
  'parametergroup',
  'securitygroup',
  'subnetgroup',
  'user',
  'usergroup',
  'serverlesscache',
  'serverlesscachesnapshot',
  'reserved-instance',
  'globalreplicationgroup',
] as const;

export type ArnResourceType = (typeof arnResourceTypes)[number];

export interface Arn {
  /** Empty for a global replication group, which belongs to no region. */
  readonly region: string;
  readonly accountId: string;
  readonly resourceType: ArnResourceType;
  readonly name: string;
}

/** `arn:aws:elasticache:REGION:ACCOUNT:TYPE:NAME`. */
export function formatArn({ region, accountId, resourceType, name }: Arn): string {
  const scope = resourceType === 'globalreplicationgroup' ? '' : region;
  return `arn:aws:elasticache:${scope}:${accountId}:${resourceType}:${name}`;
}

/**
 * @throws ServiceError InvalidARNFault when `value` is no ElastiCache ARN. Whether its resource exists, and in this
 *   account and region, is the caller's to check.
 */
export function parseArn(value: string): Arn {
  const parts = value.length <= 2048 ? value.split(':') : [];
  const [prefix, partition, service, region, accountId, type, name] = parts;
  const resourceType = arnResourceTypes.find((known) => known === type);
  if (
    parts.length !== 7 ||
    prefix !== 'arn' ||
    partition !== 'aws' ||
    service !== 'elasticache' ||
    region === undefined ||
    accountId === undefined ||
    resourceType === undefined ||
    !name ||
    !/^\d{12}$/.test(accountId) ||
    (region === '') !== (resourceType === 'globalreplicationgroup')
  ) {
    throw serviceError('InvalidARNFault', 'The parameter ResourceName is not a valid ElastiCache ARN.');
  }
  return { region, accountId, resourceType, name };
}
