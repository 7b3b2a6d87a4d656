/** (pure) What replication groups and cache clusters show alike. */
import type { Output } from '@larder/contract/elasticache/model';
import type { LogFailures } from '../log-delivery/log-failures.ts';
import type { ServiceIntent } from './service-intent.ts';

type ShownGroup = NonNullable<Output<'DescribeReplicationGroups'>['ReplicationGroups']>[number];
type ShownLogs = NonNullable<ShownGroup['LogDeliveryConfigurations']>;

export function showEncryption({ auth, transit, atRestEncryption }: ServiceIntent) {
  return {
    AuthTokenEnabled: auth.hashes.length > 0,
    ...(auth.hashes.length > 0 &&
      auth.modifiedAtMs !== undefined && { AuthTokenLastModifiedDate: new Date(auth.modifiedAtMs) }),
    TransitEncryptionEnabled: transit !== 'none',
    ...(transit !== 'none' && { TransitEncryptionMode: transit }),
    AtRestEncryptionEnabled: atRestEncryption,
  };
}

export function showLogDelivery({ logDelivery }: ServiceIntent, failures: LogFailures): ShownLogs {
  return logDelivery.map(({ logType, destinationType, destination, logFormat }) => ({
    LogType: logType,
    DestinationType: destinationType,
    DestinationDetails:
      destinationType === 'cloudwatch-logs'
        ? { CloudWatchLogsDetails: { LogGroup: destination } }
        : { KinesisFirehoseDetails: { DeliveryStream: destination } },
    LogFormat: logFormat,
    ...(failures.has(logType) ? { Status: 'error', Message: failures.get(logType)! } : { Status: 'active' }),
  }));
}
