/** The promise: shards come, go and share slots anew while clients write, whoever dies in between. */
import {
  ModifyReplicationGroupShardConfigurationCommand,
  type ModifyReplicationGroupShardConfigurationCommandInput,
  type ReplicationGroup,
} from '@aws-sdk/client-elasticache';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';
import { type WriteProbe, writeProbe } from '../testing/write-probe.ts';

const operation = 'ModifyReplicationGroupShardConfiguration';
const clients = redisClients();
const clusters: Cluster[] = [];
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
});

beforeEach(() => {
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-4_000)}`));
});

afterAll(async () => {
  for (const cluster of clusters) cluster.disconnect();
  clients.close();
  await larder?.remove();
});

type Request = Partial<ModifyReplicationGroupShardConfigurationCommandInput>;

async function reshard(id: string, input: Request): Promise<ReplicationGroup> {
  const { ReplicationGroup: group } = await larder.client.send(
    new ModifyReplicationGroupShardConfigurationCommand({
      ReplicationGroupId: id,
      ApplyImmediately: true,
      NodeGroupCount: undefined,
      ...input,
    }),
  );
  return group!;
}

const refusal = (id: string, input: Request) => errorName(reshard(id, input));

function clusterOf(group: ReplicationGroup): Cluster {
  const { Address, Port } = group.ConfigurationEndpoint!;
  const cluster = new Cluster([{ host: Address!, port: Port! }], {
    clusterRetryStrategy: () => 10,
    retryDelayOnFailover: 10,
    retryDelayOnClusterDown: 10,
    maxRedirections: 1_000,
    redisOptions: { commandTimeout: 10_000 },
  });
  cluster.on('error', () => {});
  clusters.push(cluster);
  return cluster;
}

/** Shard -> slots as every node of the group says; they must agree, and have no slot open. */
async function slotsByEngines(group: ReplicationGroup): Promise<Record<string, string>> {
  const members = group.NodeGroups!.flatMap(({ NodeGroupId, NodeGroupMembers }) =>
    NodeGroupMembers!.map(({ CacheClusterId }) => ({ shard: NodeGroupId!, id: CacheClusterId! })),
  );
  const shardOf = new Map<string, string>();
  const addresses = await Promise.all(
    members.map(async ({ id, shard }) => {
      const { Endpoint } = (await describeCluster(larder, id)).CacheNodes![0]!;
      shardOf.set(Endpoint!.Address!, shard);
      return Endpoint!;
    }),
  );
  const views = await Promise.all(
    addresses.map(async (place) => {
      const client = clients.to(place);
      const text = String(await client.call('CLUSTER', 'NODES'));
      client.disconnect();
      const lines = text.trim().split('\n');
      expect(lines).toHaveLength(members.length);
      expect(text).not.toMatch(/\[\d+-[<>]-/);
      const owners = lines.flatMap((line): [string, string][] => {
        const [, place, , , , , , , ...slots] = line.split(' ');
        return slots.length === 0 ? [] : [[shardOf.get(place!.split(':')[0]!)!, slots.join(',')]];
      });
      return Object.fromEntries(owners.sort());
    }),
  );
  for (const view of views) expect(view).toEqual(views[0]);
  return views[0]!;
}

const described = (group: ReplicationGroup) =>
  Object.fromEntries(group.NodeGroups!.map(({ NodeGroupId, Slots }) => [NodeGroupId!, Slots!]));

function sizes(slots: Readonly<Record<string, string>>): number[] {
  return Object.values(slots).map((text) =>
    text.split(',').reduce((sum, range) => {
      const [first, last = first] = range.split('-').map(Number);
      return sum + last! - first! + 1;
    }, 0),
  );
}

/** Until available. @returns the percentages that were shown on the way. */
async function finished(id: string): Promise<{ group: ReplicationGroup; progress: number[] }> {
  const progress: number[] = [];
  const group = await waitFor(
    () => describeGroup(larder, id),
    ({ Status, PendingModifiedValues }) => {
      const percent = PendingModifiedValues?.Resharding?.SlotMigration?.ProgressPercentage;
      if (percent !== undefined) progress.push(percent);
      return Status === 'available';
    },
    { what: `${id} to be resharded`, limitMs: 40_000 },
  );
  return { group, progress };
}

/** The first step that moves slots, from now on. */
function slotsBeginToMove(): Promise<void> {
  return new Promise((resolve) => {
    const stop = larder.onLogLine((line) => {
      if (!/"step":"(migrate|move)-slots"/.test(line)) return;
      stop();
      resolve();
    });
  });
}

const engines = [
  { engine: 'valkey', version: '9.1', id: 'whole' },
  { engine: 'redis', version: '7.0', id: 'keys' },
] as const;

describe.each(engines)('$engine $version', ({ engine, version, id }) => {
  const keyCount = 4_000;
  const binaryKey = Buffer.from([0xff, 0x00, 0xfe, 0x0a]);
  const library = "#!lua name=shop\nredis.register_function('one', function() return 1 end)";
  let cluster: Cluster;
  let probe: WriteProbe;
  const wrong: string[] = [];
  const failed: string[] = [];

  beforeAll(async () => {
    await createGroup(larder, id, {
      Engine: engine,
      EngineVersion: version,
      ReplicasPerNodeGroup: 1,
      NumNodeGroups: 2,
      NodeGroupConfiguration: [
        { NodeGroupId: '0001', Slots: '0-5999' },
        { NodeGroupId: '0002', Slots: '6000-16383' },
      ],
    });
    cluster = clusterOf(await groupAvailable(larder, id));
    await Promise.all(
      Array.from({ length: keyCount }, (_, index) =>
        cluster.set(`key:${index}`, `value:${index}`.padEnd(200)),
      ),
    );
    await cluster.hset('a-hash', 'field', '1');
    await cluster.rpush('a-list', 'a', 'b');
    await cluster.set(binaryKey, 'bytes');
    await cluster.set('brief', 'x', 'EX', 1_000);
    for (const node of cluster.nodes('master')) await node.call('FUNCTION', 'LOAD', library);
    await Promise.all(cluster.nodes('master').map((node) => node.wait(1, 5_000)));
  });

  /** Clients write and read all the time; what they read must be what they wrote. */
  function startClients(): void {
    wrong.length = 0;
    failed.length = 0;
    let written = 0;
    probe = writeProbe('written', async (key) => {
      try {
        await cluster.set(key, key);
        const earlier = `key:${(written * 7) % keyCount}`;
        if (!(await cluster.get(earlier))?.startsWith(earlier.replace('key', 'value'))) wrong.push(earlier);
        written += 1;
      } catch (error) {
        failed.push(String(error));
        throw error;
      }
    });
  }

  async function expectAllThere(): Promise<void> {
    const values = await Promise.all(
      Array.from({ length: keyCount }, (_, index) => cluster.get(`key:${index}`)),
    );
    expect(values.filter((value, index) => value?.trim() !== `value:${index}`)).toEqual([]);
    expect(await cluster.hgetall('a-hash')).toEqual({ field: '1' });
    expect(await cluster.lrange('a-list', 0, -1)).toEqual(['a', 'b']);
    expect(await cluster.get(binaryKey)).toBe('bytes');
    expect(await cluster.ttl('brief')).toBeGreaterThan(900);
  }

  async function expectNothingLost(): Promise<void> {
    const { acknowledged, longestGapMs } = await probe.stop();
    const read = await Promise.all(acknowledged.map((key) => cluster.get(key)));
    expect(acknowledged.filter((key, index) => read[index] !== key)).toEqual([]);
    console.log(`${id}: ${acknowledged.length} writes, the longest pause ${longestGapMs} ms`);
  }

  test('the same shards share their slots anew; clients see no error', async () => {
    startClients();
    const begun = performance.now();
    const asked = await reshard(id, { NodeGroupCount: 2 });
    expect(asked.Status).toBe('modifying');
    expect(asked.PendingModifiedValues?.Resharding?.SlotMigration?.ProgressPercentage).toBe(0);
    expect(await refusal(id, { NodeGroupCount: 3 })).toBe('InvalidReplicationGroupStateFault');
    const { group, progress } = await finished(id);
    const tookMs = performance.now() - begun;
    await expectNothingLost();
    expect({ failed, wrong }).toEqual({ failed: [], wrong: [] });
    await effect(operation, 'slots spread evenly over two shards by CLUSTER NODES', async () => {
      const slots = await slotsByEngines(group);
      expect(sizes(slots)).toEqual([8_192, 8_192]);
      expect(described(group)).toEqual(slots);
    });
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    await expectAllThere();
    console.log(`${id}: 2192 slots in ${Math.round(tookMs)} ms, shown on the way: ${[...new Set(progress)]}`);
  });

  test('a third shard, and the service is killed in the middle', async () => {
    startClients();
    const moving = slotsBeginToMove();
    await reshard(id, {
      NodeGroupCount: 3,
      ReshardingConfiguration: [
        { NodeGroupId: '0003', PreferredAvailabilityZones: ['us-east-1b', 'us-east-1a'] },
      ],
    });
    await moving;
    await larder.restart();
    const { group } = await finished(id);
    await expectNothingLost();
    expect({ failed, wrong }).toEqual({ failed: [], wrong: [] });
    await effect(
      operation,
      'a new shard with a replica and a third of the slots by CLUSTER NODES',
      async () => {
        const slots = await slotsByEngines(group);
        expect(sizes(slots).sort()).toEqual([5_461, 5_461, 5_462]);
        expect(described(group)).toEqual(slots);
      },
    );
    const added = group.NodeGroups![2]!;
    expect(added.NodeGroupMembers!.map((each) => each.PreferredAvailabilityZone)).toEqual([
      'us-east-1b',
      'us-east-1a',
    ]);
    expect(added.Status).toBe('available');
    const primary = (await describeCluster(larder, `${id}-0003-001`)).CacheNodes![0]!.Endpoint!;
    expect(await clients.to(primary).call('FCALL', 'one', '0')).toBe(1);
    await expectAllThere();
    expect(await eventsOf(larder, id)).toContain(
      `Resharding replication group ${id} from 2 to 3 node groups`,
    );
  });

  test('the first shard goes, and its primary is killed in the middle', async () => {
    startClients();
    await waitFor(
      () => probe.count,
      (count) => count > 50,
      { what: 'writes' },
    );
    const moving = slotsBeginToMove();
    await reshard(id, { NodeGroupCount: 2, NodeGroupsToRemove: ['0001'] });
    await moving;
    const victim = larder.processes().find(({ nodeId }) => nodeId === `${id}-0001-001.0001`)!;
    endProcess(victim.pid);
    const { group } = await finished(id);
    await probe.stop();
    expect(wrong).toEqual([]);
    await effect(operation, 'a shard gone from CLUSTER NODES and from the process table', async () => {
      const slots = await slotsByEngines(group);
      expect(Object.keys(slots)).toEqual(['0002', '0003']);
      expect(sizes(slots)).toEqual([8_192, 8_192]);
      expect(described(group)).toEqual(slots);
      const left = larder.processes().filter(({ nodeId }) => nodeId.startsWith(`${id}-`));
      expect(left.map(({ nodeId }) => nodeId)).toEqual(
        ['0002-001', '0002-002', '0003-001', '0003-002'].map((member) => `${id}-${member}.0001`),
      );
      expect((await larder.nodeFolders()).filter((name) => name.startsWith(`${id}-0001`))).toEqual([]);
    });
    await expectAllThere();
    // The endpoint that clients know leads to a node that stayed.
    expect(await clients.to(group.ConfigurationEndpoint!).ping()).toBe('PONG');
    expect(await eventsOf(larder, id)).toContain('Removed node group 0001');
  });

  test('what can not be is refused and changes nothing', async () => {
    const before = await describeGroup(larder, id);
    const combination = 'InvalidParameterCombinationException';
    const wrongValue = 'InvalidParameterValueException';
    expect(await refusal(id, { NodeGroupCount: 3, ApplyImmediately: false })).toBe(wrongValue);
    expect(await refusal(id, { NodeGroupCount: 0 })).toBe(wrongValue);
    expect(await refusal(id, { NodeGroupCount: 1 })).toBe(combination);
    expect(await refusal(id, { NodeGroupCount: 1, NodeGroupsToRemove: ['0002', '0003'] })).toBe(combination);
    expect(await refusal(id, { NodeGroupCount: 1, NodeGroupsToRetain: ['0009'] })).toBe(wrongValue);
    expect(await refusal(id, { NodeGroupCount: 3, NodeGroupsToRemove: ['0002'] })).toBe(combination);
    expect(await refusal(id, { NodeGroupCount: 60 })).toBe('NodeGroupsPerReplicationGroupQuotaExceededFault');
    const zones = (...names: string[]) => ({
      NodeGroupCount: 3,
      ReshardingConfiguration: [{ NodeGroupId: '0004', PreferredAvailabilityZones: names }],
    });
    expect(await refusal(id, zones('us-east-1a'))).toBe(combination);
    expect(await refusal(id, zones('us-east-1a', 'mars-1a'))).toBe(wrongValue);
    expect(await refusal('nobody', { NodeGroupCount: 3 })).toBe('ReplicationGroupNotFoundFault');
    expect(await describeGroup(larder, id)).toEqual(before);
  });
});

test('no plan broke an invariant', () => {
  expect(larder.log.split('\n').filter((line) => line.includes('breaks its invariants'))).toEqual([]);
});
