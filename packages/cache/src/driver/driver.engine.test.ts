/** The contract of driver.ts, over every driver. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { startCluster } from '../../../../testing/engine-cluster.ts';
import { waitFor } from '../testing/wait-for.ts';
import type { Driver, DriverOptions, Link, LinkEvents } from './driver.ts';
import { ioredis } from './ioredis.ts';
import { iovalkey } from './iovalkey.ts';
import { nodeRedis } from './node-redis.ts';

const drivers: readonly [string, (options: DriverOptions) => Driver][] = [
  ['node-redis', nodeRedis],
  ['ioredis', ioredis],
  ['iovalkey', iovalkey],
];

let engine: TestEngine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine?.stop());

interface Log {
  readonly events: LinkEvents;
  readonly seen: readonly string[];
  /** Waits for the nth `up`. */
  up(count?: number): Promise<unknown>;
}

function log(): Log {
  const seen: string[] = [];
  return {
    seen,
    events: { up: () => seen.push('up'), down: () => seen.push('down') },
    up: (count = 1) => waitFor(`up ${count}`, () => seen.filter((event) => event === 'up').length >= count),
  };
}

async function openLink(driver: Driver): Promise<Link & Log> {
  const events = log();
  const link = driver.openLink(driver.nodes[0]!, events.events);
  await events.up();
  return { ...events, ...link };
}

/** Rejects later, when somebody looks. */
function inFlight(link: Link, args: readonly string[]): Promise<unknown> {
  const reply = link.send(args);
  reply.catch(() => {});
  return reply;
}

describe.each(drivers)('%s', (_, driverOf) => {
  test('sends, passes on replies as strings, and errors as the engine words them', async () => {
    const link = await openLink(driverOf(engine));
    await link.send(['SET', 'greeting', 'grüß']);
    expect(await link.send(['MGET', 'greeting', 'nothing'])).toEqual(['grüß', null]);
    expect(await link.send(['EVAL', "return {1, 'a', false}", '0'])).toEqual([1, 'a', null]);
    await expect(link.send(['EVALSHA', 'f'.repeat(40), '0'])).rejects.toThrow(/^NOSCRIPT/);
    const words = ['MOVED 12 host:1', 'READONLY no', 'CLUSTERDOWN no', 'TRYAGAIN no', 'LARDER no'];
    for (const error of words) {
      const script = `return redis.error_reply('${error}')`;
      await expect(link.send(['EVAL', script, '0'])).rejects.toThrow(error);
    }
    link.close();
    await expect(link.send(['PING'])).rejects.toThrow();
  });

  test('rejects at once while down, rejects what is in flight when cut, and comes back', async () => {
    const own = await startEngine();
    const link = await openLink(driverOf(own));
    const waiting = inFlight(link, ['BLPOP', 'never', '0']);
    await own.kill();
    await expect(waiting).rejects.toThrow();
    await waitFor('down', () => link.seen.includes('down'));
    await expect(link.send(['INCR', 'sent'])).rejects.toThrow();
    await own.restart();
    await link.up(2);
    // What was refused while down isn't sent later.
    expect(await link.send(['GET', 'sent'])).toBeNull();
    expect(link.seen).toEqual(['up', 'down', 'up']);
    link.close();
    await own.stop();
  });

  test('reset drops a connection that hangs', async () => {
    const link = await openLink(driverOf(engine));
    const hanging = inFlight(link, ['BLPOP', 'never', '0']);
    link.reset();
    await expect(hanging).rejects.toThrow();
    await link.up(2);
    link.close();
  });

  test('a stopped process: what it answers late answers nobody', async () => {
    const own = await startEngine();
    const link = await openLink(driverOf(own));
    process.kill(own.pid, 'SIGSTOP');
    const before = Array.from({ length: 50 }, (_, i) => inFlight(link, ['ECHO', `before ${i}`]));
    link.reset();
    // Its kernel still accepts connections, so the next one is up soon; what is in flight mustn't wait so long.
    const rejected = Promise.allSettled(before).then((replies) => replies.map(({ status }) => status));
    const reconnected = link.up(2).then(() => 'reconnected first');
    expect(await Promise.race([rejected, reconnected])).toEqual(before.map(() => 'rejected'));
    process.kill(own.pid, 'SIGCONT');
    await link.up(2);
    const after = Array.from({ length: 50 }, (_, i) => link.send(['ECHO', `after ${i}`]));
    expect(await Promise.all(after)).toEqual(after.map((_, i) => `after ${i}`));
    link.close();
    await own.stop();
  });

  test('commands of one go arrive in order, each with its own reply', async () => {
    const link = await openLink(driverOf(engine));
    await link.send(['DEL', 'list']);
    const numbers = Array.from({ length: 2_000 }, (_, i) => i + 1);
    const lengths = numbers.map((number) => link.send(['RPUSH', 'list', String(number)]));
    expect(await Promise.all(lengths)).toEqual(numbers);
    expect(await link.send(['LRANGE', 'list', '0', '-1'])).toEqual(numbers.map(String));
    link.close();
  });

  test('text of every kind, and of 10 MB, comes back as it was', async () => {
    const link = await openLink(driverOf(engine));
    const control = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
    const texts = ['', ' ', '\r\n', '$3\r\nfoo\r\n', '\0', control, '漢字 👩‍👩‍👧 e\u0301', '\u2028\ufeff'];
    for (const text of texts) {
      await link.send(['SET', text, text]);
      expect(await link.send(['GET', text])).toBe(text);
    }
    // A length that cuts many chunks inside of a character.
    const long = 'aé漢👩'.repeat(1_000_003);
    await link.send(['SET', 'long', long]);
    const [one, echo, two] = await Promise.all([
      link.send(['GET', 'long']),
      link.send(['ECHO', 'between']),
      link.send(['GET', 'long']),
    ]);
    expect([one === long, echo, two === long]).toEqual([true, 'between', true]);
    await link.send(['DEL', 'long']);
    link.close();
  });

  test.each([false, true])('hears its channels, sharded: %s', async (sharded) => {
    const driver = driverOf(engine);
    const { events, seen, up } = log();
    const heard: string[] = [];
    const subscriber = driver.openSubscriber(
      driver.nodes[0]!,
      { channels: ['{a}one', '{a}two'], sharded },
      { ...events, message: (channel, text) => heard.push(`${channel} ${text}`) },
    );
    const publish = sharded ? 'SPUBLISH' : 'PUBLISH';
    await up();
    await command(engine, [publish, '{a}one', 'first']);
    await command(engine, [publish, '{a}two', 'é']);
    await waitFor('both messages', () => heard.length === 2);
    expect(heard).toEqual(['{a}one first', '{a}two é']);
    await command(engine, ['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    await up(2);
    await command(engine, [publish, '{a}one', 'again']);
    await waitFor('the third message', () => heard.length === 3);
    expect(seen).toEqual(['up', 'down', 'up']);
    subscriber.close();
  });

  test('closed means closed: also while it connects, also of a stopped process', async () => {
    const own = await startEngine();
    const driver = driverOf(own);
    const node = driver.nodes[0]!;
    const subscription = { channels: ['news'], sharded: false };
    const { events, seen } = log();
    const listening = { ...events, message: () => seen.length };
    // Closed at once, while its connection is being made.
    driver.openLink(node, events).close();
    driver.openSubscriber(node, subscription, listening).close();
    const link = await openLink(driver);
    const heard = log();
    const subscriber = driver.openSubscriber(node, subscription, { ...listening, ...heard.events });
    await heard.up();
    process.kill(own.pid, 'SIGSTOP');
    const waiting = inFlight(link, ['PING']);
    link.close();
    subscriber.close();
    await expect(waiting).rejects.toThrow();
    driver.openLink(node, events).close();
    process.kill(own.pid, 'SIGCONT');
    await waitFor('nobody but the one who asks', async () => {
      const clients = await command(own, ['CLIENT', 'LIST']);
      return clients.split('\n').filter((line) => line.startsWith('id=')).length === 1;
    });
    expect(seen).toEqual([]);
    await own.stop();
  });
});

test('passwords and names of users are used', async () => {
  const locked = await startEngine('valkey', ['--requirepass', 'secret']);
  const admin = await openLink(nodeRedis({ host: locked.host, port: locked.port, password: 'secret' }));
  await admin.send(['ACL', 'SETUSER', 'reader', 'on', '>other', '~*', '&*', '+@all']);
  for (const [, driverOf] of drivers) {
    for (const login of [{ password: 'secret' }, { username: 'reader', password: 'other' }]) {
      const link = await openLink(driverOf({ host: locked.host, port: locked.port, ...login }));
      expect(await link.send(['ACL', 'WHOAMI'])).toBe('username' in login ? login.username : 'default');
      link.close();
    }
  }
  admin.close();
  await locked.stop();
});

test('TLS, with an authority of its own, and without trust not at all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'larder-test-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=cache.test', '-addext', 'subjectAltName=DNS:cache.test', '-days', '2'];
  const fresh = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await promisify(execFile)('openssl', [...fresh, '-keyout', key, '-out', cert, ...subject]);
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
  const secured = await startEngine('valkey', ['--tls-port', '6390', '--tls-auth-clients', 'no', ...files]);
  const address = { host: secured.host, port: 6390 };
  const ca = await readFile(cert, 'utf8');
  for (const [, driverOf] of drivers) {
    const driver = driverOf({ ...address, tls: { ca, servername: 'cache.test' } });
    const link = await openLink(driver);
    expect(await link.send(['CLIENT', 'INFO'])).toContain(':6390');
    const { events, up } = log();
    const heard: string[] = [];
    const subscriber = driver.openSubscriber(
      address,
      { channels: ['news'], sharded: false },
      { ...events, message: (_, text) => heard.push(text) },
    );
    await up();
    await link.send(['PUBLISH', 'news', 'over TLS']);
    await waitFor('the message', () => heard[0] === 'over TLS');
    link.close();
    subscriber.close();
    // The second attempt shows that the first one failed.
    const distrusting = log();
    let attempts = 0;
    const counting = createServer((near) => {
      attempts += 1;
      const far = connect(address.port, address.host);
      for (const socket of [near, far]) socket.on('error', () => {});
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((resolve) => counting.listen(0, '127.0.0.1', resolve));
    const place = { host: '127.0.0.1', port: (counting.address() as AddressInfo).port };
    const refused = driverOf({ ...place, tls: { servername: 'cache.test' } });
    const untrusting = refused.openLink(place, distrusting.events);
    await waitFor('a second attempt', () => attempts >= 2);
    expect(distrusting.seen).toEqual([]);
    untrusting.close();
    counting.close();
  }
  await secured.stop();
  await rm(folder, { recursive: true });
});

test('sharded channels of several slots on each node of a cluster', async () => {
  const cluster = await startCluster(3);
  const places = new Map<number, string[]>();
  for (let i = 0; [...places.values()].filter(({ length }) => length >= 3).length < 3; i += 1) {
    const channel = `{${i}}#ch`;
    const slot = Number((await command(cluster.nodes[0]!, ['CLUSTER', 'KEYSLOT', channel])).slice(1));
    const node = Math.floor(slot / Math.ceil(16_384 / 3));
    const channels = places.get(node) ?? [];
    places.set(node, channels);
    if (channels.length < 3) channels.push(channel);
  }
  for (const [, driverOf] of drivers) {
    const driver = driverOf({ cluster: cluster.nodes });
    for (const [index, channels] of places) {
      const node = cluster.nodes[index]!;
      const { events, seen, up } = log();
      const heard: string[] = [];
      const message = (channel: string, text: string): unknown => heard.push(`${channel} ${text}`);
      const subscriber = driver.openSubscriber(node, { channels, sharded: true }, { ...events, message });
      await up();
      for (const channel of channels) await command(node, ['SPUBLISH', channel, 'hello']);
      await waitFor('all channels', () => heard.length === channels.length);
      expect(heard).toEqual(channels.map((channel) => `${channel} hello`));
      // A slot moves away: its channel would be silent from now on.
      const slot = (await command(node, ['CLUSTER', 'KEYSLOT', channels[0]!])).slice(1).trim();
      const target = cluster.nodes[(index + 1) % 3]!;
      const move = async (owner: TestEngine): Promise<void> => {
        const id = (await command(owner, ['CLUSTER', 'MYID'])).split('\r\n')[1]!;
        for (const each of [owner, target, node])
          await command(each, ['CLUSTER', 'SETSLOT', slot, 'NODE', id]);
      };
      await move(target);
      await waitFor('the end of the subscription', () => seen.includes('down'));
      subscriber.close();
      await move(node);
    }
  }
  await cluster.stop();
});
