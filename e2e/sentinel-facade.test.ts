/** The promise: clients made for Sentinel find and follow the primary by asking Larder, and need no change. */
import { createServer } from 'node:net';
import {
  ModifyReplicationGroupCommand,
  type ModifyReplicationGroupCommandInput,
  TestFailoverCommand,
} from '@aws-sdk/client-elasticache';
import { Redis } from 'ioredis';
import { createSentinel } from 'redis';
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
import { startLarder, type TestLarder } from '../testing/larder.ts';
import { waitFor } from '../testing/wait-for.ts';

const id = 'shop';
const host = '127.0.0.1';
let port: number;
let larder: TestLarder;
const closing: (() => void)[] = [];

/** One that is free now. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, host, resolve));
  const { port: found } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return found;
}

beforeAll(async () => {
  port = await freePort();
  larder = await startLarder({ flags: ['--sentinel-port', String(port)] });
  await createGroup(larder, id, { NumCacheClusters: 3, AutomaticFailoverEnabled: true });
  await groupAvailable(larder, id);
  await waitFor(
    () => sentinel().call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', id),
    (place) => place !== null,
    { what: 'the facade to know the group' },
  );
});

afterAll(async () => {
  for (const close of closing) close();
  await larder?.remove();
});

/** A plain connection to the facade. */
function sentinel(): Redis {
  const client = new Redis({ host, port, enableReadyCheck: false, retryStrategy: () => 50 });
  client.on('error', () => {});
  closing.push(() => client.disconnect());
  return client;
}

async function addressOf(member: string): Promise<string> {
  const group = await describeGroup(larder, id);
  const found = group.NodeGroups![0]!.NodeGroupMembers!.find(
    ({ CacheClusterId }) => CacheClusterId === member,
  );
  return found!.ReadEndpoint!.Address!;
}

async function killPrimary(): Promise<string> {
  const member = primaryOf(await describeGroup(larder, id))!;
  endProcess(larder.processes().find(({ nodeId }) => nodeId === `${member}.0001`)!.pid);
  return member;
}

async function failOver(): Promise<string> {
  const member = primaryOf(await describeGroup(larder, id))!;
  await larder.client.send(new TestFailoverCommand({ ReplicationGroupId: id, NodeGroupId: '0001' }));
  return member;
}

/** The old one lives on, as a replica. */
async function promote(): Promise<string> {
  const modify = async (change: Partial<ModifyReplicationGroupCommandInput>) => {
    const input = { ReplicationGroupId: id, ApplyImmediately: true, ...change };
    await larder.client.send(new ModifyReplicationGroupCommand(input));
    await groupAvailable(larder, id);
  };
  const group = await describeGroup(larder, id);
  const old = primaryOf(group)!;
  await modify({ AutomaticFailoverEnabled: false });
  await modify({ PrimaryClusterId: group.MemberClusters!.find((member) => member !== old)! });
  await modify({ AutomaticFailoverEnabled: true });
  return old;
}

async function anotherPrimary(old: string): Promise<string> {
  const group = await waitFor(
    () => describeGroup(larder, id),
    (seen) => primaryOf(seen) !== old,
    { what: 'another primary' },
  );
  return primaryOf(group)!;
}

/** Three nodes in sync, as the facade tells it. */
async function whole(): Promise<void> {
  const asking = sentinel();
  await waitFor(
    async () => ((await asking.call('SENTINEL', 'REPLICAS', id)) as string[][]).map(fieldsOf),
    (replicas) => replicas.length === 2 && replicas.every((each) => each['master-link-status'] === 'ok'),
    { what: 'both replicas to be in sync', everyMs: 50 },
  );
}

function fieldsOf(flat: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]!]] : [])),
  );
}

interface SentinelClient {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<string | null>;
  /** Where it writes to. */
  primary(): Promise<string>;
}

async function byIoredis(failoverDetector: boolean): Promise<SentinelClient> {
  const client = new Redis({
    sentinels: [{ host, port }],
    name: id,
    failoverDetector,
    retryStrategy: () => 20,
    sentinelRetryStrategy: () => 20,
  });
  client.on('error', () => {});
  closing.push(() => client.disconnect());
  return {
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    primary: async () => `${client.stream.remoteAddress}`,
  };
}

const libraries: Readonly<Record<string, () => Promise<SentinelClient>>> = {
  ioredis: () => byIoredis(false),
  'ioredis with its failover detector': () => byIoredis(true),
  async 'node-redis'() {
    const client = createSentinel({ name: id, sentinelRootNodes: [{ host, port }] });
    client.on('error', () => {});
    await client.connect();
    closing.push(() => void client.destroy().catch(() => {}));
    return {
      set: (key, value) => client.set(key, value),
      get: (key) => client.get(key),
      primary: async () => client.getMasterNode()?.host ?? 'nobody',
    };
  },
};

describe.each(Object.entries(libraries))('%s', (library, open) => {
  test.each([
    ['was killed', killPrimary],
    ['handed its role over for a test', failOver],
    ['handed its role over for good', promote],
  ] as const)('writes, and writes again after the primary %s', async (how, change) => {
    await whole();
    const client = await open();
    const key = `${library} ${how}`;
    expect(await client.set(key, 'before')).toBe('OK');
    const old = await change();
    const next = await addressOf(await anotherPrimary(old));
    await waitFor(
      async () => `${await client.set(key, 'after')} ${await client.primary()}`,
      (seen) => seen === `OK ${next}`,
      { what: `${library} to write to the new primary` },
    );
    expect(await client.get(key)).toBe('after');
  });
});

test('subscribers are told of a new primary in the words of Sentinel', async () => {
  await whole();
  const subscriber = sentinel();
  const heard = new Promise<string>((resolve) => {
    subscriber.on('message', (_, text: string) => resolve(text));
  });
  await subscriber.subscribe('+switch-master');
  const old = await killPrimary();
  const from = await addressOf(old);
  const to = await addressOf(await anotherPrimary(old));
  expect(await heard).toBe(`${id} ${from} 6379 ${to} 6379`);
});

test('who is killed while the service is dead is followed once it is back; who asks meanwhile is answered', async () => {
  await whole();
  const asking = sentinel();
  await larder.kill();
  const [address] = (await asking.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', id)) as [string, string];
  const client = await byIoredis(false);
  expect(await client.set('dead', 'service')).toBe('OK');
  expect(await client.primary()).toBe(address);
  await larder.start();
  expect(await addressOf(primaryOf(await describeGroup(larder, id))!)).toBe(address);
  expect(await anotherPrimary(await killPrimary())).toBeDefined();
  await waitFor(
    () => asking.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', id) as Promise<[string, string]>,
    ([now]) => now !== address,
    { what: 'the new primary to be told' },
  );
});

test('a group that is deleted is told of no more', async () => {
  await deleteGroup(larder, id);
  await groupGone(larder, id);
  await waitFor(
    () => sentinel().call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', id),
    (place) => place === null,
    { what: 'the group to be forgotten' },
  );
});
