/** The promise: nodes stand on several hosts; a host that is lost is replaced, and takes no writes once it is. */
import { connect } from 'node:net';
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import type { ReplicationGroup } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGroup, describeGroup, groupAvailable, primaryOf } from '../testing/elasticache-requests.ts';
import { hostStates, startFleet, type TestFleet } from '../testing/fleet.ts';
import { insideWriter } from '../testing/fleet-writer.ts';
import { canMakeHosts } from '../testing/host-network.ts';
import { larderCommand } from '../testing/larder.ts';
import { infoField, type Place, redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';
import { missingOf, type WriteProbe, writeProbe } from '../testing/write-probe.ts';

const possible = canMakeHosts();
if (!possible) {
  console.warn(
    'SKIPPED: e2e/hosts.test.ts makes network namespaces, which needs root. Nothing about hosts is tested.',
  );
}

const id = 'shop';

describe.skipIf(!possible)('three hosts', () => {
  const clients = redisClients();
  let fleet: TestFleet;

  beforeAll(async () => {
    fleet = await startFleet({ logLevel: 'info', clients: ['c1'] });
  });

  afterAll(async () => {
    clients.close();
    await fleet?.remove();
  });

  const endpointOf = (group: ReplicationGroup): Place => group.NodeGroups![0]!.PrimaryEndpoint!;
  const membersOf = (group: ReplicationGroup) => group.NodeGroups![0]!.NodeGroupMembers!;
  const addressOf = (group: ReplicationGroup, member: string) =>
    membersOf(group).find(({ CacheClusterId }) => CacheClusterId === member)!.ReadEndpoint!.Address!;

  /** One primary, and everybody else in sync with it, as the engines themselves say. */
  async function wholeGroup(): Promise<ReplicationGroup> {
    const group = await describeGroup(fleet.larder, id);
    const look = async () => {
      const lines = membersOf(group).map(async ({ ReadEndpoint }) => {
        const client = clients.to(ReadEndpoint!);
        try {
          return `${await infoField(client, 'role')} ${(await infoField(client, 'master_link_status')) ?? ''}`.trim();
        } catch (error) {
          return (error as Error).message;
        } finally {
          client.disconnect();
        }
      });
      return (await Promise.all(lines)).sort();
    };
    await waitFor(look, (lines) => lines.join() === 'master,slave up,slave up', {
      what: 'the group to be whole',
      everyMs: 100,
    });
    return describeGroup(fleet.larder, id);
  }

  async function writing(prefix: string, group: ReplicationGroup): Promise<WriteProbe> {
    const writer = clients.to(endpointOf(group), {
      retryStrategy: () => 2,
      maxRetriesPerRequest: 0,
      commandTimeout: 300,
      connectTimeout: 300,
    });
    const probe = writeProbe(prefix, (key) => writer.set(key, key));
    await goesOn(probe);
    return probe;
  }

  async function goesOn(probe: WriteProbe): Promise<void> {
    const sofar = probe.count;
    await waitFor(
      () => probe.count,
      (count) => count > sofar + 100,
      { what: '100 more writes' },
    );
  }

  async function missing(group: ReplicationGroup, keys: readonly string[]): Promise<string[]> {
    const reader = clients.to(endpointOf(group));
    return missingOf(keys, (some) => reader.mget([...some]));
  }

  const hostIs = (name: string, state: string) =>
    waitFor(
      () => hostStates(fleet.larder),
      (states) => states[name] === state,
      { what: `${name} to be ${state}` },
    );

  const anotherPrimary = (before: string) =>
    waitFor(
      () => describeGroup(fleet.larder, id),
      (seen) => primaryOf(seen) !== before,
      { what: 'another primary' },
    );

  function connecting(address: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(6379, address, () => resolve('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.setTimeout(5_000, () => resolve('silence'));
      socket.once('close', () => socket.destroy());
    });
  }

  test('a group is spread over them, and its endpoint leads to its primary', async () => {
    await createGroup(fleet.larder, id, {
      NumCacheClusters: 3,
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
    });
    const group = await groupAvailable(fleet.larder, id);
    const homes = group.MemberClusters!.map((member) => fleet.hostOf(member)?.name);
    expect(new Set(homes).size).toBe(3);
    expect(new Set(membersOf(group).map((each) => each.PreferredAvailabilityZone)).size).toBe(3);
    expect(await clients.to(endpointOf(group)).set('a', '1')).toBe('OK');
    expect(await hostStates(fleet.larder)).toEqual({ h1: 'connected', h2: 'connected', h3: 'connected' });
  });

  test('its nodes are measured on the hosts they stand on', async () => {
    const { endpoint, region, accessKeyId, secretAccessKey } = fleet.larder.access;
    const client = new CloudWatchClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } });
    const group = await describeGroup(fleet.larder, id);
    const keysOf = async (member: string) => {
      const { Datapoints = [] } = await client.send(
        new GetMetricStatisticsCommand({
          Namespace: 'AWS/ElastiCache',
          MetricName: 'CurrItems',
          Dimensions: [{ Name: 'CacheClusterId', Value: member }],
          StartTime: new Date(Date.now() - 5_000),
          EndTime: new Date(),
          Period: 1,
          Statistics: ['Maximum'],
        }),
      );
      return Math.max(...Datapoints.map(({ Maximum }) => Maximum!));
    };
    for (const member of group.MemberClusters!) {
      await waitFor(
        () => keysOf(member),
        (keys) => keys === 1,
        { what: `the key to be counted on ${member}` },
      );
    }
    client.destroy();
  });

  test('the primary is killed: another host takes over, endpoint and all', async () => {
    const group = await wholeGroup();
    const before = primaryOf(group)!;
    const host = fleet.hostOf(before)!;
    const probe = await writing('killed', group);
    process.kill(host.processes().find(({ nodeId }) => nodeId === `${before}.0001`)!.pid, 'SIGKILL');
    await anotherPrimary(before);
    await goesOn(probe);
    const { acknowledged, longestGapMs } = await probe.stop();
    console.log(`primary killed: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);
    expect(await missing(group, acknowledged)).toEqual([]);
  });

  test("the primary's host is lost: it takes no more writes, another takes over, and it comes back as a replica", async () => {
    const group = await wholeGroup();
    const before = primaryOf(group)!;
    const host = fleet.hostOf(before)!;
    const probe = await writing('lost', group);
    const inside = insideWriter(host, addressOf(group, before));
    try {
      await waitFor(
        () => inside.answers.length,
        (count) => count > 10,
        { what: 'writes beside the primary' },
      );
      host.cut();
      await hostIs(host.name, 'fenced');
      await anotherPrimary(before);
      await goesOn(probe);
      const { acknowledged, longestGapMs } = await probe.stop();
      console.log(`host lost: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);
      // Nobody waits for the lost node: another host refuses in its place.
      expect(await connecting(addressOf(group, before))).toBe('ECONNREFUSED');
      // Whoever is beside the old primary is refused, and was before another served.
      expect(inside.answers.at(-1)!.text).toMatch(/NOREPLICAS/);
      host.heal();
      await hostIs(host.name, 'connected');
      await wholeGroup();
      expect(await missing(group, acknowledged)).toEqual([]);
    } finally {
      inside.stop();
      host.heal();
    }
  });

  test('an agent is killed and started again within its lease: nothing happens to its node', async () => {
    const group = await wholeGroup();
    const primary = primaryOf(group)!;
    const host = fleet.hostOf(primary)!;
    const pids = host.processes();
    const probe = await writing('restarted', group);
    await host.killAgent();
    await host.startAgent();
    await hostIs(host.name, 'connected');
    await goesOn(probe);
    const { acknowledged, longestGapMs } = await probe.stop();
    console.log(`agent restarted: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);
    expect(primaryOf(await wholeGroup())).toBe(primary);
    expect(host.processes()).toEqual(pids);
    expect(await missing(group, acknowledged)).toEqual([]);
  });

  test('an agent is killed for good: the guard takes writes away, and another host takes over', async () => {
    const group = await wholeGroup();
    const before = primaryOf(group)!;
    const host = fleet.hostOf(before)!;
    const probe = await writing('guarded', group);
    await host.killAgent();
    await hostIs(host.name, 'fenced');
    await anotherPrimary(before);
    await goesOn(probe);
    const { acknowledged, longestGapMs } = await probe.stop();
    console.log(`agent gone: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);
    expect(await missing(group, acknowledged)).toEqual([]);
    await host.startAgent();
    await wholeGroup();
  });

  test('the service is gone for longer than a lease: every host consents, and writes go on', async () => {
    const group = await wholeGroup();
    const probe = await writing('alone', group);
    await fleet.larder.kill();
    // Longer than a lease and all that follows its end: there is nothing to wait for but time.
    const until = performance.now() + 6_000;
    await waitFor(
      () => performance.now(),
      (now) => now > until,
      { what: 'six seconds' },
    );
    await goesOn(probe);
    await fleet.larder.start();
    await hostIs('h1', 'connected');
    const { acknowledged, longestGapMs } = await probe.stop();
    console.log(`service gone: ${acknowledged.length} acknowledged, longest gap ${longestGapMs} ms`);
    expect(primaryOf(await wholeGroup())).toBe(primaryOf(group));
    expect(await missing(group, acknowledged)).toEqual([]);
  });

  test('a host is lost for good: the operator takes it out, and its node is made anew on another', async () => {
    const group = await wholeGroup();
    const primary = primaryOf(group)!;
    const replica = group.MemberClusters!.find((member) => member !== primary)!;
    const host = fleet.hostOf(replica)!;
    await clients.to(endpointOf(group)).set('kept', 'yes');
    const remove = (...flags: string[]) =>
      larderCommand(['hosts', 'rm', host.name, ...flags, '--data-dir', fleet.larder.dataDirectory]);
    expect((await remove()).stderr).toContain('--lost');
    expect((await remove('--lost')).stderr).toContain('its nodes may take writes');
    host.cut();
    await hostIs(host.name, 'fenced');
    const done = await remove('--lost');
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining(replica)]);
    const after = await wholeGroup();
    expect(after.MemberClusters).toEqual(group.MemberClusters);
    expect(
      fleet.hosts
        .filter((each) => each !== host)
        .map((each) => each.processes().length)
        .sort(),
    ).toEqual([1, 2]);
    expect(Object.keys(await hostStates(fleet.larder))).not.toContain(host.name);
  });
});
