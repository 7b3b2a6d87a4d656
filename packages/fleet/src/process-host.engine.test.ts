import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDefaultUser, serviceUser } from '@larder/engine/acl';
import type { EngineName } from '@larder/engine/engine';
import { engineStore } from '@larder/engine/store/engine-store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directories, searchPath } from '../../../testing/config.ts';
import { command, freshAddress } from '../../../testing/engine.ts';
import { endProcess, engineProcesses } from '../../../testing/engine-processes.ts';
import { waitFor } from '../../../testing/wait-for.ts';
import { type Host, type NodeObservation, NodeUnreachable, StaleOrder } from './host.ts';
import { nodeSecrets, passwordHash } from './node-secrets.ts';
import type { NodeSpec } from './node-spec.ts';
import { processHost } from './process-host.ts';

const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
const secrets = nodeSecrets(randomBytes(32));
let directory: string;
let host: Host;

async function open(): Promise<Host> {
  return processHost({
    id: 'test',
    directory,
    findBuild: async (engine, version) => (await store.find(engine, version))!,
    secrets,
    certificates: {
      issue: async () => {
        throw new Error('No node here has TLS.');
      },
    },
    onProblem: (error) => console.error(error),
  });
}

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'larder-host-')));
  host = await open();
});

afterEach(async () => {
  await host.close();
  for (const { pid } of engineProcesses(directory)) endProcess(pid);
  await waitFor(
    () => engineProcesses(directory),
    (left) => left.length === 0,
    { what: 'the engines to end' },
  );
  await rm(directory, { recursive: true, force: true });
});

async function spec(nodeId = 'shop-001.0001', engine: EngineName = 'valkey'): Promise<NodeSpec> {
  const build = await store.find(engine);
  const port = engine === 'memcached' ? 11211 : 6379;
  return {
    nodeId,
    version: build!.version,
    generation: 1,
    settings: {
      engine,
      address: freshAddress(),
      port,
      plainPort: port,
      tlsPort: 0,
      busEncrypted: false,
      endpointAddresses: [],
      maxmemoryBytes: 2 ** 26,
      maxConnections: 1_000,
      clusterEnabled: false,
      forming: false,
      encryptedAtRest: true,
      parameters: {},
      users:
        engine === 'memcached'
          ? []
          : [
              openDefaultUser(engine, build!.version),
              serviceUser(passwordHash(secrets.admin(nodeId)), engine, build!.version),
            ],
    },
  };
}

async function observe(nodeId = 'shop-001.0001'): Promise<NodeObservation> {
  return (await host.observe([nodeId])).get(nodeId)!;
}

function answering(nodeId?: string): Promise<NodeObservation> {
  return waitFor(
    () => observe(nodeId),
    ({ engine, memcachedItems }) => engine !== undefined || memcachedItems !== undefined,
    { what: 'the node to answer' },
  );
}

/** What a customer's client gets for it. */
function client({ settings }: NodeSpec, ...words: string[]): Promise<string> {
  return command({ host: settings.address, port: settings.port }, words);
}

function pidOf({ process }: NodeObservation): number {
  return 'incarnation' in process ? process.incarnation.pid : 0;
}

const order = { group: 'shop', epoch: 1 };

describe('a node', () => {
  test('is started once, answers, and obeys', async () => {
    expect((await observe()).process.kind).toBe('absent');
    const wanted = await spec();
    await host.startNode(wanted);
    await host.startNode(wanted);
    const seen = await answering();
    expect(seen.engine).toMatchObject({
      boundAddresses: [wanted.settings.address],
      info: { keys: 0, loading: false, pid: pidOf(seen), replication: { role: 'primary' } },
    });
    expect(engineProcesses(directory)).toEqual([{ pid: pidOf(seen), nodeId: wanted.nodeId }]);
    expect(await host.command(wanted.nodeId, order, [['DBSIZE'], ['ACL', 'WHOAMI']])).toEqual([0, 'larder']);
    expect(await client(wanted, 'SET', 'a', '1')).toBe('+OK\r\n');
    expect(await host.isAddressFree(wanted.settings.address, 6379)).toBe(false);
  });

  test('that is killed is noticed as an event, and known dead', async () => {
    await host.startNode(await spec());
    const seen = await answering();
    const told = new Promise<string>((resolve) => host.onChange(resolve));
    endProcess(pidOf(seen));
    expect(await told).toBe('shop-001.0001');
    expect(await observe()).toMatchObject({ process: { kind: 'dead', incarnation: { pid: pidOf(seen) } } });
    await expect(host.command('shop-001.0001', order, [['PING']])).rejects.toThrow(NodeUnreachable);
  });

  test('that is killed comes back empty, also where data of a transfer was left behind', async () => {
    const wanted = await spec();
    await host.startNode(wanted);
    const seen = await answering();
    await client(wanted, 'SET', 'a', 'old');
    await host.command(wanted.nodeId, order, [['BGSAVE']]);
    const file = join(directory, 'nodes', wanted.nodeId, 'dump.rdb');
    await waitFor(
      () => existsSync(file),
      (there) => there,
      { what: 'the file' },
    );
    endProcess(pidOf(seen));
    await waitFor(observe, ({ process }) => process.kind === 'dead', { what: 'the node to be dead' });
    await host.startNode(wanted);
    expect((await answering()).engine).toMatchObject({ info: { keys: 0 } });
  });

  test('is removed with its folder, also when it is dead, was never there, or twice', async () => {
    await host.startNode(await spec());
    await answering();
    await host.removeNode('shop-001.0001');
    expect(engineProcesses(directory)).toEqual([]);
    expect(existsSync(join(directory, 'nodes', 'shop-001.0001'))).toBe(false);
    await host.removeNode('shop-001.0001');
    await host.removeNode('nobody.0001');
    expect((await observe()).process.kind).toBe('absent');
  });

  test("refuses orders from the past and passes the engine's own errors on", async () => {
    await host.startNode(await spec());
    await answering();
    await host.command('shop-001.0001', { ...order, epoch: 3 }, [['PING']]);
    await expect(host.command('shop-001.0001', { ...order, epoch: 2 }, [['PING']])).rejects.toThrow(
      StaleOrder,
    );
    await expect(host.command('shop-001.0001', { ...order, epoch: 3 }, [['NONSENSE']])).rejects.toThrow(
      'unknown command',
    );
  });
});

describe('a host that is opened again', () => {
  test('adopts what runs, with its data, and knows what died meanwhile', async () => {
    const first = await spec('a.0001');
    await host.startNode(first);
    await host.startNode(await spec('b.0001', 'memcached'));
    await host.startNode(await spec('c.0001'));
    const before = await answering('a.0001');
    await client(first, 'SET', 'a', '1');
    const memcached = await answering('b.0001');
    const killed = await answering('c.0001');
    await host.close();
    endProcess(pidOf(killed));
    await waitFor(
      () => engineProcesses(directory).length,
      (left) => left === 2,
      { what: 'the death' },
    );

    host = await open();
    const after = await answering('a.0001');
    expect([after.process, after.engine?.info.runId]).toEqual([before.process, before.engine?.info.runId]);
    expect(await client(first, 'GET', 'a')).toBe('$1\r\n1\r\n');
    expect((await answering('b.0001')).process).toEqual(memcached.process);
    expect((await observe('c.0001')).process.kind).toBe('dead');
    // Adopted nodes are watched as others are.
    endProcess(pidOf(after));
    await waitFor(
      () => observe('a.0001'),
      ({ process }) => process.kind === 'dead',
      { what: 'its death' },
    );
  });

  test('adopts a node whose pid was never written down', async () => {
    await host.startNode(await spec());
    const before = await answering();
    await host.close();
    await rm(join(directory, 'nodes', 'shop-001.0001', 'process.json'));
    host = await open();
    expect((await answering()).process).toEqual(before.process);
  });

  test('does not take a reader of the log for the engine', async () => {
    await host.startNode(await spec());
    const before = await answering();
    await host.close();
    const folder = join(directory, 'nodes', 'shop-001.0001');
    const readers = ['engine.log', 'engine.conf'].map((name) =>
      spawn('tail', ['-f', join(folder, name)], { stdio: 'ignore' }),
    );
    try {
      host = await open();
      expect((await answering()).process).toEqual(before.process);
    } finally {
      for (const reader of readers) reader.kill();
    }
  });

  test('clears away a removal that was cut off', async () => {
    await host.close();
    const grave = join(directory, 'nodes', '.removed-shop-001.0001-1');
    await mkdir(grave, { recursive: true });
    host = await open();
    expect(existsSync(grave)).toBe(false);
  });
});
