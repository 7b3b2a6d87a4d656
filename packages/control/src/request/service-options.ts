/** What CreateReplicationGroup and CreateCacheCluster take alike, checked and completed. */

import { createHash } from 'node:crypto';
import { serviceError } from '@larder/contract/errors';
import { engineTraits } from '@larder/engine/engine';
import type { ControlContext } from '../control-context.ts';
import type { AuthTokens, LogDelivery, ServiceIntent, TransitEncryption } from '../node/service-intent.ts';
import { noTokens } from '../node/service-intent.ts';
import { chooseParameterGroup } from '../parameter-group/settings.ts';
import { zonesOfSubnetGroup } from '../subnet-group/store.ts';
import type { EngineChoice } from './engine-choice.ts';
import { defaultMaintenanceWindow, maintenanceWindow } from './maintenance-window.ts';
import { refuseNotYet } from './not-yet.ts';
import { invalidCombination, invalidValue } from './refusals.ts';
import { snapshotWindow } from './snapshot-window.ts';

export interface ServiceOptions {
  readonly AutoMinorVersionUpgrade?: boolean | undefined;
  readonly PreferredMaintenanceWindow?: string | undefined;
  readonly CacheParameterGroupName?: string | undefined;
  readonly CacheSubnetGroupName?: string | undefined;
  readonly CacheSecurityGroupNames?: string[] | undefined;
  readonly SecurityGroupIds?: string[] | undefined;
  readonly NotificationTopicArn?: string | undefined;
  readonly SnapshotRetentionLimit?: number | undefined;
  readonly SnapshotWindow?: string | undefined;
  readonly AuthToken?: string | undefined;
  readonly TransitEncryptionEnabled?: boolean | undefined;
  readonly TransitEncryptionMode?: string | undefined;
  readonly AtRestEncryptionEnabled?: boolean | undefined;
  readonly KmsKeyId?: string | undefined;
  readonly LogDeliveryConfigurations?: LogRequest[] | undefined;
  readonly NetworkType?: string | undefined;
  readonly IpDiscovery?: string | undefined;
  readonly DataTieringEnabled?: boolean | undefined;
  readonly Durability?: string | undefined;
}

interface LogRequest {
  readonly LogType?: string | undefined;
  readonly DestinationType?: string | undefined;
  readonly DestinationDetails?:
    | {
        readonly CloudWatchLogsDetails?: { readonly LogGroup?: string | undefined } | undefined;
        readonly KinesisFirehoseDetails?: { readonly DeliveryStream?: string | undefined } | undefined;
      }
    | undefined;
  readonly LogFormat?: string | undefined;
  readonly Enabled?: boolean | undefined;
}

export const longestRetentionDays = 35;

/** @throws ServiceError for what is wrong, does not exist, or has no effect here. */
export async function readServiceOptions(
  { database, nowMs }: Pick<ControlContext, 'database' | 'nowMs'>,
  region: string,
  choice: EngineChoice,
  clusterEnabled: boolean,
  input: ServiceOptions,
): Promise<ServiceIntent> {
  refuseOutOfScope(input);
  const transit = readTransit(input);
  if (input.CacheSubnetGroupName !== undefined) {
    await zonesOfSubnetGroup(database, input.CacheSubnetGroupName.toLowerCase(), region);
  }
  const retention = input.SnapshotRetentionLimit ?? 0;
  if (choice.engine === 'memcached') refuseForMemcached(input);
  return {
    ...choice,
    parameterGroup: await chooseParameterGroup(database, input.CacheParameterGroupName, {
      engine: choice.engine,
      version: choice.engineVersion,
      clusterEnabled,
    }),
    ...(input.CacheSubnetGroupName !== undefined && {
      subnetGroup: input.CacheSubnetGroupName.toLowerCase(),
    }),
    securityGroupIds: readSecurityGroups(input.SecurityGroupIds),
    autoMinorVersionUpgrade: input.AutoMinorVersionUpgrade ?? true,
    preferredMaintenanceWindow: maintenanceWindow(
      input.PreferredMaintenanceWindow ?? defaultMaintenanceWindow,
    ),
    ...(input.NotificationTopicArn !== undefined && {
      notification: { topicArn: topicArn(input.NotificationTopicArn), active: true },
    }),
    snapshotRetentionDays: retentionDays(retention),
    ...(input.SnapshotWindow !== undefined && { snapshotWindow: snapshotWindow(input.SnapshotWindow) }),
    transit,
    busEncrypted: transit === 'required',
    atRestEncryption: input.AtRestEncryptionEnabled ?? choice.engine === 'valkey',
    auth: readAuthToken(input.AuthToken, transit, nowMs()),
    logDelivery: readLogDelivery(input.LogDeliveryConfigurations, [], nowMs()),
  };
}

/** As ElastiCache has it: printable, 16 to 128 characters, few special ones. @returns its SHA-256. */
export function authTokenHash(token: string): string {
  if (!/^[A-Za-z0-9!&#$^<>-]{16,128}$/.test(token)) {
    throw invalidValue(
      'AuthToken must have 16 to 128 letters and digits, and of other characters only ! & # $ ^ < > -.',
    );
  }
  return createHash('sha256').update(token).digest('hex');
}

export function retentionDays(days: number): number {
  if (days < 0 || days > longestRetentionDays) {
    throw invalidValue(
      `SnapshotRetentionLimit must be between 0 and ${longestRetentionDays}; it is ${days}.`,
    );
  }
  return days;
}

export function topicArn(arn: string): string {
  if (!/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}$/.test(arn)) {
    throw invalidValue('NotificationTopicArn must be like arn:aws:sns:us-east-1:123456789012:topic.');
  }
  return arn;
}

export function readSecurityGroups(ids: readonly string[] | undefined): string[] {
  const wrong = ids?.find((id) => !/^sg-[0-9a-z]{1,40}$/.test(id));
  if (wrong !== undefined)
    throw invalidValue(`A security group's id must be like sg-0123abcd; got ${wrong.slice(0, 60)}.`);
  return [...new Set(ids ?? [])];
}

/** @returns what is delivered once `requests` are merged into `current`: one of each log type. */
export function readLogDelivery(
  requests: readonly LogRequest[] | undefined,
  current: readonly LogDelivery[],
  nowMs: number,
): LogDelivery[] {
  const byType = new Map(current.map((each) => [each.logType, each]));
  const seen = new Set<string>();
  for (const request of requests ?? []) {
    const { LogType: logType } = request;
    if (logType !== 'slow-log' && logType !== 'engine-log') {
      throw invalidValue('LogType must be slow-log or engine-log.');
    }
    if (seen.has(logType)) throw invalidCombination(`${logType} is given more than once.`);
    seen.add(logType);
    if (request.Enabled === false) byType.delete(logType);
    else byType.set(logType, readOneLog(request, logType, byType.get(logType)?.sinceMs ?? nowMs));
  }
  return [...byType.values()];
}

function readOneLog(request: LogRequest, logType: LogDelivery['logType'], sinceMs: number): LogDelivery {
  const { DestinationType: type, DestinationDetails: details, LogFormat: format } = request;
  if (type !== 'cloudwatch-logs' && type !== 'kinesis-firehose') {
    throw invalidValue('DestinationType must be cloudwatch-logs or kinesis-firehose.');
  }
  if (format !== 'json' && format !== 'text') throw invalidValue('LogFormat must be json or text.');
  const destination =
    type === 'cloudwatch-logs'
      ? details?.CloudWatchLogsDetails?.LogGroup
      : details?.KinesisFirehoseDetails?.DeliveryStream;
  if (destination === undefined || !/^[A-Za-z0-9_./#-]{1,512}$/.test(destination)) {
    throw invalidCombination(
      `DestinationDetails must name a ${type === 'cloudwatch-logs' ? 'LogGroup' : 'DeliveryStream'}.`,
    );
  }
  return { logType, destinationType: type, destination, logFormat: format, sinceMs };
}

function readTransit(input: ServiceOptions): TransitEncryption {
  const { TransitEncryptionEnabled: enabled, TransitEncryptionMode: mode } = input;
  if (mode !== undefined && mode !== 'preferred' && mode !== 'required') {
    throw invalidValue('TransitEncryptionMode must be preferred or required.');
  }
  if (mode !== undefined && enabled !== true) {
    throw invalidCombination('TransitEncryptionMode needs TransitEncryptionEnabled.');
  }
  return enabled === true ? (mode ?? 'required') : 'none';
}

function readAuthToken(token: string | undefined, transit: TransitEncryption, nowMs: number): AuthTokens {
  if (token === undefined) return noTokens;
  if (transit === 'none') throw invalidCombination('AuthToken needs TransitEncryptionEnabled.');
  return { hashes: [authTokenHash(token)], optional: false, modifiedAtMs: nowMs };
}

function refuseForMemcached(input: ServiceOptions): void {
  const title = engineTraits.memcached.title;
  for (const [name, asked] of Object.entries({
    AuthToken: input.AuthToken,
    SnapshotRetentionLimit: input.SnapshotRetentionLimit || undefined,
    SnapshotWindow: input.SnapshotWindow,
    AtRestEncryptionEnabled: input.AtRestEncryptionEnabled || undefined,
    LogDeliveryConfigurations: input.LogDeliveryConfigurations?.[0],
  })) {
    if (asked !== undefined) throw invalidCombination(`${name} is not supported for ${title}.`);
  }
  if (input.TransitEncryptionMode === 'preferred') {
    throw invalidCombination(`TransitEncryptionMode preferred is not supported for ${title}.`);
  }
}

function refuseOutOfScope(input: ServiceOptions): void {
  if ((input.CacheSecurityGroupNames ?? []).length > 0) {
    throw invalidValue('Use of cache security groups is not permitted in this API version for your account.');
  }
  if (input.KmsKeyId !== undefined) {
    throw serviceError('InvalidKMSKeyFault', 'There is no key management service here; leave KmsKeyId out.', {
      hint: 'Encryption at rest uses a key of this service.',
    });
  }
  refuseNotYet({
    DataTieringEnabled: input.DataTieringEnabled,
    Durability:
      input.Durability === 'disabled' || input.Durability === 'default' ? undefined : input.Durability,
    NetworkType: input.NetworkType === 'ipv4' ? undefined : input.NetworkType,
    IpDiscovery: input.IpDiscovery === 'ipv4' ? undefined : input.IpDiscovery,
  });
}
