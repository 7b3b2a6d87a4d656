/** The promise: where no address can move between hosts, endpoints are names, which any host leads to who serves now. */
import { Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import {
  ModifyReplicationGroupCommand,
  type ModifyReplicationGroupCommandInput,
  type ReplicationGroup,
} from '@aws-sdk/client-elasticache';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGroup, describeGroup, groupAvailable, primaryOf } from '../testing/elasticache-requests.ts';
import { endProcess } from '../testing/engine-processes.ts';
import { startFleet, type TestFleet, type TestHost } from '../testing/fleet.ts';
import { canMakeHosts } from '../testing/host-network.ts';
import { waitFor } from '../testing/wait-for.ts';

const possible = canMakeHosts();
if (!possible) {
  console.warn(
    'SKIPPED: e2e/hosts-names.test.ts makes network namespaces, which needs root. Nothing about names is tested.',
  );
}

const id = 'shop';
const domain = 'cache.example';
const primaryName = `primary.${id}.${domain}`;
const readerName = `reader.${id}.${domain}`;

describe.skipIf(!possible)('three hosts whose endpoints are names', () => {
  let fleet: TestFleet;
  const clients: Redis[] = [];

  beforeAll(async () => {
    fleet = await startFleet({ endpointDomain: domain });
    await createGroup(fleet.larder, id, {
      NumCacheClusters: 3,
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
    });
    await groupAvailable(fleet.larder, id);
  });

  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await fleet?.remove();
  });

  /** Addresses in order, or the code of the error. */
  async function ask(host: TestHost, name: string): Promise<string> {
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    resolver.setServers([`${host.address}:53`]);
    return resolver.resolve4(name).then(
      (addresses) => addresses.sort().join(),
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );
  }

  const ledTo = (name: string, addresses: readonly string[], hosts: readonly TestHost[] = fleet.hosts) =>
    waitFor(
      () => Promise.all(hosts.map((host) => ask(host, name))),
      (seen) => seen.every((each) => each === [...addresses].sort().join()),
      { what: `${name} to lead to ${addresses.join()}` },
    );

  const addressOf = (group: ReplicationGroup, member: string) =>
    group.NodeGroups![0]!.NodeGroupMembers!.find(({ CacheClusterId }) => CacheClusterId === member)!
      .ReadEndpoint!.Address!;

  /** By the API. */
  async function leader(): Promise<{
    readonly member: string;
    readonly address: string;
    readonly others: string[];
  }> {
    const group = await describeGroup(fleet.larder, id);
    const member = primaryOf(group)!;
    const others = group
      .MemberClusters!.filter((each) => each !== member)
      .map((each) => addressOf(group, each));
    return { member, address: addressOf(group, member), others };
  }

  async function nextLeader(before: string) {
    await waitFor(leader, ({ member }) => member !== before, { what: 'another primary' });
    return leader();
  }

  test('Describe shows names; every host leads to the primary and to the replicas, and to nothing else', async () => {
    const group = await describeGroup(fleet.larder, id);
    expect(group.NodeGroups![0]!.PrimaryEndpoint).toEqual({ Address: primaryName, Port: 6379 });
    expect(group.NodeGroups![0]!.ReaderEndpoint).toEqual({ Address: readerName, Port: 6379 });
    const { address, others } = await leader();
    await ledTo(primaryName, [address]);
    await ledTo(readerName, others);
    const [host] = fleet.hosts;
    expect(await ask(host!, `primary.stock.${domain}`)).toBe('ENOTFOUND');
    expect(await ask(host!, `${id}.${domain}`)).toBe('ENODATA');
    expect(await ask(host!, 'www.example')).toBe('EREFUSED');
  });

  test('the same over TCP', async () => {
    const { address } = await leader();
    const socket = connect({ host: fleet.hosts[1]!.address, port: 53 });
    const labels = primaryName.split('.').map((label) => `${String.fromCharCode(label.length)}${label}`);
    // One question, for A in IN; before it all its length.
    const header = Buffer.from([0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    const query = Buffer.concat([header, Buffer.from(`${labels.join('')}\0\0\x01\0\x01`, 'latin1')]);
    const reply = await new Promise<Buffer>((resolve, reject) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        const all = Buffer.concat(chunks);
        if (all.length >= 2 && all.length >= 2 + all.readUInt16BE(0)) resolve(all);
      });
      socket.once('error', reject);
      socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
    });
    socket.destroy();
    expect(reply.readUInt16BE(8)).toBe(1);
    expect([...reply.subarray(-4)].join('.')).toBe(address);
  });

  test('the primary is killed: the name leads to the next one within seconds, at every host', async () => {
    const before = await leader();
    const { pid } = fleet
      .hostOf(before.member)!
      .processes()
      .find(({ nodeId }) => nodeId === `${before.member}.0001`)!;
    const killedAtMs = performance.now();
    endProcess(pid);
    await waitFor(
      () => Promise.all(fleet.hosts.map((host) => ask(host, primaryName))),
      (seen) => new Set(seen).size === 1 && seen[0] !== before.address,
      { what: 'the name to lead elsewhere', everyMs: 20 },
    );
    console.log(
      `primary killed: the name leads elsewhere after ${Math.round(performance.now() - killedAtMs)} ms`,
    );
    const after = await nextLeader(before.member);
    await ledTo(primaryName, [after.address]);
    await ledTo(readerName, after.others);
  });

  test('a planned handover ends the connections of who came by the name', async () => {
    await waitFor(
      async () => Promise.all(fleet.hosts.map((host) => ask(host, readerName))),
      (seen) => seen.every((each) => each.split(',').length === 2),
      { what: 'two replicas in sync' },
    );
    const before = await leader();
    const client = new Redis({ host: before.address, port: 6379, retryStrategy: () => null });
    client.on('error', () => {});
    clients.push(client);
    expect(await client.set('key', 'value')).toBe('OK');
    const ended = new Promise((resolve) => client.once('close', resolve));
    const modify = async (change: Partial<ModifyReplicationGroupCommandInput>) => {
      const input = { ReplicationGroupId: id, ApplyImmediately: true, ...change };
      await fleet.larder.client.send(new ModifyReplicationGroupCommand(input));
      await groupAvailable(fleet.larder, id);
    };
    const group = await describeGroup(fleet.larder, id);
    await modify({ MultiAZEnabled: false, AutomaticFailoverEnabled: false });
    await modify({ PrimaryClusterId: group.MemberClusters!.find((member) => member !== before.member)! });
    await ended;
    const after = await nextLeader(before.member);
    await ledTo(primaryName, [after.address]);
    await ledTo(readerName, after.others);
  });

  test('the configuration endpoint of a group in cluster mode is a name of nodes that answer', async () => {
    await createGroup(fleet.larder, 'wide', {
      NumNodeGroups: 2,
      ReplicasPerNodeGroup: 0,
      AutomaticFailoverEnabled: true,
    });
    const group = await groupAvailable(fleet.larder, 'wide');
    const name = `config.wide.${domain}`;
    expect(group.ConfigurationEndpoint).toEqual({ Address: name, Port: 6379 });
    const nodes = fleet.hosts.flatMap((host) => host.processes().map(({ nodeId }) => nodeId));
    expect(nodes.filter((node) => node.startsWith('wide-'))).toHaveLength(2);
    const addresses = await waitFor(
      async () => (await ask(fleet.hosts[0]!, name)).split(','),
      (seen) => seen.length === 2,
      { what: `${name} to lead to both nodes` },
    );
    await ledTo(name, addresses);
    const client = new Redis({ host: addresses[0]!, port: 6379 });
    clients.push(client);
    expect(await client.cluster('INFO')).toContain('cluster_state:ok');
  });
});
