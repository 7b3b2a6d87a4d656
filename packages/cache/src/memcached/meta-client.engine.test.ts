import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { MetaClientSettings } from './client-settings.ts';
import { MetaAuthenticationError, MetaServerError, MetaTokenError, MetaUnavailableError } from './errors.ts';
import { type CasToken, MetaClient } from './meta-client.ts';
import { deleteCommand, getCommand, setCommand } from './meta-command.ts';

let engines: TestEngine[];
const clients: MetaClient[] = [];
beforeAll(async () => {
  engines = await Promise.all([startEngine('memcached'), startEngine('memcached'), startEngine('memcached')]);
});
afterAll(async () => {
  for (const client of clients) client.close();
  await Promise.all((engines ?? []).map((engine) => engine.stop()));
});

async function open(settings: Partial<MetaClientSettings> = {}): Promise<MetaClient> {
  const client = new MetaClient({ servers: engines.slice(0, 1), ...settings } as MetaClientSettings);
  clients.push(client);
  await client.ready();
  return client;
}

test('stores, reads and deletes text and bytes, under keys of any bytes', async () => {
  const client = await open();
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const keys = ['plain', 'ключ', 'two words', 'line\r\nend', Buffer.from([0, 1, 255])];
  for (const key of keys) {
    expect(await client.set(key, everyByte, { clientFlags: 7, ttlS: 60 })).toMatchObject({
      outcome: 'stored',
    });
    const item = await client.get(key, {
      cas: true,
      ttl: true,
      clientFlags: true,
      size: true,
      hit: true,
      lastAccess: true,
      returnKey: true,
    });
    expect(item!.value!.equals(everyByte)).toBe(true);
    expect(item).toMatchObject({ clientFlags: 7, sizeBytes: 256, hit: false, won: false, lost: false });
    expect(item!.ttlS).toBeGreaterThan(50);
    expect(item!.key!.equals(Buffer.from(key as string))).toBe(true);
    expect((await client.get(key, { hit: true }))!.hit).toBe(true);
  }
  // Base64 is only how a key travels.
  expect((await client.get(Buffer.from('plain')))!.sizeBytes).toBeUndefined();
  expect(await client.delete('plain')).toBe('deleted');
  expect(await client.delete('plain')).toBe('missing');
  expect(await client.get('plain')).toBeUndefined();
  expect(await client.set('', 'x').catch((error: Error) => error.name)).toBe('MetaArgumentError');
});

test('exactly one reader of a miss wins; its fill is refused after a deletion', async () => {
  const client = await open();
  const look = { cas: true, ttl: true, vivifyS: 30 };
  const [first, second] = await Promise.all([client.get('lease', look), client.get('lease', look)]);
  expect([first!.won, second!.won]).toEqual([true, false]);
  expect(second!.lost).toBe(true);
  expect(first!.value!.length).toBe(0);
  expect(await client.delete('lease')).toBe('deleted');
  expect((await client.set('lease', 'late', { token: first!.token! })).outcome).toBe('missing');
  const third = await client.get('lease', look);
  expect(third!.won).toBe(true);
  expect((await client.set('lease', 'late', { token: first!.token! })).outcome).toBe('exists');
  const filled = await client.set('lease', 'right', { token: third!.token!, returnCas: true });
  expect(filled.outcome).toBe('stored');
  expect((await client.get('lease', { cas: true }))!.token).toEqual((filled as { token: unknown }).token);
  // An item marked stale gives one reader the right to load, and refuses the fills begun before.
  expect(await client.delete('lease', { stale: true, ttlS: 30 })).toBe('deleted');
  const stale = await client.get('lease', look);
  expect(stale).toMatchObject({ stale: true, won: true });
  expect((await client.get('lease', look))!.lost).toBe(true);
});

test('an old CAS number may store what is marked stale; one reader recaches what ends soon; reads can touch', async () => {
  const client = await open();
  const before = (await client.set('stale', 'one', { returnCas: true })) as { token: CasToken };
  await client.set('stale', 'two');
  expect((await client.set('stale', 'old', { token: before.token })).outcome).toBe('exists');
  expect((await client.set('stale', 'old', { token: before.token, invalidate: true })).outcome).toBe(
    'stored',
  );
  expect(await client.get('stale')).toMatchObject({ stale: true, won: true });
  await client.set('soon', 'x', { ttlS: 20 });
  expect((await client.get('soon', { recacheS: 10 }))!.won).toBe(false);
  expect((await client.get('soon', { recacheS: 30 }))!.won).toBe(true);
  expect((await client.get('soon', { recacheS: 30 }))!.lost).toBe(true);
  await client.get('soon', { touchS: 500 });
  expect((await client.get('soon', { ttl: true }))!.ttlS).toBeGreaterThan(400);
  await client.set('soon', 'x');
  expect((await client.get('soon', { ttl: true }))!.ttlS).toBe(Number.POSITIVE_INFINITY);
});

test('modes, counters, debugging', async () => {
  const client = await open();
  expect((await client.set('mode', 'b', { mode: 'replace' })).outcome).toBe('not stored');
  expect((await client.set('mode', 'b', { mode: 'add' })).outcome).toBe('stored');
  expect((await client.set('mode', 'b', { mode: 'add' })).outcome).toBe('not stored');
  await client.set('mode', 'c', { mode: 'append' });
  await client.set('mode', 'a', { mode: 'prepend' });
  expect((await client.get('mode'))!.value!.toString()).toBe('abc');
  expect(await client.count('n')).toBeUndefined();
  expect(await client.count('n', { vivifyS: 60, initial: 5 })).toBe(5n);
  expect(await client.count('n', { delta: 3 })).toBe(8n);
  expect(await client.count('n', { delta: 100, mode: 'decrement' })).toBe(0n);
  await expect(client.count('mode')).rejects.toThrow(MetaServerError);
  expect(await client.explain('mode')).toMatchObject({ fetch: 'yes' });
  expect(await client.explain('nothing')).toBeUndefined();
});

test('a refusal of the server is an error of its kind, and the connection goes on', async () => {
  const client = await open();
  const tooLarge = client.set('large', Buffer.alloc(2 ** 21));
  const after = client.set('small', 'x');
  await expect(tooLarge).rejects.toMatchObject({ name: 'MetaServerError', kind: 'SERVER_ERROR' });
  expect((await after).outcome).toBe('stored');
  // 1.6.18 knows neither; newer ones do.
  for (const asked of [
    client.set('explicit', 'x', { explicitCas: '77' }),
    client.delete('small', { dropValue: true }),
  ]) {
    await asked.catch((error: unknown) => expect(error).toMatchObject({ kind: 'CLIENT_ERROR' }));
  }
  expect((await client.get('small'))!.value!.length).toBeLessThanOrEqual(1);
});

test('quiet commands answer in their places, silent or not', async () => {
  const client = await open();
  const node = client.nodeOf('quiet');
  await client.flushAll();
  await client.set('quiet:1', 'one');
  const replies = await node.sendQuiet([
    getCommand('quiet:0'),
    getCommand('quiet:1', { cas: true }),
    setCommand('quiet:2', 'two'),
    setCommand('quiet:2', 'no', { mode: 'add' }),
    setCommand('quiet:2', 'no', { cas: '99999999' }),
    setCommand('quiet:9', 'no', { cas: '1' }),
    getCommand('quiet:2'),
    deleteCommand('quiet:2'),
    deleteCommand('quiet:2'),
    deleteCommand('quiet:1', { cas: '99999999' }),
    getCommand('quiet:3', { vivifyS: 10 }),
  ]);
  const statuses = replies.map((reply) => (reply instanceof MetaServerError ? reply.kind : reply.status));
  // Whether a quiet md of nothing says NF depends on the version.
  expect(statuses.splice(8, 1)[0]).toMatch(/HD|NF/);
  expect(statuses.join(' ')).toBe('EN VA HD NS EX NF VA HD EX VA');
  const refused = await node.sendQuiet([
    getCommand('quiet:1'),
    setCommand('quiet:4', Buffer.alloc(2 ** 21)),
    getCommand('quiet:1'),
  ]);
  expect(refused.map((reply) => reply instanceof MetaServerError)).toEqual([false, true, false]);
});

test('many keys over many nodes, thousands in flight', async () => {
  const client = await open({ servers: engines });
  const keys = Array.from({ length: 5_000 }, (_, n) => `many:${n}`);
  await Promise.all(keys.map((key) => client.set(key, `value of ${key}`)));
  const nodes = new Set(keys.map((key) => client.nodeOf(key)));
  expect(nodes.size).toBe(3);
  const asked = keys.flatMap((key) => [key, `${key}:missing`]);
  const found = await client.getMany(asked);
  for (const [index, key] of asked.entries()) {
    expect(found[index]?.value?.toString()).toBe(index % 2 === 0 ? `value of ${key}` : undefined);
  }
  await client.deleteMany(asked);
  expect((await client.getMany(keys)).every((item) => item === undefined)).toBe(true);
});

test('a restart counts from 1 again: tokens of the connection before are refused here', async () => {
  const engine = await startEngine('memcached');
  const client = await open({ servers: [engine] });
  const look = { cas: true, vivifyS: 30 };
  const before = (await client.get('restart', look))!.token!;
  await engine.kill();
  await expect(client.get('restart')).rejects.toThrow(MetaUnavailableError);
  await engine.restart();
  await client.ready();
  const after = (await client.get('restart', look))!.token!;
  // What makes the rule necessary.
  expect(after.cas).toBe(before.cas);
  await expect(client.set('restart', 'old', { token: before })).rejects.toThrow(MetaTokenError);
  expect((await client.set('restart', 'new', { token: after })).outcome).toBe('stored');
  await engine.stop();
});

test('a server that hangs is given up, and everything in flight is rejected', async () => {
  const engine = await startEngine('memcached');
  const client = await open({ servers: [engine], timeoutMs: 100 });
  process.kill(engine.pid, 'SIGSTOP');
  // It takes a moment until every thread of it has stopped.
  await waitFor('all to be rejected', async () => {
    const asked = [client.get('a'), client.set('b', 'x'), client.getMany(['c', 'd'])];
    const outcomes = await Promise.allSettled(asked);
    return outcomes.every(
      (outcome) => outcome.status === 'rejected' && outcome.reason instanceof MetaUnavailableError,
    );
  });
  process.kill(engine.pid, 'SIGCONT');
  await client.ready();
  expect(await client.get('a')).toBeUndefined();
  await engine.stop();
});

test('logs in as the auth file says, and says what is wrong without saying the password', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'larder-memcached-auth-'));
  // The engine gives up its rights before it reads the file.
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'users'), 'shop:sesame-17\n');
  const engine = await startEngine('memcached', ['-Y', join(folder, 'users')]);
  const servers = [engine];
  const client = await open({ servers, username: 'shop', password: 'sesame-17' });
  expect((await client.set('a', 'x')).outcome).toBe('stored');
  for (const credentials of [{ username: 'shop', password: 'barley-17' }, {}]) {
    const refused = new MetaClient({ servers, ...credentials });
    clients.push(refused);
    const error = await refused.ready().catch((cause: Error) => cause);
    expect(error).toBeInstanceOf(MetaAuthenticationError);
    expect(String(error)).not.toContain('barley');
    await expect(refused.get('a')).rejects.toThrow(MetaAuthenticationError);
  }
  await engine.stop();
  rmSync(folder, { recursive: true });
});

test('speaks TLS, and checks who it speaks with', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'larder-memcached-tls-'));
  chmodSync(folder, 0o755);
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const name = ['-subj', '/CN=cache.test', '-addext', 'subjectAltName=DNS:cache.test', '-days', '2'];
  execFileSync('openssl', [...request, '-keyout', key, '-out', cert, ...name], { stdio: 'ignore' });
  chmodSync(key, 0o644);
  const engine = await startEngine('memcached', ['-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`]);
  const client = await open({
    servers: [engine],
    tls: { ca: readFileSync(cert), servername: 'cache.test', minVersion: 'TLSv1.2' },
  });
  expect((await client.set('a', Buffer.alloc(500_000, 'x'))).outcome).toBe('stored');
  expect((await client.get('a'))!.value!.length).toBe(500_000);
  const distrusting = new MetaClient({ servers: [engine], tls: true });
  clients.push(distrusting);
  await expect(distrusting.ready(1_000)).rejects.toThrow(/self.signed|certificate/i);
  await engine.stop();
  rmSync(folder, { recursive: true });
});

test('a closed client rejects at once', async () => {
  const client = await open();
  await client.barrier();
  client.close();
  await expect(client.ready(50)).rejects.toThrow(MetaUnavailableError);
  await expect(client.get('a')).rejects.toThrow(MetaUnavailableError);
});
