/** What ModifyReplicationGroup and ModifyCacheCluster take alike, checked against what there is. */

import { compareVersions, engineTraits, isEngineName, versionMatches } from '@larder/engine/engine';
import { nodeTypes } from '@larder/engine/node-type';
import type { ControlContext } from '../control-context.ts';
import type { PendingChange, ServiceIntent, TransitEncryption } from '../node/service-intent.ts';
import { chooseParameterGroup } from '../parameter-group/settings.ts';
import { chooseEngine } from './engine-choice.ts';
import { maintenanceWindow } from './maintenance-window.ts';
import { refuseNotYet } from './not-yet.ts';
import { invalidCombination, invalidValue } from './refusals.ts';
import {
  readLogDelivery,
  readSecurityGroups,
  retentionDays,
  type ServiceOptions,
  topicArn,
} from './service-options.ts';
import { snapshotWindow } from './snapshot-window.ts';

export interface ServiceChangeRequest extends ServiceOptions {
  readonly Engine?: string | undefined;
  readonly EngineVersion?: string | undefined;
  readonly CacheNodeType?: string | undefined;
  readonly NotificationTopicStatus?: string | undefined;
}

export interface ServiceChange {
  /** Asked for at once. */
  readonly immediate: Partial<ServiceIntent>;
  /** What may wait for the maintenance window. */
  readonly deferrable: PendingChange;
}

/** @throws ServiceError */
export async function changeService(
  context: Pick<ControlContext, 'database' | 'engines' | 'nowMs'>,
  intent: ServiceIntent,
  clusterEnabled: boolean,
  input: ServiceChangeRequest,
): Promise<ServiceChange> {
  if ((input.CacheSecurityGroupNames ?? []).length > 0) {
    throw invalidValue('Use of cache security groups is not permitted in this API version for your account.');
  }
  refuseNotYet({
    Durability:
      input.Durability === 'disabled' || input.Durability === 'default' ? undefined : input.Durability,
    IpDiscovery: input.IpDiscovery === 'ipv4' ? undefined : input.IpDiscovery,
  });
  const deferrable = await changeEngine(context, intent, input);
  const target = {
    engine: deferrable.engine ?? intent.engine,
    version: deferrable.engineVersion ?? intent.engineVersion,
  };
  const parameterGroup = await changedParameterGroup(context, intent, { ...target, clusterEnabled }, input);
  const movesEngine = deferrable.engineVersion !== undefined;
  return {
    deferrable: {
      ...deferrable,
      // A group of the new family can't come before the engine that knows it.
      ...(movesEngine && parameterGroup !== intent.parameterGroup && { parameterGroup }),
    },
    immediate: {
      ...(!movesEngine && { parameterGroup }),
      ...(input.SecurityGroupIds !== undefined && {
        securityGroupIds: readSecurityGroups(input.SecurityGroupIds),
      }),
      ...(input.PreferredMaintenanceWindow !== undefined && {
        preferredMaintenanceWindow: maintenanceWindow(input.PreferredMaintenanceWindow),
      }),
      ...(input.AutoMinorVersionUpgrade !== undefined && {
        autoMinorVersionUpgrade: input.AutoMinorVersionUpgrade,
      }),
      ...(input.SnapshotRetentionLimit !== undefined && {
        snapshotRetentionDays: retentionDays(input.SnapshotRetentionLimit),
      }),
      ...(input.SnapshotWindow !== undefined && { snapshotWindow: snapshotWindow(input.SnapshotWindow) }),
      ...changedNotification(intent, input),
      ...(input.LogDeliveryConfigurations !== undefined && {
        logDelivery: readLogDelivery(input.LogDeliveryConfigurations, intent.logDelivery, context.nowMs()),
      }),
      transit: changedTransit(intent, input),
    },
  };
}

async function changeEngine(
  { engines }: Pick<ControlContext, 'engines'>,
  intent: ServiceIntent,
  input: ServiceChangeRequest,
): Promise<PendingChange> {
  const engine = (input.Engine ?? intent.engine).toLowerCase();
  if (engine !== intent.engine && !(intent.engine === 'redis' && engine === 'valkey')) {
    throw isEngineName(engine)
      ? invalidCombination('This API supports only cross-engine upgrades to Valkey engine currently.')
      : invalidValue(
          `The engine ${engine.slice(0, 40)} does not exist; there are valkey, redis and memcached.`,
        );
  }
  const nodeType = input.CacheNodeType;
  const type = nodeType !== undefined && nodeType !== intent.nodeType && { nodeType };
  if (type !== false && intent.engine === 'memcached') {
    throw invalidCombination('The node type of a Memcached cluster is decided when it is created.');
  }
  if (nodeType !== undefined && !nodeTypes.has(nodeType))
    throw invalidValue(`The node type ${nodeType.slice(0, 60)} is not known.`);
  const sameVersion =
    input.EngineVersion === undefined || versionMatches(intent.engineVersion, input.EngineVersion);
  if (engine === intent.engine && sameVersion) return { ...type };
  const choice = await chooseEngine(
    engines,
    {
      Engine: engine,
      EngineVersion: input.EngineVersion,
      CacheNodeType: nodeType ?? intent.nodeType,
      Port: intent.port,
    },
    intent.engine,
  );
  if (engine === intent.engine && compareVersions(choice.engineVersion, intent.engineVersion) < 0) {
    throw invalidCombination(
      `${engineTraits[intent.engine].title} ${intent.engineVersion} can't go back to ${choice.engineVersion}.`,
    );
  }
  return { ...type, engine: choice.engine, engineVersion: choice.engineVersion };
}

async function changedParameterGroup(
  { database }: Pick<ControlContext, 'database'>,
  intent: ServiceIntent,
  of: {
    readonly engine: ServiceIntent['engine'];
    readonly version: string;
    readonly clusterEnabled: boolean;
  },
  input: ServiceChangeRequest,
): Promise<string> {
  if (input.CacheParameterGroupName !== undefined) {
    return chooseParameterGroup(database, input.CacheParameterGroupName, of);
  }
  // A default group follows its engine to another family; one of the customer's own must be named.
  const stays = intent.parameterGroup.startsWith('default.') ? undefined : intent.parameterGroup;
  return chooseParameterGroup(database, stays, of);
}

function changedNotification(
  { notification }: ServiceIntent,
  { NotificationTopicArn: arn, NotificationTopicStatus: status }: ServiceChangeRequest,
): Partial<ServiceIntent> {
  if (status !== undefined && status !== 'active' && status !== 'inactive') {
    throw invalidValue('NotificationTopicStatus must be active or inactive.');
  }
  if (arn === undefined && status === undefined) return {};
  const topic = arn === undefined ? notification?.topicArn : topicArn(arn);
  if (topic === undefined)
    throw invalidCombination('NotificationTopicStatus needs a topic: give NotificationTopicArn.');
  return { notification: { topicArn: topic, active: status === undefined ? true : status === 'active' } };
}

/** From none by way of preferred, so that clients can follow one by one, and back the same way. */
function changedTransit(
  { transit, engine }: ServiceIntent,
  { TransitEncryptionEnabled: enabled, TransitEncryptionMode: mode }: ServiceChangeRequest,
): TransitEncryption {
  if (mode !== undefined && mode !== 'preferred' && mode !== 'required') {
    throw invalidValue('TransitEncryptionMode must be preferred or required.');
  }
  if (enabled === undefined && mode === undefined) return transit;
  if (engine === 'memcached')
    throw invalidCombination('Encryption in transit of Memcached is decided when it is created.');
  const wanted = enabled === false ? 'none' : (mode ?? (transit === 'none' ? 'required' : transit));
  if (enabled === false && mode !== undefined)
    throw invalidCombination('TransitEncryptionMode needs TransitEncryptionEnabled.');
  if (transit === 'none' && wanted === 'required') {
    throw invalidCombination(
      'Encryption in transit is turned on with TransitEncryptionMode preferred first, then required.',
    );
  }
  if (transit === 'required' && wanted === 'none') {
    throw invalidCombination(
      'Encryption in transit is turned off by way of TransitEncryptionMode preferred.',
    );
  }
  return wanted;
}

/** @throws ServiceError InvalidParameterCombination when a node holds more than the type would give it. */
export async function refuseSmallerThanData(
  { host }: Pick<ControlContext, 'host'>,
  nodeIds: readonly string[],
  { engine }: Pick<ServiceIntent, 'engine'>,
  nodeType: string,
): Promise<void> {
  if (engine === 'memcached') return;
  const room = nodeTypes.get(nodeType)!.maxmemoryBytes;
  const seen = await host.observe(nodeIds);
  const used = Math.max(0, ...[...seen.values()].map((each) => each.engine?.info.usedMemoryBytes ?? 0));
  if (used <= room) return;
  throw invalidCombination(`A node holds ${used} bytes; ${nodeType} has room for ${room}.`);
}
