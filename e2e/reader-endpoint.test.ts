/** The promise: the reader endpoint spreads over replicas that are in sync, and always answers. */
import {
  DecreaseReplicaCountCommand,
  IncreaseReplicaCountCommand,
  type ReplicationGroup,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGroup, describeGroup, groupAvailable, primaryOf } from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

const membersOf = (group: ReplicationGroup) => group.NodeGroups![0]!.NodeGroupMembers!;

function pidOf(member: string): number {
  return larder.processes().find(({ nodeId }) => nodeId === `${member}.0001`)!.pid;
}

/** Which members answer at the reader endpoint: by eight connections one after the other. */
async function readers(group: ReplicationGroup): Promise<string[]> {
  const byPid = new Map(
    membersOf(group).map(({ CacheClusterId }) => [pidOf(CacheClusterId!), CacheClusterId!]),
  );
  const seen: string[] = [];
  for (let count = 0; count < 8; count += 1) {
    const client = clients.to(group.NodeGroups![0]!.ReaderEndpoint!, { retryStrategy: () => null });
    try {
      seen.push(byPid.get(Number(await infoField(client, 'process_id'))) ?? 'nobody');
    } finally {
      client.disconnect();
    }
  }
  return [...new Set(seen)].sort();
}

async function readBy(id: string, members: readonly string[]): Promise<void> {
  const wanted = [...members].sort().join();
  await waitFor(
    async () => readers(await describeGroup(larder, id)),
    (seen) => seen.join() === wanted,
    { what: `readers of ${id} to be led to ${wanted}`, everyMs: 100 },
  );
}

const replicasOf = (group: ReplicationGroup) =>
  membersOf(group)
    .map(({ CacheClusterId }) => CacheClusterId!)
    .filter((member) => member !== primaryOf(group));

describe('two replicas', () => {
  const id = 'readers';

  test('both are read from, and with the service dead they still are', async () => {
    await createGroup(larder, id, { NumCacheClusters: 3, AutomaticFailoverEnabled: true });
    const group = await groupAvailable(larder, id);
    await readBy(id, replicasOf(group));
    const before = await describeGroup(larder, id);
    await larder.kill();
    expect(await readers(before)).toEqual(replicasOf(before));
    await larder.start();
  });

  test('one dies: the other is read from, its connections live on, and it comes back', async () => {
    const group = await describeGroup(larder, id);
    const [first, second] = replicasOf(group) as [string, string];
    const open = Array.from({ length: 8 }, () =>
      clients.to(group.NodeGroups![0]!.ReaderEndpoint!, {
        retryStrategy: () => null,
        enableReadyCheck: false,
      }),
    );
    const served = await Promise.all(open.map((client) => infoField(client, 'process_id')));
    const onSecond = open.filter((_, index) => Number(served[index]) === pidOf(second));
    expect(onSecond).toHaveLength(4);
    const lost = pidOf(first);
    endProcess(lost);
    await waitFor(
      async () => larder.processes().some(({ nodeId, pid }) => nodeId === `${first}.0001` && pid !== lost),
      (back) => back,
      { what: 'another process' },
    );
    await readBy(id, [first, second]);
    expect(await Promise.all(onSecond.map((client) => client.ping()))).toEqual([
      'PONG',
      'PONG',
      'PONG',
      'PONG',
    ]);
  });

  test('the primary dies: the new primary is no reader, and the old one becomes one', async () => {
    const before = await describeGroup(larder, id);
    endProcess(pidOf(primaryOf(before)!));
    const after = await waitFor(
      () => describeGroup(larder, id),
      (seen) => primaryOf(seen) !== primaryOf(before),
      { what: 'another primary' },
    );
    await readBy(id, replicasOf(after));
    expect(replicasOf(after)).toContain(primaryOf(before));
  });

  test('both die: the endpoint answers all the same', async () => {
    const group = await describeGroup(larder, id);
    const replicas = replicasOf(group);
    for (const pid of replicas.map(pidOf)) endProcess(pid);
    expect(await clients.to(group.NodeGroups![0]!.ReaderEndpoint!).ping()).toBe('PONG');
    await waitFor(
      () => larder.processes().length,
      (count) => count === 3,
      { what: 'three processes' },
    );
    await readBy(id, replicas);
  });
});

test('one replica listens itself; a second one is spread over, and after it went the first listens again', async () => {
  const id = 'grows';
  await createGroup(larder, id, { NumCacheClusters: 2, AutomaticFailoverEnabled: true });
  const pair = await groupAvailable(larder, id);
  await readBy(id, replicasOf(pair));
  const change = { ReplicationGroupId: id, ApplyImmediately: true };
  await larder.client.send(new IncreaseReplicaCountCommand({ ...change, NewReplicaCount: 2 }));
  const trio = await groupAvailable(larder, id);
  await readBy(id, replicasOf(trio));
  await larder.client.send(new DecreaseReplicaCountCommand({ ...change, NewReplicaCount: 1 }));
  const again = await groupAvailable(larder, id);
  await readBy(id, replicasOf(again));
});
