/** The promise: clients made for Sentinel name hosts as their sentinels, and any of them leads to the primary. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createGroup,
  deleteGroup,
  describeGroup,
  groupAvailable,
  groupGone,
  primaryOf,
} from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startFleet, type TestFleet, type TestHost } from '../testing/fleet.ts';
import { canMakeHosts } from '../testing/host-network.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

const possible = canMakeHosts();
if (!possible) {
  console.warn(
    'SKIPPED: e2e/hosts-sentinel.test.ts makes network namespaces, which needs root. Nothing of it is tested.',
  );
}

const id = 'shop';
const sentinelPort = 26_379;

describe.skipIf(!possible)('three hosts', () => {
  const clients = redisClients();
  let fleet: TestFleet;

  beforeAll(async () => {
    fleet = await startFleet();
    await createGroup(fleet.larder, id, {
      NumCacheClusters: 3,
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
    });
    await groupAvailable(fleet.larder, id);
  });

  afterAll(async () => {
    clients.close();
    await fleet?.remove();
  });

  async function toldBy({ address }: TestHost, name = id): Promise<string | null> {
    const client = clients.to(
      { Address: address, Port: sentinelPort },
      { enableReadyCheck: false, retryStrategy: () => null, commandTimeout: 500, connectTimeout: 500 },
    );
    try {
      const place = (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)) as string[] | null;
      return place === null ? null : place.join(':');
    } catch {
      return 'no answer';
    } finally {
      client.disconnect();
    }
  }

  const toldByAll = (hosts: readonly TestHost[], place: string | null, name = id) =>
    waitFor(
      () => Promise.all(hosts.map((host) => toldBy(host, name))),
      (told) => told.every((each) => each === place),
      { what: `all hosts to say that ${name} is at ${place}` },
    );

  /** Both replicas have their primary's data, as a host tells it. */
  async function whole(): Promise<void> {
    const asking = clients.to(
      { Address: fleet.hosts[0]!.address, Port: sentinelPort },
      { enableReadyCheck: false },
    );
    const links = async () => {
      const replicas = (await asking.call('SENTINEL', 'REPLICAS', id)) as string[][];
      return replicas.map((fields) => fields[fields.indexOf('master-link-status') + 1]).join();
    };
    await waitFor(links, (seen) => seen === 'ok,ok', { what: 'both replicas to be in sync', everyMs: 50 });
  }

  /** Where its primary is, by the API. */
  async function placeOf(name = id): Promise<string> {
    const group = await describeGroup(fleet.larder, name);
    const primary = primaryOf(group) ?? group.MemberClusters![0];
    const member = group.NodeGroups![0]!.NodeGroupMembers!.find((each) => each.CacheClusterId === primary);
    return `${member!.ReadEndpoint!.Address}:${member!.ReadEndpoint!.Port}`;
  }

  /** After a primary other than `before` was decided. */
  async function nextPlace(before: string): Promise<string> {
    return waitFor(
      () => placeOf(),
      (place) => place !== before,
      { what: 'another primary' },
    );
  }

  function bySentinel(): Redis {
    const client = new Redis({
      sentinels: fleet.hosts.map(({ address }) => ({ host: address, port: sentinelPort })),
      name: id,
      // A host that is lost ends no connection: the other sentinels tell of it.
      failoverDetector: true,
      connectTimeout: 500,
      sentinelCommandTimeout: 500,
      commandTimeout: 500,
      retryStrategy: () => 20,
      sentinelRetryStrategy: () => 20,
      maxRetriesPerRequest: 0,
    });
    client.on('error', () => {});
    return client;
  }

  const writesTo = (client: Redis, place: string) =>
    waitFor(
      async () => {
        const answer = await client.set('key', 'value').catch((error: Error) => error.message);
        return `${answer} ${client.stream?.remoteAddress}:${client.stream?.remotePort}`;
      },
      (seen) => seen === `OK ${place}`,
      { what: `writes to ${place}` },
    );

  test('every host tells where the primary is, and the client of Sentinel follows when it is killed', async () => {
    const before = await placeOf();
    await toldByAll(fleet.hosts, before);
    const client = bySentinel();
    try {
      await writesTo(client, before);
      const primary = primaryOf(await describeGroup(fleet.larder, id))!;
      const { pid } = fleet
        .hostOf(primary)!
        .processes()
        .find(({ nodeId }) => nodeId === `${primary}.0001`)!;
      endProcess(pid);
      const after = await nextPlace(before);
      await writesTo(client, after);
      await toldByAll(fleet.hosts, after);
    } finally {
      client.disconnect();
    }
  });

  test('a host is lost with the primary: the others tell of the next one, and so does it when it comes back', async () => {
    await whole();
    const before = await placeOf();
    const lost = fleet.hostOf(primaryOf(await describeGroup(fleet.larder, id))!)!;
    const client = bySentinel();
    try {
      await writesTo(client, before);
      lost.cut();
      const after = await nextPlace(before);
      await writesTo(client, after);
      const others = fleet.hosts.filter((host) => host !== lost);
      await toldByAll(others, after);
      expect(await toldBy(lost)).toBe('no answer');
      lost.heal();
      await toldByAll(fleet.hosts, after);
    } finally {
      lost.heal();
      client.disconnect();
    }
  });

  test('a host whose agent was gone while a group ended forgets it, though the service was restarted since', async () => {
    const other = 'stock';
    await createGroup(fleet.larder, other, { NumCacheClusters: 1, AutomaticFailoverEnabled: false });
    const group = await groupAvailable(fleet.larder, other);
    await toldByAll(fleet.hosts, await placeOf(other), other);
    const home = fleet.hostOf(group.MemberClusters![0]!)!;
    const away = fleet.hosts.find((host) => host !== home)!;
    await away.killAgent();
    await deleteGroup(fleet.larder, other);
    await groupGone(fleet.larder, other);
    await fleet.larder.kill();
    await fleet.larder.start();
    // Its router lives, and knows no better.
    expect(await toldBy(away, other)).not.toBeNull();
    await away.startAgent();
    await toldByAll(fleet.hosts, null, other);
  });
});
