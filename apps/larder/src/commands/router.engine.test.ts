import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Sha256 } from '@aws-crypto/sha256-js';
import { StaleOrder } from '@larder/fleet/host';
import { sessionsNaming } from '@larder/fleet/process-table';
import type { SpreadRoute } from '@larder/fleet/router/route-table';
import { ListenFailed } from '@larder/fleet/router/router';
import { type RouterClient, routerClient } from '@larder/fleet/router/router-client';
import { openAuthority } from '@larder/fleet/tls/authority';
import { SignatureV4 } from '@smithy/signature-v4';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { command, freshAddress, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { endProcess } from '../../../../testing/engine-processes.ts';
import { larderCommand } from '../../../../testing/larder.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { type AccessKey, addAccessKey, ensureAccessKeys, removeAccessKey } from '../access-keys.ts';

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
let engine: TestEngine;
beforeAll(async () => {
  engine = await startEngine('valkey');
});
afterAll(() => engine.stop());

let root: string;
let directory: string;
const clients: RouterClient[] = [];
const problems: Error[] = [];
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'larder-router-')));
  // Longer than a unix socket's path may be.
  directory = join(root, 'd'.repeat(120));
  await mkdir(directory, { mode: 0o700 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const pid of running()) endProcess(pid);
  await waitFor(running, (pids) => pids.length === 0, { what: 'no router' });
  await rm(root, { recursive: true, force: true });
  problems.length = 0;
});

/** Routers of this test's directory, each in a session of its own. */
function running(): number[] {
  return sessionsNaming(directory).map(({ incarnation }) => incarnation.pid);
}

async function open(): Promise<RouterClient> {
  const client = await routerClient({
    directory,
    command: [process.execPath, program, 'router', '--data-dir', directory],
    onProblem: (error) => problems.push(error),
  });
  clients.push(client);
  return client;
}

const route = (): SpreadRoute => ({
  kind: 'spread',
  listen: { address: freshAddress(), port: 6379 },
  targets: [{ address: engine.host, port: engine.port }],
});

/** Whether what listens there answers; a connection of its own. */
function answers({ listen }: SpreadRoute): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(listen.port, listen.address, () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      resolve(data.toString() === '+PONG\r\n');
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

test('no router runs while nobody has routes; with the first ones it does', async () => {
  const client = await open();
  expect(await client.routes()).toEqual(new Map());
  await client.put('shop', 3, []);
  expect(await client.stats()).toEqual([]);
  expect(running()).toEqual([]);

  const one = route();
  await client.put('shop', 3, [one]);
  expect(await answers(one)).toBe(true);
  expect(running()).toHaveLength(1);
  expect(await client.routes()).toEqual(new Map([['shop', { epoch: 3, routes: [one] }]]));
  expect(await client.stats()).toMatchObject([{ owner: 'shop', kind: 'spread', totalConnections: 1 }]);
  expect(statSync(join(directory, 'router.sock')).mode & 0o777).toBe(0o600);
  expect(statSync(join(directory, 'router.json')).mode & 0o777).toBe(0o600);
  expect(problems).toEqual([]);
});

test('errors come through by their type', async () => {
  const client = await open();
  const one = route();
  await client.put('shop', 5, [one]);
  await expect(client.put('shop', 4, [])).rejects.toThrow(StaleOrder);
  const taken = { ...route(), listen: { address: engine.host, port: engine.port }, targets: [] };
  await expect(client.put('shop', 6, [taken])).rejects.toThrow(ListenFailed);
  await expect(client.put('shop', 6, [{ ...one, targets: [one.listen] }])).rejects.toThrow(
    'an address the router serves',
  );
  await expect(client.put('a/b', 6, [one])).rejects.toThrow('no name of a group');
  expect(await client.routes()).toEqual(new Map([['shop', { epoch: 5, routes: [one] }]]));
});

test('it outlives the service, and the next service finds it', async () => {
  const one = route();
  const before = await open();
  await before.put('shop', 1, [one]);
  const [pid] = running();
  await before.close();
  expect(await answers(one)).toBe(true);
  const after = await open();
  expect(await after.routes()).toEqual(new Map([['shop', { epoch: 1, routes: [one] }]]));
  const two = route();
  await after.put('other', 1, [two]);
  expect(await answers(two)).toBe(true);
  expect(running()).toEqual([pid]);
});

test('killed, it is started again at once with the same routes, and goes on refusing the past', async () => {
  const client = await open();
  const one = route();
  await client.put('shop', 7, [one]);
  for (let time = 0; time < 3; time += 1) {
    const [pid] = running();
    endProcess(pid!);
    await waitFor(() => answers(one), Boolean, { what: 'the route to be served again' });
    await waitFor(running, (pids) => pids.length === 1 && pids[0] !== pid, { what: 'another router' });
  }
  expect((await client.routes()).get('shop')).toEqual({ epoch: 7, routes: [one] });
  await expect(client.put('shop', 6, [])).rejects.toThrow(StaleOrder);
});

test('killed while no service ran, the next service starts it before it is asked', async () => {
  const client = await open();
  const one = route();
  await client.put('shop', 1, [one]);
  await client.close();
  endProcess(running()[0]!);
  await waitFor(running, (pids) => pids.length === 0, { what: 'no router' });
  await open();
  await waitFor(() => answers(one), Boolean, { what: 'the route to be served again' });
});

test('several services that start it at once get one', async () => {
  const several = await Promise.all([open(), open(), open(), open()]);
  const routes = several.map(route);
  await Promise.all(several.map((client, n) => client.put(`shop-${n}`, 1, [routes[n]!])));
  await waitFor(running, (pids) => pids.length === 1, { what: 'one router' });
  for (const each of routes) expect(await answers(each)).toBe(true);
  expect(readFileSync(join(directory, 'router.log'), 'utf8')).toContain('The router serves');
});

test('by hand: a second one says so; SIGTERM ends the first in good order', async () => {
  const client = await open();
  const one = route();
  await client.put('shop', 1, [one]);
  await client.close();
  const second = await larderCommand(['router', '--data-dir', directory]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`A router serves ${directory} already.`);
  endProcess(running()[0]!, 'SIGTERM');
  await waitFor(running, (pids) => pids.length === 0, { what: 'no router' });
  expect(readFileSync(join(directory, 'router.log'), 'utf8')).toContain('The router ended.');
  expect(await answers(one)).toBe(false);
});

test('tokens are checked with the access keys as they are now', async () => {
  const [key] = await ensureAccessKeys(directory);
  const another = await addAccessKey(directory, 'read-only');
  const listen = { address: freshAddress(), port: 6379 };
  const authority = await openAuthority(join(directory, 'tls'), Date.now);
  const { certificatePem, keyPem } = await authority.issue({
    commonName: 'shop',
    addresses: [listen.address],
    dnsNames: [],
    lifeMs: 60_000,
  });
  const certificate = { certificateFile: join(directory, 'shop.pem'), keyFile: join(directory, 'shop.key') };
  writeFileSync(certificate.certificateFile, certificatePem);
  writeFileSync(certificate.keyFile, keyPem);
  await command(engine, ['ACL', 'SETUSER', 'iam-user', 'on', '>hidden', '~*', '+@all']);
  const client = await open();
  await client.put('shop', 1, [
    {
      kind: 'iam',
      listen,
      certificate,
      upstream: { address: engine.host, port: engine.port },
      cacheName: 'shop',
      region: 'us-east-1',
      iamUsers: [{ userName: 'iam-user', userId: 'iam-user', upstreamPassword: 'hidden' }],
      anonymous: true,
    },
  ]);
  const whoAmI = async ({
    accessKeyId,
    secretAccessKey,
  }: Pick<AccessKey, 'accessKeyId' | 'secretAccessKey'>) => {
    const redis = new Redis({
      host: listen.address,
      port: listen.port,
      tls: { ca: authority.certificatePem },
      retryStrategy: () => null,
      lazyConnect: true,
    });
    redis.on('error', () => {});
    try {
      await redis.connect();
      await redis.call('AUTH', 'iam-user', await token(accessKeyId, secretAccessKey));
      return await redis.acl('WHOAMI');
    } finally {
      redis.disconnect();
    }
  };
  expect(await whoAmI(key!)).toBe('iam-user');
  expect(await whoAmI(another)).toBe('iam-user');
  await removeAccessKey(directory, another.accessKeyId);
  await expect(whoAmI(another)).rejects.toThrow('WRONGPASS');
  await expect(whoAmI({ ...key!, secretAccessKey: 'guess' })).rejects.toThrow('WRONGPASS');
  expect(await client.stats()).toMatchObject([{ iam: { authentications: 2, failures: 2 } }]);
  const log = readFileSync(join(directory, 'router.log'), 'utf8');
  expect(log).toContain('A token of iam-user for shop was refused: unknown-access-key.');
  expect(log).not.toContain('hidden');
});

async function token(accessKeyId: string, secretAccessKey: string): Promise<string> {
  const signer = new SignatureV4({
    credentials: { accessKeyId, secretAccessKey },
    region: 'us-east-1',
    service: 'elasticache',
    sha256: Sha256,
  });
  const { query } = await signer.presign(
    {
      method: 'GET',
      protocol: 'http:',
      hostname: 'shop',
      path: '/',
      headers: { host: 'shop' },
      query: { Action: 'connect', User: 'iam-user' },
    },
    { expiresIn: 900 },
  );
  return `shop/?${new URLSearchParams(query as Record<string, string>)}`;
}

test('it ends when its directory is removed: nobody could tell it anything', async () => {
  const client = await open();
  const one = route();
  await client.put('shop', 1, [one]);
  await client.close();
  await rm(directory, { recursive: true });
  await waitFor(running, (pids) => pids.length === 0, { what: 'no router' });
  expect(await answers(one)).toBe(false);
});

test('what can’t be started is said, with where to look', async () => {
  const client = await routerClient({ directory, command: ['/nowhere/larder'], onProblem: () => {} });
  clients.push(client);
  await expect(client.put('shop', 1, [route()])).rejects.toThrow(`${directory}/router.log says why`);
});
