/** The promise: a Memcached client that asks the configuration endpoint knows the nodes, whichever come and go. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import {
  CreateCacheClusterCommand,
  type CreateCacheClusterCommandInput,
  ModifyCacheClusterCommand,
  type ModifyCacheClusterCommandInput,
  RebootCacheClusterCommand,
} from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { effect } from '../testing/api-coverage.ts';
import { describeCluster, errorName } from '../testing/elasticache-requests.ts';
import { startLarder, type TestLarder } from '../testing/larder.ts';
import type { Place } from '../testing/redis-clients.ts';
import { waitFor } from '../testing/wait-for.ts';

let larder: TestLarder;

beforeAll(async () => {
  larder = await startLarder();
});

afterAll(() => larder?.remove());

async function create(input: Partial<CreateCacheClusterCommandInput>): Promise<Place> {
  await larder.client.send(
    new CreateCacheClusterCommand({ CacheClusterId: 'memo', Engine: 'memcached', ...input }),
  );
  return (await available(input.CacheClusterId ?? 'memo')).ConfigurationEndpoint!;
}

function available(id: string) {
  return waitFor(
    () => describeCluster(larder, id),
    ({ CacheClusterStatus }) => CacheClusterStatus === 'available',
    { what: `cache cluster ${id} to be available` },
  );
}

async function modify(input: Partial<ModifyCacheClusterCommandInput>) {
  await larder.client.send(
    new ModifyCacheClusterCommand({ CacheClusterId: 'memo', ApplyImmediately: true, ...input }),
  );
  return available('memo');
}

/** One command on a connection of its own; the reply once it matches. */
function ask(place: Place, command: string, complete: RegExp, ca?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const target = { host: place.Address!, port: place.Port! };
    const socket = ca === undefined ? connect(target) : connectTls({ ...target, ca });
    let reply = '';
    socket.once(ca === undefined ? 'connect' : 'secureConnect', () => socket.write(`${command}\r\n`));
    socket.on('data', (chunk: Buffer) => {
      reply += chunk.toString('latin1');
      if (!complete.test(reply)) return;
      socket.destroy();
      resolve(reply);
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(reply)}`)));
  });
}

/** What a discovering client reads. */
async function discover(place: Place, ca?: string): Promise<{ version: number; nodes: string[] }> {
  const reply = await ask(place, 'config get cluster', /END\r\n$/, ca);
  const [, size, version, nodes] = /^CONFIG cluster 0 (\d+)\r\n(\d+)\n(.*)\n\r\nEND\r\n$/.exec(reply)!;
  expect(Buffer.byteLength(`${version}\n${nodes}\n`)).toBe(Number(size));
  return { version: Number(version), nodes: nodes!.split(' ') };
}

const nodesOf = async (id = 'memo') =>
  (await describeCluster(larder, id)).CacheNodes!.map(
    ({ Endpoint }) => `${Endpoint!.Address}|${Endpoint!.Address}|${Endpoint!.Port}`,
  );
const pids = () =>
  new Map(
    larder
      .processes()
      .filter(({ nodeId }) => nodeId.startsWith('memo.'))
      .map(({ nodeId, pid }) => [nodeId, pid]),
  );

test('it tells the nodes, and takes other commands itself', async () => {
  const endpoint = await create({ NumCacheNodes: 2, Port: 11_300 });
  await effect('CreateCacheCluster', 'config get cluster names every node', async () => {
    const { version, nodes } = await discover(endpoint);
    expect(version).toBe(1);
    expect(nodes).toEqual((await nodesOf()).sort());
  });
  expect(await ask(endpoint, 'version', /\r\n$/)).toMatch(/^VERSION 1\.6/);
  expect(await ask(endpoint, 'set a 0 0 1\r\n1', /\r\n$/)).toBe('STORED\r\n');
});

test('nodes are added live: the list grows, its number rises, no other node is touched', async () => {
  const before = pids();
  const { ConfigurationEndpoint, NumCacheNodes } = await modify({ NumCacheNodes: 4 });
  expect(NumCacheNodes).toBe(4);
  await effect('ModifyCacheCluster', 'nodes added: four processes, four in the list', async () => {
    expect((await discover(ConfigurationEndpoint!)).nodes).toEqual((await nodesOf()).sort());
    expect((await discover(ConfigurationEndpoint!)).version).toBe(2);
    expect(pids().size).toBe(4);
  });
  for (const [node, pid] of before) expect(pids().get(node)).toBe(pid);
});

test('nodes are removed by name, after clients were told', async () => {
  const before = pids();
  const less = { NumCacheNodes: 2, CacheNodeIdsToRemove: ['0001', '0003'] };
  expect(await errorName(modify({ ...less, CacheNodeIdsToRemove: ['0001'] }))).toBe(
    'InvalidParameterCombinationException',
  );
  const { ConfigurationEndpoint } = await modify(less);
  await effect('ModifyCacheCluster', 'named nodes removed: their processes ended', async () => {
    const { version, nodes } = await discover(ConfigurationEndpoint!);
    expect(version).toBe(3);
    expect(nodes).toHaveLength(2);
    expect([...pids().keys()].sort()).toEqual(['memo.0002', 'memo.0004']);
  });
  expect(pids().get('memo.0002')).toBe(before.get('memo.0002'));
});

test('fewer nodes wait for the maintenance window unless asked for at once', async () => {
  const { PendingModifiedValues } = await modify({
    NumCacheNodes: 1,
    CacheNodeIdsToRemove: ['0002'],
    ApplyImmediately: false,
  });
  expect(PendingModifiedValues).toMatchObject({ NumCacheNodes: 1, CacheNodeIdsToRemove: ['0002'] });
  expect(pids().size).toBe(2);
});

test('a rebooted node is another process, and the others stay', async () => {
  const before = pids();
  await larder.client.send(
    new RebootCacheClusterCommand({ CacheClusterId: 'memo', CacheNodeIdsToReboot: ['0004'] }),
  );
  await available('memo');
  await effect('RebootCacheCluster', 'the named node is another process', () => {
    expect(pids().get('memo.0004')).not.toBe(before.get('memo.0004'));
    expect(pids().get('memo.0002')).toBe(before.get('memo.0002'));
  });
});

test('with the service killed it is served all the same', async () => {
  const { ConfigurationEndpoint } = await describeCluster(larder, 'memo');
  await larder.kill();
  expect((await discover(ConfigurationEndpoint!)).nodes).toHaveLength(2);
  await larder.start();
});

test('with TLS the endpoint and the nodes speak nothing else', async () => {
  const ca = await readFile(join(larder.dataDirectory, 'tls', 'ca.pem'), 'utf8');
  const endpoint = await create({
    CacheClusterId: 'secret',
    NumCacheNodes: 2,
    TransitEncryptionEnabled: true,
  });
  expect((await discover(endpoint, ca)).nodes).toEqual((await nodesOf('secret')).sort());
  const { CacheNodes } = await describeCluster(larder, 'secret');
  for (const { Endpoint } of CacheNodes!) {
    expect(await ask(Endpoint!, 'version', /\r\n$/, ca)).toMatch(/^VERSION/);
    await expect(ask(Endpoint!, 'version', /VERSION/)).rejects.toThrow();
  }
});
