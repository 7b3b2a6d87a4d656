import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDefaultUser, serviceUser } from '@larder/engine/acl';
import type { EngineName } from '@larder/engine/engine';
import { engineStore } from '@larder/engine/store/engine-store';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { directories, searchPath } from '../../../testing/config.ts';
import { freshAddress, installedServers } from '../../../testing/engine.ts';
import { endProcess, engineProcesses } from '../../../testing/engine-processes.ts';
import { waitFor } from '../../../testing/wait-for.ts';
import { type Host, NodeUnreachable, SnapshotDamaged, type SnapshotFile, StaleOrder } from './host.ts';
import { nodeSecrets, passwordHash } from './node-secrets.ts';
import type { NodeSpec } from './node-spec.ts';
import { processHost } from './process-host.ts';

const store = engineStore({ directory: join(directories.cache, 'engines'), searchPath });
const secrets = nodeSecrets(randomBytes(32));
const servers = await installedServers();
const order = { group: 'shop', epoch: 3 };
let directory: string;
let host: Host;

async function open(): Promise<Host> {
  return processHost({
    id: 'test',
    directory,
    findBuild: async (engine, version) => (await store.find(engine, version))!,
    secrets,
    certificates: { issue: () => Promise.reject(new Error('No node here has TLS.')) },
    onProblem: (error) => console.error(error),
  });
}

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'larder-keeper-')));
  host = await open();
});

afterEach(async () => {
  await host.close();
  for (const { pid } of engineProcesses(directory)) endProcess(pid);
  await waitFor(
    () => engineProcesses(directory).length,
    (left) => left === 0,
    { what: 'the engines to end' },
  );
  await rm(directory, { recursive: true, force: true });
});

function spec(nodeId: string, engine: EngineName = 'valkey', version = '9.1.2'): NodeSpec {
  return {
    nodeId,
    version,
    generation: 1,
    settings: {
      engine,
      address: freshAddress(),
      port: 6379,
      plainPort: 6379,
      tlsPort: 0,
      busEncrypted: false,
      endpointAddresses: [],
      maxmemoryBytes: 2 ** 27,
      maxConnections: 1_000,
      clusterEnabled: false,
      forming: false,
      encryptedAtRest: true,
      parameters: {},
      users: [
        openDefaultUser(engine, version),
        serviceUser(passwordHash(secrets.admin(nodeId)), engine, version),
      ],
    },
  };
}

async function start(wanted: NodeSpec, data?: Parameters<Host['startNode']>[1]): Promise<Redis> {
  await host.startNode(wanted, data);
  await waitFor(
    async () => (await host.observe([wanted.nodeId])).get(wanted.nodeId)?.engine?.info.loading,
    (loading) => loading === false,
    { what: `${wanted.nodeId} to answer` },
  );
  return new Redis({ host: wanted.settings.address, port: 6379 });
}

const sealed: SnapshotFile = { snapshot: 'kept', shard: '0001', sealed: true };
const folderOf = (name: string) => join(directory, 'snapshots', name);

test.each(servers)('$engine $version: saved, checked, kept, and loaded once', async ({ engine, version }) => {
  const source = spec('shop-001.0001', engine, version);
  const client = await start(source);
  await client.set('greeting', 'a known value that is not to be read');
  await client.set('passing', 'x', 'PX', 3_600_000);
  await client.hset('hash', { a: '1', b: '2' });
  for (const isSealed of [true, false]) {
    const file = { ...sealed, sealed: isSealed };
    const saved = await host.saveSnapshot(source.nodeId, order, file);
    expect(saved).toMatchObject({ keys: 3, databases: [0] });
    expect(saved.usedMemoryBytes).toBeGreaterThan(100_000);
    const path = join(folderOf('kept'), isSealed ? '0001.rdb.sealed' : '0001.rdb');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path).includes('known value')).toBe(!isSealed);
    expect(readFileSync(path).length === saved.sizeBytes).toBe(!isSealed);

    const restored = spec(`copy-00${isSealed ? 1 : 2}.0001`, engine, version);
    const copy = await start(restored, { file, sha256: saved.sha256 });
    expect(await copy.get('greeting')).toBe('a known value that is not to be read');
    expect(await copy.pttl('passing')).toBeGreaterThan(3_000_000);
    expect(await copy.hgetall('hash')).toEqual({ a: '1', b: '2' });
    copy.disconnect();
    const left = () =>
      readdirSync(join(directory, 'nodes', restored.nodeId)).filter((name) => /rdb/.test(name));
    await waitFor(left, (names) => names.length === 0, { what: 'the loaded file to be taken away' });
    await host.stopNode(restored.nodeId, order);
    const again = await start(restored);
    expect(await again.dbsize()).toBe(0);
    again.disconnect();
  }
  client.disconnect();
  expect(readdirSync(folderOf('kept'))).toEqual(['0001.rdb', '0001.rdb.sealed']);
  expect(existsSync(join(directory, 'nodes', source.nodeId, 'dump.rdb'))).toBe(false);
  await host.removeSnapshot('kept');
  await host.removeSnapshot('kept');
  expect(readdirSync(join(directory, 'snapshots'))).toEqual([]);
});

test('a save that is under way is waited for; several are done one after another', async () => {
  const source = spec('shop-001.0001');
  const client = await start(source);
  for (let index = 0; index < 50; index += 1) await client.set(`k${index}`, randomBytes(50_000));
  await host.command(source.nodeId, order, [
    ['CONFIG', 'SET', 'rdb-key-save-delay', '4000'],
    ['BGSAVE'],
    ['CONFIG', 'SET', 'rdb-key-save-delay', '0'],
  ]);
  await client.set('late', '1');
  const saved = await Promise.all(
    ['one', 'two'].map((snapshot) => host.saveSnapshot(source.nodeId, order, { ...sealed, snapshot })),
  );
  expect(saved.map(({ keys }) => keys)).toEqual([51, 51]);
  client.disconnect();
});

test('what an earlier service left in a node that runs is taken away', async () => {
  const source = spec('shop-001.0001');
  (await start(source)).disconnect();
  await host.close();
  const left = join(directory, 'nodes', source.nodeId, 'dump.rdb');
  writeFileSync(left, 'plain');
  host = await open();
  await waitFor(
    () => existsSync(left),
    (there) => !there,
    { what: 'the file to be gone' },
  );
});

test('refused: orders from the past, nodes that do not run, files that are not what was kept', async () => {
  const source = spec('shop-001.0001');
  const client = await start(source);
  await client.set('a', '1');
  const { sha256 } = await host.saveSnapshot(source.nodeId, order, sealed);
  await expect(host.saveSnapshot(source.nodeId, { ...order, epoch: 2 }, sealed)).rejects.toThrow(StaleOrder);
  await expect(host.saveSnapshot('shop-009.0001', order, sealed)).rejects.toThrow(NodeUnreachable);
  await expect(host.copySnapshot('nothing', 'more')).rejects.toThrow(SnapshotDamaged);
  await host.copySnapshot('kept', 'copied');

  const path = join(folderOf('kept'), '0001.rdb.sealed');
  const bytes = readFileSync(path);
  bytes[bytes.length - 30]! ^= 1;
  writeFileSync(path, bytes);
  const other = spec('copy-001.0001');
  await expect(host.startNode(other, { file: sealed, sha256 })).rejects.toThrow(SnapshotDamaged);
  const gone = { ...sealed, shard: '0002' };
  await expect(host.startNode(other, { file: gone, sha256 })).rejects.toThrow('missing');
  expect(engineProcesses(directory).length).toBe(1);
  const copy = await start(other, { file: { ...sealed, snapshot: 'copied' }, sha256 });
  expect(await copy.get('a')).toBe('1');
  copy.disconnect();
  client.disconnect();
});

test('a node killed while it saves', async () => {
  const source = spec('shop-001.0001');
  const client = await start(source);
  client.on('error', () => {});
  await client.set('a', '1');
  await host.command(source.nodeId, order, [['CONFIG', 'SET', 'rdb-key-save-delay', '30000000']]);
  const saving = host.saveSnapshot(source.nodeId, order, sealed);
  saving.catch(() => {});
  await waitFor(
    () => client.info('persistence'),
    (info) => info.includes('rdb_bgsave_in_progress:1'),
    { what: 'the save to begin' },
  );
  client.disconnect();
  endProcess(engineProcesses(directory)[0]!.pid);
  await expect(saving).rejects.toThrow(NodeUnreachable);
});
