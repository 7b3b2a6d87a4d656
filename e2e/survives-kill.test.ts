/**
 * The promise: the service may be killed at any moment. What it acknowledged is carried out when it is back, and
 * engines that serve don't notice.
 *
 * Steps are announced in the log right before they are executed; a kill some milliseconds after such a line falls
 * before, into or after the step, as chance will have it. Every start of the service that does a step is killed
 * again until a workflow is through, so that each of its steps is somewhere near a kill.
 */
import { CreateCacheClusterCommand, DeleteCacheClusterCommand } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
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
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { chosenSeed, randomFrom } from '../testing/seed.ts';
import { waitFor } from '../testing/wait-for.ts';

const random = randomFrom(chosenSeed('service kills'));
const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
const clients = redisClients();
let larder: TestLarder;

/** A group that nothing is asked of: it must not notice anything. */
const bystander = { id: 'bystander', keys: 1_000, pids: [] as number[] };

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'info' });
  await createGroup(larder, bystander.id, { NumCacheClusters: 2 });
  const group = await groupAvailable(larder, bystander.id);
  const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
  for (let index = 0; index < bystander.keys; index += 1) await client.set(`key:${index}`, index);
  bystander.pids = pidsOf(bystander.id);
});

beforeEach(() => {
  onTestFailed(() => console.log(`the service's last words:\n${larder.log.slice(-3_000)}`));
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

function pidsOf(prefix: string): number[] {
  return nodesOf(prefix).map(({ pid }) => pid);
}

function nodesOf(prefix: string) {
  return larder
    .processes()
    .filter(({ nodeId }) => nodeId.startsWith(`${prefix}-`) || nodeId.startsWith(`${prefix}.`));
}

/** Exactly these engines, once each, and no folder of another. */
async function expectNodes(prefix: string, nodeIds: readonly string[]): Promise<void> {
  expect(nodesOf(prefix).map(({ nodeId }) => nodeId)).toEqual(nodeIds);
  const folders = (await larder.nodeFolders()).filter((name) => name.includes(prefix));
  expect(folders).toEqual(nodeIds);
}

async function expectBystanderUndisturbed(): Promise<void> {
  expect(pidsOf(bystander.id)).toEqual(bystander.pids);
  const group = await describeGroup(larder, bystander.id);
  expect(group.Status).toBe('available');
  const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
  expect(await client.dbsize()).toBe(bystander.keys);
  expect(await infoField(client, 'connected_slaves')).toBe('1');
}

/** Kills the service some milliseconds after the nth step it announces from now on. Returns the way not to, which waits for a kill under way. */
function killAtStep(nth: number, afterMs: number): () => Promise<void> {
  let seen = 0;
  let timer: NodeJS.Timeout | undefined;
  let killed: Promise<void> | undefined;
  const stop = larder.onLogLine((line) => {
    if (!line.includes('"step":')) return;
    seen += 1;
    if (seen !== nth) return;
    timer = setTimeout(() => {
      killed = larder.kill();
    }, afterMs);
  });
  return async () => {
    stop();
    clearTimeout(timer);
    await killed;
  };
}

/** Kills and restarts the service near steps until `done`, at most `most` times. @returns how often. */
async function throughKills(done: () => Promise<boolean>, most = 6): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    const disarm = kills < most ? killAtStep(between(1, 3), between(0, 12)) : async () => {};
    try {
      if (larder.ended) await larder.start();
      await waitFor(
        async () => larder.ended || (await done()),
        (over) => over,
        { what: 'the workflow to be through, or another kill', limitMs: 60_000 },
      );
    } finally {
      await disarm();
    }
    if (larder.ended) continue;
    console.log(`through after ${kills} kills`);
    return kills;
  }
}

const isAvailable = (id: string) => async () => (await describeGroup(larder, id)).Status === 'available';

test('a group is created', async () => {
  await createGroup(larder, 'trio', { NumCacheClusters: 3, AutomaticFailoverEnabled: true });
  expect(await throughKills(isAvailable('trio'))).toBeGreaterThan(0);
  await expectNodes('trio', ['trio-001.0001', 'trio-002.0001', 'trio-003.0001']);
  const client = clients.to((await describeGroup(larder, 'trio')).NodeGroups![0]!.PrimaryEndpoint!);
  await client.set('a', '1');
  expect(await client.wait(2, 5_000)).toBe(2);
  await expectBystanderUndisturbed();
});

test('a group with cluster mode is created', async () => {
  await createGroup(larder, 'sharded', { NumNodeGroups: 2, ReplicasPerNodeGroup: 1 });
  expect(await throughKills(isAvailable('sharded'))).toBeGreaterThan(2);
  await expectNodes(
    'sharded',
    ['0001-001', '0001-002', '0002-001', '0002-002'].map((member) => `sharded-${member}.0001`),
  );
  const { ConfigurationEndpoint } = await describeGroup(larder, 'sharded');
  const info = (await clients.to(ConfigurationEndpoint!).cluster('INFO')) as string;
  expect(info).toContain('cluster_slots_ok:16384');
  expect(info).toContain('cluster_known_nodes:4');
  await expectBystanderUndisturbed();
});

test('a Memcached cluster is created and deleted', async () => {
  await larder.client.send(
    new CreateCacheClusterCommand({ CacheClusterId: 'memo', Engine: 'memcached', NumCacheNodes: 3 }),
  );
  await throughKills(async () => (await describeCluster(larder, 'memo')).CacheClusterStatus === 'available');
  await expectNodes('memo', ['memo.0001', 'memo.0002', 'memo.0003']);
  await larder.client.send(new DeleteCacheClusterCommand({ CacheClusterId: 'memo' }));
  await throughKills(
    async () => (await errorName(describeCluster(larder, 'memo'))) === 'CacheClusterNotFoundFault',
  );
  await expectNodes('memo', []);
});

describe('a primary dies', () => {
  async function wholeTrio(): Promise<void> {
    await waitFor(
      async () => {
        const group = await describeGroup(larder, 'trio');
        const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
        const linked = await infoField(client, 'connected_slaves');
        client.disconnect();
        return `${nodesOf('trio').length} nodes, ${linked} replicas`;
      },
      (seen) => seen === '3 nodes, 2 replicas',
      { what: 'three nodes in sync' },
    );
  }

  async function store(): Promise<{ primary: string; key: string; epochEvents: number }> {
    await wholeTrio();
    const group = await describeGroup(larder, 'trio');
    const key = `stored:${between(0, 1e9)}`;
    const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
    await client.set(key, 'kept');
    expect(await client.wait(2, 5_000)).toBe(2);
    client.disconnect();
    return { primary: primaryOf(group), key, epochEvents: (await failovers()).length };
  }

  async function failovers(): Promise<string[]> {
    return (await eventsOf(larder, 'trio')).filter((message) => message.startsWith('Failover'));
  }

  function killPrimary(primary: string): void {
    endProcess(nodesOf('trio').find(({ nodeId }) => nodeId === `${primary}.0001`)!.pid);
  }

  async function expectFailedOver(before: {
    primary: string;
    key: string;
    epochEvents: number;
  }): Promise<void> {
    const group = await waitFor(
      () => describeGroup(larder, 'trio'),
      (seen) => primaryOf(seen) !== before.primary,
      { what: 'another primary' },
    );
    await wholeTrio();
    const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
    expect(await infoField(client, 'role')).toBe('master');
    expect(await client.get(before.key)).toBe('kept');
    client.disconnect();
    await expectNodes('trio', ['trio-001.0001', 'trio-002.0001', 'trio-003.0001']);
    expect((await failovers()).length).toBe(before.epochEvents + 1);
  }

  test.each([1, 2, 3, 4, 5])('and the service near step %i of the failover', async (nth) => {
    const before = await store();
    const disarm = killAtStep(nth, between(0, 3));
    killPrimary(before.primary);
    await waitFor(
      async () => larder.ended || primaryOf(await describeGroup(larder, 'trio')) !== before.primary,
      (over) => over,
      { what: 'a kill or the failover' },
    );
    // Steps after the decision may still come.
    await waitFor(
      () => larder.ended || nodesOf('trio').length === 3,
      (over) => over,
      { what: 'a kill or the return of the node' },
    );
    await disarm();
    if (larder.ended) await larder.start();
    await expectFailedOver(before);
  });

  test.each(['before the service', 'after the service', 'with the service'])('%s', async (when) => {
    const before = await store();
    if (when === 'before the service') killPrimary(before.primary);
    if (when === 'with the service') {
      killPrimary(before.primary);
      endProcess(larder.pid);
    }
    await larder.kill();
    if (when === 'after the service') killPrimary(before.primary);
    await larder.start();
    await expectFailedOver(before);
  });

  test('and everything else with it, as when the machine goes down: the group comes back', async () => {
    await store();
    await larder.kill();
    for (const { pid } of nodesOf('trio')) endProcess(pid);
    await waitFor(
      () => nodesOf('trio').length,
      (left) => left === 0,
      { what: 'all nodes to be gone' },
    );
    await larder.start();
    await wholeTrio();
    await expectNodes('trio', ['trio-001.0001', 'trio-002.0001', 'trio-003.0001']);
  });
});

test('groups are deleted: nothing is left', async () => {
  await deleteGroup(larder, 'trio');
  await throughKills(
    async () => (await errorName(describeGroup(larder, 'trio'))) === 'ReplicationGroupNotFoundFault',
  );
  await deleteGroup(larder, 'sharded');
  await throughKills(
    async () => (await errorName(describeGroup(larder, 'sharded'))) === 'ReplicationGroupNotFoundFault',
  );
  await expectNodes('trio', []);
  await expectNodes('sharded', []);
  await expectBystanderUndisturbed();
});

test('created and deleted in one breath, and killed at once: the deletion is kept', async () => {
  for (let round = 0; round < 3; round += 1) {
    await createGroup(larder, 'brief', { NumCacheClusters: 2 });
    await deleteGroup(larder, 'brief');
    await larder.restart();
    await groupGone(larder, 'brief');
    await expectNodes('brief', []);
  }
});

test('after all of it the bystander has its processes, its data and its replica', async () => {
  await expectBystanderUndisturbed();
  expect(larder.log.split('\n').filter((line) => line.includes('breaks its invariants'))).toEqual([]);
});
