/** (pure) How Application Auto Scaling names what is scaled, and what is refused in its requests. */
import { createHash } from 'node:crypto';
import { serviceError } from '@larder/contract/errors';
import { type Dimension, dimensions, type TargetKey } from './scaling.ts';

const namespace = 'elasticache';
const resourcePrefix = 'replication-group/';
const dimensionPrefix = 'elasticache:replication-group:';

export interface WireKey {
  readonly ServiceNamespace: string;
  readonly ResourceId: string;
  readonly ScalableDimension: string;
}

/** @throws ServiceError ValidationException for what is no replication group of ElastiCache. */
export function readKey(key: WireKey): TargetKey {
  readNamespace(key.ServiceNamespace);
  return { groupId: readResource(key.ResourceId), dimension: readDimension(key.ScalableDimension) };
}

export function readNamespace(value: string): void {
  if (value === namespace) return;
  throw invalid(`ServiceNamespace must be ${namespace} here, not ${value.slice(0, 60)}.`);
}

/** @returns the group's id. */
export function readResource(value: string): string {
  const id = value.slice(resourcePrefix.length).toLowerCase();
  if (value.startsWith(resourcePrefix) && /^[a-z][a-z0-9-]{0,39}$/.test(id)) return id;
  throw invalid(`ResourceId must be ${resourcePrefix}ID, not ${value.slice(0, 60)}.`);
}

export function readDimension(value: string): Dimension {
  const found = dimensions.find((each) => value === dimensionPrefix + each);
  if (found !== undefined) return found;
  const known = dimensions.map((each) => dimensionPrefix + each).join(' and ');
  throw invalid(`ScalableDimension ${value.slice(0, 80)} is none of ElastiCache's: ${known}.`);
}

export function showKey({ groupId, dimension }: TargetKey): WireKey {
  return {
    ServiceNamespace: namespace,
    ResourceId: resourcePrefix + groupId,
    ScalableDimension: dimensionPrefix + dimension,
  };
}

export interface Owner {
  readonly region: string;
  readonly accountId: string;
}

export function targetArn(
  { groupId, dimension, createdAtMs }: TargetKey & { readonly createdAtMs: number },
  { region, accountId }: Owner,
): string {
  const digest = createHash('sha256').update(`${groupId} ${dimension} ${createdAtMs}`).digest('hex');
  return `arn:aws:application-autoscaling:${region}:${accountId}:scalable-target/${digest.slice(0, 32)}`;
}

/** @param what `scalingPolicy` or `scheduledAction`. */
export function childArn(
  what: 'scalingPolicy' | 'scheduledAction',
  { id, groupId, name }: { readonly id: string; readonly groupId: string; readonly name: string },
  { region, accountId }: Owner,
): string {
  const label = what === 'scalingPolicy' ? 'policyName' : 'scheduledActionName';
  const resource = `resource/${namespace}/${resourcePrefix}${groupId}`;
  return `arn:aws:autoscaling:${region}:${accountId}:${what}:${id}:${resource}:${label}/${name}`;
}

/** The role that AWS makes for this; nothing here needs one. */
export function serviceRole(accountId: string): string {
  return `arn:aws:iam::${accountId}:role/aws-service-role/elasticache.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ElastiCacheRG`;
}

/** @param message what is wrong, and what it may be. */
export function invalid(message: string) {
  return serviceError('ValidationException', message);
}

export function unregistered(key: TargetKey) {
  const { ResourceId, ScalableDimension } = showKey(key);
  return serviceError(
    'ObjectNotFoundException',
    `No scalable target is registered for ${ResourceId} and ${ScalableDimension}.`,
  );
}
