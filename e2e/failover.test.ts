/** The promise: a node that dies is replaced at once, no acknowledged write is lost, and clients keep their endpoint. */
import type { ReplicationGroup } from '@aws-sdk/client-elasticache';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createGroup,
  deleteGroup,
  describeCluster,
  describeGroup,
  eventsOf,
  groupAvailable,
  groupGone,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { infoField, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';
import { wholeCopies, wholeCopiesSince } from '../testing/whole-copies.ts';
import { missingOf, writeProbe } from '../testing/write-probe.ts';

const clients = redisClients();
let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
});

function pidOf(member: string): number | undefined {
  return larder.processes().find(({ nodeId }) => nodeId === `${member}.0001`)?.pid;
}

/** SIGKILL, as the kernel's OOM killer would. @returns the pids. */
function kill(...members: string[]): number[] {
  const pids = members.map((member) => pidOf(member)!);
  for (const pid of pids) endProcess(pid);
  return pids;
}

const endpointOf = (group: ReplicationGroup) => group.NodeGroups![0]!.PrimaryEndpoint!;
const membersOf = (group: ReplicationGroup) => group.NodeGroups![0]!.NodeGroupMembers!;

/** Looks at every node itself, by INFO: one primary, and everybody else in sync with it. */
async function wholeGroup(id: string): Promise<{ primary: string; pids: Record<string, number> }> {
  const group = await waitFor(
    () => describeGroup(larder, id),
    ({ NodeGroups }) => NodeGroups![0]!.PrimaryEndpoint !== undefined,
    { what: `${id} to have a primary endpoint` },
  );
  const look = async () => {
    const lines = membersOf(await describeGroup(larder, id)).map(async ({ CacheClusterId, ReadEndpoint }) => {
      const client = clients.to(ReadEndpoint!);
      try {
        const role = await infoField(client, 'role');
        const link = (await infoField(client, 'master_link_status')) ?? '';
        return `${CacheClusterId} ${role} ${link}`.trim();
      } finally {
        client.disconnect();
      }
    });
    return (await Promise.all(lines)).sort();
  };
  const lines = await waitFor(
    look,
    (seen) =>
      seen.filter((line) => line.endsWith('master')).length === 1 &&
      seen.filter((line) => line.endsWith('slave up')).length === membersOf(group).length - 1,
    { what: `${id} to be whole again`, everyMs: 50 },
  );
  const primary = lines.find((line) => line.endsWith('master'))!.split(' ')[0]!;
  expect(primaryOf(await describeGroup(larder, id))).toBe(primary);
  const ids = membersOf(group).map(({ CacheClusterId }) => CacheClusterId!);
  return { primary, pids: Object.fromEntries(ids.map((member) => [member, pidOf(member)!])) };
}

describe('a primary with two replicas', () => {
  const id = 'trio';

  beforeAll(async () => {
    await createGroup(larder, id, { NumCacheClusters: 3, AutomaticFailoverEnabled: true });
    await groupAvailable(larder, id);
  });

  test('the primary is killed, twice in a row: writes go on, and none that was acknowledged is lost', async () => {
    const endpoint = endpointOf(await describeGroup(larder, id));
    const writer = clients.to(endpoint, { retryStrategy: () => 2, maxRetriesPerRequest: 0 });
    for (const round of [1, 2]) {
      const before = await wholeGroup(id);
      const probe = writeProbe(`round${round}`, (key) => writer.set(key, key));
      await waitFor(
        () => probe.count,
        (count) => count > 200,
        { what: '200 writes' },
      );
      const copies = wholeCopies(larder);
      const [killed] = kill(before.primary);
      const group = await waitFor(
        () => describeGroup(larder, id),
        (seen) => primaryOf(seen) !== before.primary,
        { what: 'Describe to show another primary' },
      );
      const sofar = probe.count;
      await waitFor(
        () => probe.count,
        (count) => count > sofar + 200,
        { what: '200 more writes' },
      );
      const after = await wholeGroup(id);
      const { acknowledged, longestGapMs } = await probe.stop();
      console.log(`round ${round}: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);

      expect(group.Status).toBe('available');
      expect(group.NodeGroups![0]!.PrimaryEndpoint).toEqual(endpoint);
      expect(after.primary).not.toBe(before.primary);
      expect(after.pids[before.primary]).not.toBe(killed);
      // The one that came back took its data from the other replica: a fork would have held the primary's clients up.
      const node = `${after.primary}.0001`;
      expect(wholeCopies(larder).get(node)).toBe(copies.get(node));
      expect(wholeCopiesSince(larder, copies)).toBe(1);
      expect(await missingOf(acknowledged, (keys) => writer.mget([...keys]))).toEqual([]);
      expect(await eventsOf(larder, id)).toContain(
        `Failover from primary node ${before.primary} to replica node ${after.primary} completed`,
      );
      expect(await eventsOf(larder, before.primary)).toContain('Recovering cache nodes 0001');
    }
  });

  test('the primary hangs: another takes over, and the old one never acknowledges a write again', async () => {
    const before = await wholeGroup(id);
    const endpoint = endpointOf(await describeGroup(larder, id));
    const writer = clients.to(endpoint, {
      retryStrategy: () => 2,
      maxRetriesPerRequest: 0,
      commandTimeout: 200,
      autoResendUnfulfilledCommands: false,
    });
    const probe = writeProbe('hung', (key) => writer.set(key, key));
    await waitFor(
      () => probe.count,
      (count) => count > 200,
      { what: '200 writes' },
    );
    // Asked before it hangs and answered, if ever, after it went on.
    const { ReadEndpoint } = membersOf(await describeGroup(larder, id)).find(
      ({ CacheClusterId }) => CacheClusterId === before.primary,
    )!;
    const zombie = clients.to(ReadEndpoint!, { retryStrategy: () => null, commandTimeout: 60_000 });
    await zombie.ping();
    const pid = before.pids[before.primary]!;
    endProcess(pid, 'SIGSTOP');
    const late = zombie.set('late', '1').then(
      () => 'acknowledged',
      () => 'refused',
    );
    await waitFor(
      () => describeGroup(larder, id),
      (seen) => primaryOf(seen) !== before.primary,
      { what: 'Describe to show another primary' },
    );
    const sofar = probe.count;
    endProcess(pid, 'SIGCONT');
    await waitFor(
      () => probe.count,
      (count) => count > sofar + 200,
      { what: '200 more writes' },
    );
    const after = await wholeGroup(id);
    const { acknowledged, longestGapMs } = await probe.stop();
    console.log(`hung: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);
    expect(await late).toBe('refused');
    expect(after.primary).not.toBe(before.primary);
    expect(after.pids[before.primary]).not.toBe(pid);
    expect(await missingOf(acknowledged, (keys) => writer.mget([...keys]))).toEqual([]);
    expect((await eventsOf(larder, before.primary)).join('\n')).toMatch(
      /Cache node 0001 was ended: it did not answer for \d+ ms: it is stopped/,
    );
  });

  test('a replica is killed: it comes back with the data, the primary notices nothing', async () => {
    const before = await wholeGroup(id);
    const endpoint = endpointOf(await describeGroup(larder, id));
    const writer = clients.to(endpoint, { retryStrategy: () => null });
    const replica = Object.keys(before.pids).find((member) => member !== before.primary)!;
    const probe = writeProbe('undisturbed', (key) => writer.set(key, key));
    await waitFor(
      () => probe.count,
      (count) => count > 100,
      { what: '100 writes' },
    );
    kill(replica);
    await waitFor(
      () => pidOf(replica),
      (pid) => pid !== undefined && pid !== before.pids[replica],
      { what: 'another process' },
    );
    const after = await wholeGroup(id);
    const { acknowledged } = await probe.stop();
    expect(after).toMatchObject({
      primary: before.primary,
      pids: { [before.primary]: before.pids[before.primary] },
    });
    const { ReadEndpoint } = membersOf(await describeGroup(larder, id)).find(
      (each) => each.CacheClusterId === replica,
    )!;
    await writer.wait(2, 5_000);
    const reader = clients.to(ReadEndpoint!);
    expect(await missingOf(acknowledged, (keys) => reader.mget([...keys]))).toEqual([]);
  });

  test('the primary and a replica die together: the last one takes over with everything', async () => {
    const before = await wholeGroup(id);
    const endpoint = endpointOf(await describeGroup(larder, id));
    const writer = clients.to(endpoint);
    await writer.set('both', 'kept');
    await writer.wait(2, 5_000);
    const [replica, survivor] = Object.keys(before.pids).filter((member) => member !== before.primary);
    kill(before.primary, replica!);
    await waitFor(
      () => describeGroup(larder, id),
      (group) => primaryOf(group) === survivor,
      { what: 'the survivor to be the primary' },
    );
    expect((await wholeGroup(id)).primary).toBe(survivor);
    expect(await writer.get('both')).toBe('kept');
  });

  test('the reader endpoint leads to a replica again after its node died', async () => {
    const before = await wholeGroup(id);
    const readerEndpoint = (await describeGroup(larder, id)).NodeGroups![0]!.ReaderEndpoint!;
    const replicas = Object.keys(before.pids).filter((member) => member !== before.primary);
    // One of the two holds it.
    for (const replica of replicas) {
      kill(replica);
      await wholeGroup(id);
      await waitFor(
        () => infoField(clients.to(readerEndpoint), 'role'),
        (role) => role === 'slave',
        { what: 'the reader endpoint to be a replica' },
      );
    }
  });

  test('all three die together: the group comes back, empty, and says so', async () => {
    const before = await wholeGroup(id);
    // Stopped first: else the service may promote and restart one before the last is dead.
    for (const pid of Object.values(before.pids)) endProcess(pid, 'SIGSTOP');
    kill(...Object.keys(before.pids));
    const after = await wholeGroup(id);
    expect(Object.values(after.pids)).not.toContain(before.pids[before.primary]);
    const writer = clients.to(endpointOf(await describeGroup(larder, id)));
    expect(await writer.dbsize()).toBe(0);
    expect(await writer.set('a', '1')).toBe('OK');
    expect((await eventsOf(larder, id)).at(-1)).toBe(
      `Primary node ${after.primary} of node group 0001 starts without data: no other node held any`,
    );
  });

  test('made anew under its name it fails over as before', async () => {
    await deleteGroup(larder, id);
    await groupGone(larder, id);
    await createGroup(larder, id, { NumCacheClusters: 2, AutomaticFailoverEnabled: true });
    await groupAvailable(larder, id);
    const before = await wholeGroup(id);
    kill(before.primary);
    await waitFor(
      () => describeGroup(larder, id),
      (group) => primaryOf(group) !== before.primary,
      { what: 'another primary' },
    );
    await wholeGroup(id);
  });
});

test('a group of one node: it comes back empty at its endpoint', async () => {
  await createGroup(larder, 'single', {});
  const group = await groupAvailable(larder, 'single');
  const client = clients.to(endpointOf(group));
  await client.set('a', '1');
  const [killed] = kill('single-001');
  await waitFor(
    () => client.dbsize(),
    (keys) => keys === 0,
    { what: 'the node to be back, empty' },
  );
  expect(pidOf('single-001')).not.toBe(killed);
  expect(await client.set('a', '2')).toBe('OK');
});

describe('with cluster mode', () => {
  async function memberAddress(member: string): Promise<string> {
    return (await describeCluster(larder, member)).CacheNodes![0]!.Endpoint!.Address!;
  }

  async function clusterClient(group: ReplicationGroup): Promise<Cluster> {
    const { Address, Port } = group.ConfigurationEndpoint!;
    return new Cluster([{ host: Address!, port: Port! }], {
      clusterRetryStrategy: () => 10,
      retryDelayOnFailover: 5,
      retryDelayOnClusterDown: 5,
      maxRedirections: 1_000,
      redisOptions: { commandTimeout: 5_000 },
    });
  }

  /** Which of the members the shard's slots belong to, as a node of another shard sees it. */
  async function ownerOf(slot: number, members: readonly string[], witness: string): Promise<string> {
    const client = clients.to({ Address: await memberAddress(witness), Port: 6379 });
    const slots = await client.cluster('SLOTS');
    client.disconnect();
    const address = slots.find(([first, last]) => first <= slot && slot <= last)![2]![0];
    for (const member of members) if ((await memberAddress(member)) === address) return member;
    return address;
  }

  test.each([
    ['three shards: by their vote', 'voting', 3],
    ['two shards, where one alone is no majority', 'pair', 2],
  ] as const)('%s', async (_, id, shards) => {
    await createGroup(larder, id, { NumNodeGroups: shards, ReplicasPerNodeGroup: 1 });
    const group = await groupAvailable(larder, id);
    const cluster = await clusterClient(group);
    try {
      const victim = `${id}-0001-001`;
      const successor = `${id}-0001-002`;
      const witness = `${id}-000${shards}-001`;
      const others = Object.fromEntries(
        group.MemberClusters!.filter((member) => member !== victim).map((member) => [member, pidOf(member)]),
      );
      await Promise.all(Array.from({ length: 500 }, (__, index) => cluster.set(`seed:${index}`, index)));
      // {e} lies in slot 15363, the last shard; {b} in slot 3300, the first.
      const undisturbed = writeProbe('{e}', (key) => cluster.set(key, key));
      const disturbed = writeProbe('{b}', (key) => cluster.set(key, key));
      await waitFor(
        () => disturbed.count,
        (count) => count > 100,
        { what: '100 writes' },
      );
      const [killed] = kill(victim);
      await waitFor(
        () => ownerOf(3_300, [victim, successor], witness),
        (owner) => owner === successor,
        { what: 'the replica to own the slots' },
      );
      const sofar = disturbed.count;
      await waitFor(
        () => disturbed.count,
        (count) => count > sofar + 50,
        { what: '50 more writes' },
      );
      const [lost, kept] = [await disturbed.stop(), await undisturbed.stop()];
      console.log(
        `${shards} shards: gap ${lost.longestGapMs} ms in the shard, ${kept.longestGapMs} ms in another`,
      );
      const read = (keys: readonly string[]) => Promise.all(keys.map((key) => cluster.get(key)));
      expect(await missingOf(lost.acknowledged, read)).toEqual([]);
      expect(await missingOf(kept.acknowledged, read)).toEqual([]);
      expect((await read(['seed:1', 'seed:499'])).join()).toBe('1,499');

      const returned = clients.to({ Address: await memberAddress(victim), Port: 6379 });
      await waitFor(
        async () => [await infoField(returned, 'role'), await infoField(returned, 'master_link_status')],
        (seen) => seen.join() === 'slave,up',
        { what: 'the killed node to be back as a replica' },
      );
      expect(pidOf(victim)).not.toBe(killed);
      for (const [member, pid] of Object.entries(others))
        expect([member, pidOf(member)]).toEqual([member, pid]);
      expect(await eventsOf(larder, id)).toContain(
        `Failover from primary node ${victim} to replica node ${successor} completed`,
      );
      // The configuration endpoint was the dead node's.
      expect(await clients.to(group.ConfigurationEndpoint!).ping()).toBe('PONG');

      // And back: the one that returned is good enough to take over.
      kill(successor);
      await waitFor(
        () => ownerOf(3_300, [victim, successor], witness),
        (owner) => owner === victim,
        { what: 'the slots to go back' },
      );
      expect(await missingOf(lost.acknowledged, read)).toEqual([]);
    } finally {
      cluster.disconnect();
    }
  });

  test('a whole shard dies: it comes back, empty, with its slots, and the others keep their keys', async () => {
    const group = await describeGroup(larder, 'voting');
    await waitFor(
      () => larder.processes().filter(({ nodeId }) => nodeId.startsWith('voting')).length,
      (n) => n === 6,
      {
        what: 'six nodes',
      },
    );
    const cluster = await clusterClient(group);
    try {
      await cluster.set('{b}', '1');
      await cluster.set('{e}', '1');
      const members = group.NodeGroups![0]!.NodeGroupMembers!.map(({ CacheClusterId }) => CacheClusterId!);
      kill(...members);
      await waitFor(
        async () => [await cluster.get('{b}'), await cluster.get('{e}')],
        (values) => values.join() === ',1',
        { what: 'the shard to serve again, empty' },
      );
      expect(await cluster.set('{b}', '2')).toBe('OK');
    } finally {
      cluster.disconnect();
    }
  });
});
