/**
 * The promise: a snapshot is restored into another number of shards, or other slots: every key is there once, in the
 * shard of its slot, with its life time (to the millisecond where the engine moves slots by itself); also when the service
 * is killed on the way.
 */
import type { CreateReplicationGroupCommandInput, NodeGroup } from '@aws-sdk/client-elasticache';
import { slotOfKey } from '@larder/engine/slots';
import { Cluster, type Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  errorName,
  eventsOf,
  groupAvailable,
  groupGone,
} from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { expectTidy, reached, take } from '../testing/snapshots.ts';
import { waitFor } from '../testing/wait-for.ts';

const keyCount = 3_000;
const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
});

beforeEach(() => {
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-6_000)}`));
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

/** Strings with and without an end, and a few of what is not a string. @returns key -> when it ends, -1 for never. */
async function fill(client: Redis | Cluster): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  const laterMs = Date.now() + 3_600_000;
  await Promise.all(
    Array.from({ length: keyCount }, async (_, index) => {
      const key = `key:${index}`;
      const endsAtMs = index % 3 === 0 ? laterMs + index : -1;
      ends.set(key, endsAtMs);
      if (endsAtMs < 0) await client.set(key, `value ${index}`);
      else await client.set(key, `value ${index}`, 'PXAT', endsAtMs);
    }),
  );
  await client.hset('hash', { a: '1', b: '2' });
  await client.zadd('board', 1.5, 'ann', 2, 'bob');
  await client.xadd('stream', '1-1', 'field', 'value');
  return ends;
}

async function memberClient(id: string): Promise<Redis> {
  return clients.to((await describeCluster(larder, id)).CacheNodes![0]!.Endpoint!);
}

/** Asks each shard for what it holds, so that nothing is hidden by a redirection. */
async function expectRestored(group: Shown, ends: ReadonlyMap<string, number>): Promise<void> {
  const exact = group.Engine === 'valkey';
  const found = new Map<string, number>();
  for (const { Slots: slots, NodeGroupMembers: members } of group.NodeGroups!) {
    for (const { CacheClusterId: id } of members!) {
      const primary = await memberClient(id!);
      if ((await infoField(primary, 'role')) !== 'master') continue;
      for (const key of await primary.keys('*')) {
        expect(found.has(key)).toBe(false);
        expect(isIn(slots!, slotOfKey(Buffer.from(key)))).toBe(true);
        found.set(key, Number(await primary.call('PEXPIRETIME', key)));
        if (key.startsWith('key:')) expect(await primary.get(key)).toBe(`value ${key.slice(4)}`);
      }
    }
  }
  for (const key of ['hash', 'board', 'stream']) {
    expect(found.get(key)).toBe(-1);
    found.delete(key);
  }
  // MIGRATE sends what is left of a life time, so each of its moves adds the time on its way.
  const late = [...ends].filter(([key, endsAtMs]) => {
    const foundMs = found.get(key) ?? 0;
    return endsAtMs < 0 || exact ? foundMs !== endsAtMs : foundMs < endsAtMs || foundMs > endsAtMs + 1_000;
  });
  expect(late).toEqual([]);
  expect(found.size).toBe(ends.size);
}

type Shown = Awaited<ReturnType<typeof describeGroup>>;

function isIn(slots: string, slot: number): boolean {
  return slots.split(',').some((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return first! <= slot && slot <= last!;
  });
}

async function restored(
  id: string,
  change: Partial<CreateReplicationGroupCommandInput>,
): Promise<{ group: Shown; slots: (string | undefined)[] }> {
  await createGroup(larder, id, change);
  const group = await groupAvailable(larder, id);
  return { group, slots: group.NodeGroups!.map(({ Slots }: NodeGroup) => Slots) };
}

describe.each([
  { engine: 'valkey', version: '9.1' },
  { engine: 'redis', version: '7.0' },
])('$engine $version', ({ engine, version }) => {
  const source = `from-${engine}`;
  const kept = { SnapshotName: `kept-${engine}` };
  let ends: Map<string, number>;
  const made: string[] = [];

  beforeAll(async () => {
    await createGroup(larder, source, {
      Engine: engine,
      EngineVersion: version,
      NumNodeGroups: 2,
      ReplicasPerNodeGroup: 0,
    });
    const place = (await groupAvailable(larder, source)).ConfigurationEndpoint!;
    const client = new Cluster([{ host: place.Address!, port: place.Port! }]);
    ends = await fill(client);
    client.disconnect();
    await take(larder, { ReplicationGroupId: source, ...kept });
    await reached(larder, kept.SnapshotName, 'available');
    await deleteGroup(larder, source);
  });

  afterEach(async () => {
    for (const id of made.splice(0)) {
      await deleteGroup(larder, id);
      await groupGone(larder, id);
    }
    await expectTidy(larder);
  });

  test('twice the shards, with replicas', async () => {
    const id = `twice-${engine}`;
    made.push(id);
    await effect(
      'CreateReplicationGroup',
      'a snapshot in twice its shards: every key and life time',
      async () => {
        const { group, slots } = await restored(id, { ...kept, NumNodeGroups: 4, ReplicasPerNodeGroup: 1 });
        expect(slots).toEqual(['0-4095', '4096-8191', '8192-12287', '12288-16383']);
        await expectRestored(group, ends);
        for (const { NodeGroupMembers: members } of group.NodeGroups!) {
          const roles = members!.map(async ({ CacheClusterId: member }) =>
            infoField(await memberClient(member!), 'role'),
          );
          expect((await Promise.all(roles)).sort()).toEqual(['master', 'slave']);
        }
      },
    );
    expect((await eventsOf(larder, id)).at(-1)).toContain(`with the data of snapshot ${kept.SnapshotName}`);
  });

  test('one shard: the others are gone when it is available', async () => {
    const id = `one-${engine}`;
    made.push(id);
    const { group, slots } = await restored(id, { ...kept, NumNodeGroups: 1 });
    expect(slots).toEqual(['0-16383']);
    await expectRestored(group, ends);
    expect(larder.processes().filter(({ nodeId }) => nodeId.startsWith(id))).toHaveLength(1);
  });

  test('the slots that were asked for', async () => {
    const id = `other-${engine}`;
    made.push(id);
    const { group, slots } = await restored(id, {
      ...kept,
      NodeGroupConfiguration: [
        { NodeGroupId: '0001', Slots: '0-99,10000-16383', ReplicaCount: 0 },
        { NodeGroupId: '0002', Slots: '100-9999', ReplicaCount: 0 },
      ],
    });
    expect(slots).toEqual(['0-99,10000-16383', '100-9999']);
    await expectRestored(group, ends);
  });

  test('the service is killed again and again meanwhile', async () => {
    const id = `killed-${engine}`;
    made.push(id);
    await createGroup(larder, id, { ...kept, NumNodeGroups: 3, ReplicasPerNodeGroup: 0 });
    for (const step of ['start-node', 'form-shards', engine === 'valkey' ? 'migrate-slots' : 'move-slots']) {
      const seen = larder.log.length;
      await waitFor(
        async () =>
          larder.log.slice(seen).includes(`"step":"${step}"`) ||
          (await describeGroup(larder, id)).Status === 'available',
        (over) => over,
        { what: step, everyMs: 1, limitMs: 60_000 },
      );
      await larder.restart();
    }
    await expectRestored(await groupAvailable(larder, id), ends);
  });

  test('more nodes than a group may have are refused', async () => {
    expect(await errorName(createGroup(larder, 'wide', { ...kept, NumNodeGroups: 91 }))).toBe(
      'InvalidParameterValueException',
    );
  });
});

test('a group without cluster mode becomes one of several shards', async () => {
  await createGroup(larder, 'flat', { NumCacheClusters: 1 });
  const client = clients.to((await groupAvailable(larder, 'flat')).NodeGroups![0]!.PrimaryEndpoint!);
  const ends = await fill(client);
  await take(larder, { ReplicationGroupId: 'flat', SnapshotName: 'kept-flat' });
  await reached(larder, 'kept-flat', 'available');
  const { group, slots } = await restored('spread', { SnapshotName: 'kept-flat', NumNodeGroups: 2 });
  expect(slots).toEqual(['0-8191', '8192-16383']);
  await expectRestored(group, ends);
  expect(
    await errorName(
      createGroup(larder, 'no', { SnapshotName: 'kept-flat', NumNodeGroups: 2, ClusterMode: 'disabled' }),
    ),
  ).toBe('InvalidParameterCombinationException');
});
