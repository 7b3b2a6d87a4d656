/** What replication groups and cache clusters are asked for alike. Read back as it was sent. */
import type { EngineName } from '@larder/engine/engine';

export interface ServiceIntent {
  readonly engine: EngineName;
  /** A whole version of the engine store. */
  readonly engineVersion: string;
  readonly nodeType: string;
  /** The port clients know. */
  readonly port: number;
  readonly parameterGroup: string;
  readonly subnetGroup?: string;
  readonly securityGroupIds: readonly string[];
  readonly autoMinorVersionUpgrade: boolean;
  readonly preferredMaintenanceWindow: string;
  readonly notification?: { readonly topicArn: string; readonly active: boolean };
  readonly snapshotRetentionDays: number;
  readonly snapshotWindow?: string;
  readonly transit: TransitEncryption;
  /** The nodes of a cluster talk to each other encrypted; decided when they are made. */
  readonly busEncrypted: boolean;
  readonly atRestEncryption: boolean;
  readonly auth: AuthTokens;
  readonly logDelivery: readonly LogDelivery[];
  /** The snapshot with whose data it was made. */
  readonly restoreFrom?: string;
}

/** `preferred`: with and without TLS on one port. */
export type TransitEncryption = 'none' | 'preferred' | 'required';

export interface AuthTokens {
  /** SHA-256 of the tokens that are valid, the newest last; at most two. */
  readonly hashes: readonly string[];
  /** After a first ROTATE clients without a token are still let in. */
  readonly optional: boolean;
  readonly modifiedAtMs?: number;
}

export const noTokens: AuthTokens = { hashes: [], optional: true };

export interface LogDelivery {
  readonly logType: 'slow-log' | 'engine-log';
  readonly destinationType: 'cloudwatch-logs' | 'kinesis-firehose';
  /** Log group or delivery stream. */
  readonly destination: string;
  readonly logFormat: 'json' | 'text';
  /** When it was turned on; a change of its format or destination leaves that. */
  readonly sinceMs: number;
}

/** Changes that restart nodes: made at once when asked so, else in the maintenance window. */
export interface PendingChange {
  readonly engine?: EngineName;
  readonly engineVersion?: string;
  readonly nodeType?: string;
  readonly parameterGroup?: string;
  readonly nodeCount?: number;
  readonly nodeIdsToRemove?: readonly string[];
}

/** What is asked for once the change is due. */
export function mergeChange<Intent extends ServiceIntent>(intent: Intent, change: PendingChange): Intent {
  return {
    ...intent,
    engine: change.engine ?? intent.engine,
    engineVersion: change.engineVersion ?? intent.engineVersion,
    nodeType: change.nodeType ?? intent.nodeType,
    parameterGroup: change.parameterGroup ?? intent.parameterGroup,
  };
}

/** What a member of a replication group keeps when it goes on as a cache cluster, and the other way. */
export function serviceIntentOf(intent: ServiceIntent): ServiceIntent {
  return {
    engine: intent.engine,
    engineVersion: intent.engineVersion,
    nodeType: intent.nodeType,
    port: intent.port,
    parameterGroup: intent.parameterGroup,
    ...(intent.subnetGroup !== undefined && { subnetGroup: intent.subnetGroup }),
    securityGroupIds: intent.securityGroupIds,
    autoMinorVersionUpgrade: intent.autoMinorVersionUpgrade,
    preferredMaintenanceWindow: intent.preferredMaintenanceWindow,
    ...(intent.notification !== undefined && { notification: intent.notification }),
    snapshotRetentionDays: intent.snapshotRetentionDays,
    ...(intent.snapshotWindow !== undefined && { snapshotWindow: intent.snapshotWindow }),
    transit: intent.transit,
    busEncrypted: intent.busEncrypted,
    atRestEncryption: intent.atRestEncryption,
    auth: intent.auth,
    logDelivery: intent.logDelivery,
  };
}
