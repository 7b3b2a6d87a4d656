/** The replication group that a run is about, as it would be written down. */

import { noTokens } from '@larder/control/node/service-intent';
import type { WantedNode } from '@larder/control/node/wanted-node';
import type { Member, ReplicationGroup } from '@larder/control/replication-group/replication-group';
import { splitEvenly } from '@larder/engine/slots';

export const groupId = 'shop';
export const port = 6379;
export const version = '9.1.2';

export function memberAt(index: number, formed: boolean): Member {
  return {
    id: `shop-${String(index + 1).padStart(3, '0')}`,
    zone: `zone-${index}`,
    host: 'simulated',
    address: `10.0.0.${index + 10}`,
    status: formed ? 'available' : 'creating',
    generation: 1,
    parameterStatus: 'in-sync',
    createdAtMs: 0,
    recovering: false,
  };
}

/** One primary, its replicas and two endpoints. */
export function replicatedGroup(members: number, formed: boolean): ReplicationGroup {
  return {
    id: groupId,
    intent: {
      description: 'simulated',
      engine: 'valkey',
      engineVersion: version,
      nodeType: 'cache.t4g.micro',
      port,
      parameterGroup: 'default.valkey9',
      securityGroupIds: [],
      autoMinorVersionUpgrade: false,
      preferredMaintenanceWindow: 'sun:05:00-sun:06:00',
      snapshotRetentionDays: 0,
      transit: 'none',
      busEncrypted: false,
      atRestEncryption: false,
      auth: noTokens,
      logDelivery: [],
      clusterMode: 'disabled',
      clusterEnabled: false,
      automaticFailover: true,
      multiAz: false,
      userGroupIds: [],
    },
    status: formed ? 'available' : 'creating',
    retainPrimary: false,
    epoch: 1,
    createdAtMs: 0,
    nodeGroups: [
      {
        id: '0001',
        slots: splitEvenly(1),
        primary: 'shop-001',
        primaryAddress: '10.0.0.1',
        readerAddress: '10.0.0.2',
        formed,
        members: Array.from({ length: members }, (_, index) => memberAt(index, formed)),
      },
    ],
  };
}

/** Nodes have no settings but their roles. */
export const wanted: WantedNode = {
  plainPort: port,
  tlsPort: 0,
  maxmemoryBytes: 1_000_000,
  maxConnections: 100,
  parameters: {},
  atStart: new Set(),
  users: [],
  replication: { user: 'replica', password: '' },
};
