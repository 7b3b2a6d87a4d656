/** Reads what a group's or cluster's nodes are to be set to, and says it for each node. */
import {
  type AclUser,
  openDefaultUser,
  replicationUser,
  replicationUserName,
  serviceUser,
  tokenDefaultUser,
} from '@larder/engine/acl';
import { clusterNodeTimeoutMs } from '@larder/engine/config-file';
import { nodeTypes } from '@larder/engine/node-type';
import type { Host } from '@larder/fleet/host';
import { type NodeSecrets, passwordHash } from '@larder/fleet/node-secrets';
import type { Database } from '../database/connect.ts';
import { type ParameterSettings, parameterSettings } from '../parameter-group/settings.ts';
import { type GroupUsers, groupUsersOf } from '../user-group/group-users.ts';
import type { ServiceIntent } from './service-intent.ts';
import { portsOf, type WantedNode } from './wanted-node.ts';

export interface Environment {
  readonly parameters: ParameterSettings;
  /** Customers' users; undefined where there are no user groups. */
  readonly groupUsers: GroupUsers | undefined;
}

export async function readEnvironment(
  database: Database,
  intent: ServiceIntent & { readonly userGroupIds?: readonly string[] },
): Promise<Environment> {
  const { engine, engineVersion: version, parameterGroup, userGroupIds = [] } = intent;
  return {
    parameters: await parameterSettings(database, parameterGroup, version),
    groupUsers:
      userGroupIds.length === 0 ? undefined : await groupUsersOf(database, userGroupIds, { engine, version }),
  };
}

export interface NodeMakers {
  readonly secrets: NodeSecrets;
  readonly host: Pick<Host, 'mostConnections'>;
}

/** @param groupId the replication group's id; IAM users have their passwords by it. */
export function wantedNode(
  { parameters, groupUsers }: Environment,
  intent: ServiceIntent & { readonly clusterEnabled?: boolean },
  { secrets, host }: NodeMakers,
  nodeId: string,
  groupId = '',
): WantedNode {
  const nodeType = nodeTypes.get(intent.nodeType);
  if (nodeType === undefined) throw new Error(`Node type ${intent.nodeType} is written down but not known.`);
  const given = Math.floor((nodeType.maxmemoryBytes * (100 - parameters.reservedMemoryPercent)) / 100);
  const isMemcached = intent.engine === 'memcached';
  return {
    ...portsOf(intent, checksTokens(groupUsers)),
    maxmemoryBytes: given,
    maxConnections: Math.min(nodeType.maxConnections, host.mostConnections),
    parameters:
      intent.clusterEnabled === true ? { ...parameters.directives, ...whole } : parameters.directives,
    atStart: parameters.atStart,
    users: isMemcached
      ? []
      : [
          ...customers(groupUsers, intent, secrets, groupId),
          serviceUser(
            passwordHash(secrets.admin(nodeId)),
            intent.engine,
            intent.engineVersion,
            intent.clusterEnabled === true,
          ),
          replicationUser(
            passwordHash(secrets.replication),
            intent.engine,
            intent.engineVersion,
            intent.clusterEnabled === true,
          ),
        ],
    replication: { user: replicationUserName, password: secrets.replication },
  };
}

/** What a cluster comes to once it was whole. */
const whole = { 'cluster-node-timeout': String(clusterNodeTimeoutMs) };

/** The router stands before the engines: they can't check IAM tokens. */
export function checksTokens(groupUsers: GroupUsers | undefined): boolean {
  return (groupUsers?.iam.length ?? 0) > 0;
}

function customers(
  groupUsers: GroupUsers | undefined,
  { auth, engine, engineVersion }: ServiceIntent,
  secrets: NodeSecrets,
  groupId: string,
): AclUser[] {
  if (groupUsers === undefined) {
    // While a token is optional any is taken, and none: the engine has no third way.
    if (auth.optional) return [openDefaultUser(engine, engineVersion)];
    return [tokenDefaultUser(auth.hashes, engine, engineVersion)];
  }
  const iamIds = new Map(groupUsers.iam.map(({ userName, userId }) => [userName, userId]));
  return groupUsers.users.map((user) => {
    const userId = iamIds.get(user.name);
    if (userId === undefined) return user;
    return { ...user, rules: [...user.rules, `#${passwordHash(secrets.iamUser(groupId, userId))}`] };
  });
}
