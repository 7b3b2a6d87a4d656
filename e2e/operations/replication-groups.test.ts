/** Create, Describe, Modify and Delete of replication groups, and the reboot of members, as engines and clients see them. */
import { readFileSync } from 'node:fs';
import {
  CreateCacheParameterGroupCommand,
  CreateCacheSubnetGroupCommand,
  type CreateReplicationGroupCommandInput,
  DeleteReplicationGroupCommand,
  DescribeReplicationGroupsCommand,
  ModifyCacheParameterGroupCommand,
  ModifyReplicationGroupCommand,
  type ModifyReplicationGroupCommandInput,
  paginateDescribeReplicationGroups,
  RebootCacheClusterCommand,
  type ReplicationGroup,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { effect } from '../../testing/api-coverage.ts';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
  groupGone,
  primaryOf,
} from '../../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../../testing/larder.ts';
import { infoField, redisClients } from '../../testing/redis-clients.ts';
import { waitFor } from '../../testing/wait-for.ts';
import { missingOf, writeProbe } from '../../testing/write-probe.ts';
import { pidOf, rejectedCombination, runningNodes, settingsOf, windowAround } from './looks.test-support.ts';

const clients = redisClients();
let larder: TestLarder;

function openFilesOfMachine(): number {
  return Number(/Max open files\s+\S+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))![1]);
}

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

async function modify(id: string, input: Partial<ModifyReplicationGroupCommandInput>) {
  const { ReplicationGroup } = await larder.client.send(
    new ModifyReplicationGroupCommand({ ReplicationGroupId: id, ApplyImmediately: true, ...input }),
  );
  return ReplicationGroup!;
}

const endpointOf = (group: ReplicationGroup) => group.NodeGroups![0]!.PrimaryEndpoint!;
const membersOf = (group: ReplicationGroup) => group.NodeGroups![0]!.NodeGroupMembers!;

/** What each member says of itself, by INFO. */
async function fieldOfMembers(group: ReplicationGroup, field: string): Promise<(string | undefined)[]> {
  return Promise.all(
    membersOf(group).map(async ({ ReadEndpoint }) => {
      const client = clients.to(ReadEndpoint!);
      try {
        return await infoField(client, field);
      } finally {
        client.disconnect();
      }
    }),
  );
}

/** Writes through the primary endpoint while `work` runs. @returns what it returned. */
async function underWrites<T>(id: string, prefix: string, work: () => Promise<T>): Promise<T> {
  const endpoint = endpointOf(await describeGroup(larder, id));
  const writer = clients.to(endpoint, { retryStrategy: () => 2, maxRetriesPerRequest: 0 });
  const probe = writeProbe(prefix, (key) => writer.set(key, key));
  const more = (count: number) => {
    const from = probe.count;
    return waitFor(
      () => probe.count,
      (now) => now > from + count,
      { what: `${count} writes` },
    );
  };
  await more(100);
  const result = await work();
  await more(100);
  const { acknowledged } = await probe.stop();
  expect(await missingOf(acknowledged, (keys) => writer.mget([...keys]))).toEqual([]);
  writer.disconnect();
  return result;
}

describe('every input of a creation', () => {
  const id = 'whole';
  const input: Partial<CreateReplicationGroupCommandInput> = {
    ReplicationGroupDescription: 'Everything <there> & is; "quoted"',
    Engine: 'valkey',
    EngineVersion: '8.1',
    CacheNodeType: 'cache.t4g.small',
    NumCacheClusters: 2,
    PreferredCacheClusterAZs: ['us-east-1c', 'us-east-1b'],
    AutomaticFailoverEnabled: true,
    MultiAZEnabled: true,
    Port: 7001,
    CacheParameterGroupName: 'whole-parameters',
    CacheSubnetGroupName: 'whole-subnets',
    SecurityGroupIds: ['sg-0a', 'sg-0b'],
    Tags: [{ Key: 'team', Value: 'shop' }],
    PreferredMaintenanceWindow: 'tue:23:30-wed:01:00',
    NotificationTopicArn: 'arn:aws:sns:us-east-1:123456789012:cache',
    AutoMinorVersionUpgrade: false,
    SnapshotWindow: '02:00-03:30',
    AtRestEncryptionEnabled: false,
    LogDeliveryConfigurations: [
      {
        LogType: 'slow-log',
        DestinationType: 'cloudwatch-logs',
        DestinationDetails: { CloudWatchLogsDetails: { LogGroup: '/cache/slow' } },
        LogFormat: 'json',
      },
    ],
  };

  beforeAll(async () => {
    await larder.client.send(
      new CreateCacheParameterGroupCommand({
        CacheParameterGroupName: 'whole-parameters',
        CacheParameterGroupFamily: 'valkey8',
        Description: 'of a test',
      }),
    );
    await larder.client.send(
      new ModifyCacheParameterGroupCommand({
        CacheParameterGroupName: 'whole-parameters',
        ParameterNameValues: [{ ParameterName: 'databases', ParameterValue: '3' }],
      }),
    );
    await larder.client.send(
      new CreateCacheSubnetGroupCommand({
        CacheSubnetGroupName: 'whole-subnets',
        CacheSubnetGroupDescription: 'two zones',
        SubnetIds: ['subnet-us-east-1b', 'subnet-us-east-1c'],
      }),
    );
    await createGroup(larder, id, input);
    await groupAvailable(larder, id);
  });

  test('has its effect on the engines', async () => {
    const group = await describeGroup(larder, id);
    await effect(
      'CreateReplicationGroup',
      'version, maxmemory, port and roles of its engines by INFO and ROLE',
      async () => {
        expect(runningNodes(larder, id)).toEqual(['whole-001.0001', 'whole-002.0001']);
        expect(endpointOf(group).Port).toBe(7001);
        expect(await fieldOfMembers(group, 'valkey_version')).toEqual(['8.1.1', '8.1.1']);
        // A quarter is kept for what is not data.
        const maxmemory = String(Math.floor(1_471_026_299 * 0.75));
        expect(await fieldOfMembers(group, 'maxmemory')).toEqual([maxmemory, maxmemory]);
        const primary = clients.to(endpointOf(group));
        expect((await primary.role())[0]).toBe('master');
        await primary.set('a', '1');
        await expect(clients.to(endpointOf(group)).call('SELECT', '2')).resolves.toBe('OK');
        await expect(primary.call('SELECT', '3')).rejects.toThrow('out of range');
      },
    );
  });

  test('is read back as it was sent', async () => {
    const group = await describeGroup(larder, id);
    await effect(
      'DescribeReplicationGroups',
      'the roles, addresses and ports it tells are those that answer, by ROLE',
      async () => {
        for (const { ReadEndpoint, CurrentRole } of membersOf(group)) {
          const [role] = await clients.to(ReadEndpoint!).role();
          expect(role).toBe(CurrentRole === 'primary' ? 'master' : 'slave');
        }
      },
    );
    expect(group).toMatchObject({
      Description: input.ReplicationGroupDescription,
      AutomaticFailover: 'enabled',
      MultiAZ: 'enabled',
      SnapshotWindow: '02:00-03:30',
      CacheNodeType: 'cache.t4g.small',
      AtRestEncryptionEnabled: false,
      AutoMinorVersionUpgrade: false,
      LogDeliveryConfigurations: [
        {
          LogType: 'slow-log',
          DestinationType: 'cloudwatch-logs',
          DestinationDetails: { CloudWatchLogsDetails: { LogGroup: '/cache/slow' } },
          LogFormat: 'json',
        },
      ],
    });
    const zones = membersOf(group).map(({ PreferredAvailabilityZone }) => PreferredAvailabilityZone);
    expect(zones).toEqual(['us-east-1c', 'us-east-1b']);
    const member = await describeCluster(larder, 'whole-001');
    await effect('DescribeCacheClusters', "a member's endpoint answers, by PING", async () => {
      expect(await clients.to(member.CacheNodes![0]!.Endpoint!).ping()).toBe('PONG');
    });
    expect(member).toMatchObject({
      CacheNodeType: 'cache.t4g.small',
      Engine: 'valkey',
      EngineVersion: '8.1',
      PreferredMaintenanceWindow: 'tue:23:30-wed:01:00',
      NotificationConfiguration: { TopicArn: input.NotificationTopicArn, TopicStatus: 'active' },
      CacheParameterGroup: { CacheParameterGroupName: 'whole-parameters', ParameterApplyStatus: 'in-sync' },
      CacheSubnetGroupName: 'whole-subnets',
      AutoMinorVersionUpgrade: false,
      SecurityGroups: [
        { SecurityGroupId: 'sg-0a', Status: 'active' },
        { SecurityGroupId: 'sg-0b', Status: 'active' },
      ],
      ReplicationGroupLogDeliveryEnabled: true,
    });
  });

  test('names and settings change, and are read back as they were sent', async () => {
    const pids = larder.processes();
    await modify(id, {
      ReplicationGroupDescription: 'another',
      SecurityGroupIds: ['sg-0c'],
      PreferredMaintenanceWindow: 'Sat:10:00-Sat:11:00',
      NotificationTopicStatus: 'inactive',
      AutoMinorVersionUpgrade: true,
      SnapshotWindow: '05:00-06:00',
      MultiAZEnabled: false,
      AutomaticFailoverEnabled: false,
      LogDeliveryConfigurations: [
        { LogType: 'slow-log', Enabled: false },
        {
          LogType: 'engine-log',
          DestinationType: 'kinesis-firehose',
          DestinationDetails: { KinesisFirehoseDetails: { DeliveryStream: 'logs' } },
          LogFormat: 'text',
        },
      ],
    });
    const group = await groupAvailable(larder, id);
    expect(group).toMatchObject({
      Description: 'another',
      AutomaticFailover: 'disabled',
      MultiAZ: 'disabled',
      SnapshotWindow: '05:00-06:00',
      AutoMinorVersionUpgrade: true,
      LogDeliveryConfigurations: [{ LogType: 'engine-log', LogFormat: 'text' }],
    });
    expect(await describeCluster(larder, 'whole-002')).toMatchObject({
      PreferredMaintenanceWindow: 'sat:10:00-sat:11:00',
      NotificationConfiguration: { TopicStatus: 'inactive' },
      SecurityGroups: [{ SecurityGroupId: 'sg-0c' }],
    });
    expect(larder.processes()).toEqual(pids);
    expect(await errorName(modify(id, { ReplicationGroupDescription: 'another' }))).toBe(rejectedCombination);
    await expect(modify(id, {})).rejects.toThrow('No modifications were requested');
  });

  test('another node type is another maxmemory at every node, and no node restarts', async () => {
    const pids = larder.processes();
    await modify(id, { CacheNodeType: 'cache.t4g.medium' });
    const group = await groupAvailable(larder, id);
    await effect(
      'ModifyReplicationGroup',
      'CacheNodeType: maxmemory and maxclients of every member by INFO, in the same processes',
      async () => {
        const maxmemory = String(Math.floor(3_317_862_236 * 0.75));
        expect(await fieldOfMembers(group, 'maxmemory')).toEqual([maxmemory, maxmemory]);
        // As many as the type has, or as the machine has files for.
        const maxclients = String(Math.min(46_000, openFilesOfMachine() - 200));
        expect(await fieldOfMembers(group, 'maxclients')).toEqual([maxclients, maxclients]);
        expect(larder.processes()).toEqual(pids);
      },
    );
    expect(group.CacheNodeType).toBe('cache.t4g.medium');
  });

  test('another parameter group: what can be set live is, the rest waits for a reboot', async () => {
    await larder.client.send(
      new CreateCacheParameterGroupCommand({
        CacheParameterGroupName: 'other-parameters',
        CacheParameterGroupFamily: 'valkey8',
        Description: 'of a test',
      }),
    );
    await larder.client.send(
      new ModifyCacheParameterGroupCommand({
        CacheParameterGroupName: 'other-parameters',
        ParameterNameValues: [
          { ParameterName: 'databases', ParameterValue: '5' },
          { ParameterName: 'maxmemory-policy', ParameterValue: 'allkeys-lfu' },
        ],
      }),
    );
    const pids = larder.processes();
    await modify(id, { CacheParameterGroupName: 'other-parameters' });
    const group = await groupAvailable(larder, id);
    await effect(
      'ModifyReplicationGroup',
      'CacheParameterGroupName: maxmemory-policy of every member by INFO',
      async () => {
        expect(await fieldOfMembers(group, 'maxmemory_policy')).toEqual(['allkeys-lfu', 'allkeys-lfu']);
      },
    );
    expect(larder.processes()).toEqual(pids);
    const status = async (member: string) =>
      (await describeCluster(larder, member)).CacheParameterGroup!.ParameterApplyStatus;
    expect([await status('whole-001'), await status('whole-002')]).toEqual([
      'pending-reboot',
      'pending-reboot',
    ]);

    await underWrites(id, 'reboot', async () => {
      for (const member of ['whole-002', 'whole-001']) {
        const before = pidOf(larder, member);
        await larder.client.send(
          new RebootCacheClusterCommand({ CacheClusterId: member, CacheNodeIdsToReboot: ['0001'] }),
        );
        await groupAvailable(larder, id);
        await effect(
          'RebootCacheCluster',
          'another process, with the number of databases that waited for it',
          async () => {
            expect(pidOf(larder, member)).not.toBe(before);
            expect(await settingsOf(larder, member, ['databases'])).toEqual({ databases: '5' });
          },
        );
        expect(await status(member)).toBe('in-sync');
      }
    });
  });

  test('upgraded to another version under a writer: nothing acknowledged is lost, clients keep their endpoint', async () => {
    // The group's own parameters are of the old family: without naming others it is refused.
    expect(await errorName(modify(id, { EngineVersion: '9.1' }))).toBe(rejectedCombination);
    const before = endpointOf(await describeGroup(larder, id));
    await underWrites(id, 'upgrade', async () => {
      await modify(id, { EngineVersion: '9.1', CacheParameterGroupName: 'default.valkey9' });
      await groupAvailable(larder, id);
    });
    const group = await describeGroup(larder, id);
    await effect(
      'ModifyReplicationGroup',
      'EngineVersion: every member runs it by INFO, with all that was written meanwhile',
      async () => {
        expect(await fieldOfMembers(group, 'valkey_version')).toEqual([
          expect.stringMatching(/^9\.1\./),
          expect.stringMatching(/^9\.1\./),
        ]);
        expect(await clients.to(endpointOf(group)).get('a')).toBe('1');
      },
    );
    expect(endpointOf(group)).toEqual(before);
    expect((await describeCluster(larder, 'whole-001')).EngineVersion).toBe('9.1');
    expect(await errorName(modify(id, { EngineVersion: '8.1' }))).toBe(rejectedCombination);
  });
});

describe('one group and what may happen to it', () => {
  const id = 'duo';

  beforeAll(async () => {
    await createGroup(larder, id, {
      NumCacheClusters: 2,
      PreferredMaintenanceWindow: windowAround(new Date(), false),
    });
    const group = await groupAvailable(larder, id);
    await clients.to(endpointOf(group)).set('kept', 'yes');
  });

  test('what may wait for the maintenance window waits, and comes with it', async () => {
    const small = await fieldOfMembers(await describeGroup(larder, id), 'maxmemory');
    const answer = await modify(id, { ApplyImmediately: false, CacheNodeType: 'cache.t4g.small' });
    expect(answer.Status).toBe('available');
    expect((await describeCluster(larder, 'duo-002')).PendingModifiedValues).toMatchObject({
      CacheNodeType: 'cache.t4g.small',
    });
    await larder.restart();
    const waiting = await groupAvailable(larder, id);
    expect(waiting.CacheNodeType).toBe('cache.t4g.micro');
    expect(await fieldOfMembers(waiting, 'maxmemory')).toEqual(small);

    await modify(id, { PreferredMaintenanceWindow: windowAround(new Date(), true) });
    const group = await waitFor(
      () => describeGroup(larder, id),
      ({ Status, CacheNodeType }) => Status === 'available' && CacheNodeType === 'cache.t4g.small',
      { what: 'the window to have its effect' },
    );
    await effect(
      'ModifyReplicationGroup',
      'ApplyImmediately=false: maxmemory by INFO stays until the maintenance window, then changes',
      async () => {
        const maxmemory = String(Math.floor(1_471_026_299 * 0.75));
        expect(await fieldOfMembers(group, 'maxmemory')).toEqual([maxmemory, maxmemory]);
      },
    );
    expect((await describeCluster(larder, 'duo-002')).PendingModifiedValues).toEqual({});
    expect((await eventsOf(larder, id)).join('\n')).toMatch(
      /waits for its maintenance window\n(.*\n)*.*window .* began/,
    );
  });

  test('a replica is promoted by hand, and no acknowledged write is lost', async () => {
    const group = await describeGroup(larder, id);
    const from = primaryOf(group);
    const to = membersOf(group).find(({ CacheClusterId }) => CacheClusterId !== from)!.CacheClusterId!;
    await underWrites(id, 'promotion', async () => {
      await modify(id, { PrimaryClusterId: to });
      await groupAvailable(larder, id);
    });
    await effect(
      'ModifyReplicationGroup',
      'PrimaryClusterId: roles of both nodes by ROLE, with all that was written meanwhile',
      async () => {
        const after = await describeGroup(larder, id);
        const roleOf = async (member: string) => {
          const place = membersOf(after).find(({ CacheClusterId }) => CacheClusterId === member)!
            .ReadEndpoint!;
          return (await clients.to(place).role())[0];
        };
        expect([await roleOf(to), await roleOf(from)]).toEqual(['master', 'slave']);
        expect(primaryOf(after)).toBe(to);
        expect(endpointOf(after)).toEqual(endpointOf(group));
      },
    );
  });

  test('with automatic failover nobody is promoted by hand', async () => {
    await modify(id, { AutomaticFailoverEnabled: true });
    const group = await groupAvailable(larder, id);
    const replica = membersOf(group).find(({ CurrentRole }) => CurrentRole === 'replica')!.CacheClusterId!;
    expect(await errorName(modify(id, { PrimaryClusterId: replica }))).toBe(rejectedCombination);
  });

  test('deleted but for its primary: that goes on as a cluster, and a new group takes it over', async () => {
    const group = await describeGroup(larder, id);
    const primary = primaryOf(group);
    const [pid, address] = [
      pidOf(larder, primary),
      membersOf(group).find(({ CacheClusterId }) => CacheClusterId === primary)!.ReadEndpoint!,
    ];
    await larder.client.send(
      new DeleteReplicationGroupCommand({ ReplicationGroupId: id, RetainPrimaryCluster: true }),
    );
    await groupGone(larder, id);
    const retained = await waitFor(
      () => describeCluster(larder, primary),
      ({ CacheClusterStatus }) => CacheClusterStatus === 'available',
      { what: 'the retained cluster' },
    );
    await effect(
      'DeleteReplicationGroup',
      "RetainPrimaryCluster: the primary's process and data are there, the others' processes gone",
      async () => {
        expect(runningNodes(larder, id)).toEqual([`${primary}.0001`]);
        expect(pidOf(larder, primary)).toBe(pid);
        const client = clients.to(address);
        expect(await client.get('kept')).toBe('yes');
        expect((await client.role())[0]).toBe('master');
      },
    );
    expect(retained.ReplicationGroupId).toBeUndefined();
    expect(retained.CacheNodes![0]!.Endpoint).toEqual(address);

    await createGroup(larder, 'heir', { PrimaryClusterId: primary, NumCacheClusters: 2 });
    const heir = await groupAvailable(larder, 'heir');
    await effect(
      'CreateReplicationGroup',
      "PrimaryClusterId: the cluster's process goes on as the primary, its data on the new replica",
      async () => {
        expect(pidOf(larder, primary)).toBe(pid);
        expect(primaryOf(heir)).toBe(primary);
        const replica = membersOf(heir).find(({ CurrentRole }) => CurrentRole === 'replica')!;
        expect(await clients.to(replica.ReadEndpoint!).get('kept')).toBe('yes');
        expect(await clients.to(endpointOf(heir)).get('kept')).toBe('yes');
      },
    );

    await deleteGroup(larder, 'heir');
    await groupGone(larder, 'heir');
    await effect('DeleteReplicationGroup', 'no process and no folder of its nodes is left', async () => {
      expect(runningNodes(larder, 'heir')).toEqual([]);
      expect(pidOf(larder, primary)).toBeUndefined();
      expect((await larder.nodeFolders()).filter((name) => /^(heir|duo)/.test(name))).toEqual([]);
    });
  });
});

test('a retained primary needs a group without cluster mode', async () => {
  await createGroup(larder, 'sharded', { NumNodeGroups: 2, ReplicasPerNodeGroup: 0 });
  const retain = new DeleteReplicationGroupCommand({
    ReplicationGroupId: 'sharded',
    RetainPrimaryCluster: true,
  });
  expect(await errorName(larder.client.send(retain))).toBe(rejectedCombination);
  await groupAvailable(larder, 'sharded');
  // A page at a time, each once.
  const found: string[] = [];
  for await (const page of paginateDescribeReplicationGroups({ client: larder.client, pageSize: 20 }, {})) {
    found.push(...page.ReplicationGroups!.map((each) => each.ReplicationGroupId!));
  }
  const { ReplicationGroups } = await larder.client.send(new DescribeReplicationGroupsCommand({}));
  expect(found).toEqual(ReplicationGroups!.map((each) => each.ReplicationGroupId));
});
