/** The promise: the command says what is wrong, keeps its secrets, and nothing that arrives at its port ends it. */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeReplicationGroupsCommand } from '@aws-sdk/client-elasticache';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGroup, errorName, groupAvailable } from '../testing/elasticache-requests.ts';
import { elastiCacheClient, larderCommand, startLarder, type TestLarder } from '../testing/larder.ts';
import { redisClients } from '../testing/redis-clients.ts';
import { chosenSeed, randomFrom } from '../testing/seed.ts';

const clients = redisClients();
let larder: TestLarder;
let emptyFolder: string;

beforeAll(async () => {
  larder = await startLarder({ logLevel: 'debug' });
  emptyFolder = await mkdtemp(join(tmpdir(), 'larder-e2e-empty-'));
});

afterAll(async () => {
  clients.close();
  await larder?.remove();
  await rm(emptyFolder, { recursive: true, force: true });
});

describe('called wrongly', () => {
  test.each([
    [['sever'], "unknown command 'sever'"],
    [['server', '--prot', '1'], "unknown option '--prot'"],
    [['server', '--port', 'http'], '--port must be a number'],
    [['server', '--port', '70000'], '--port must be a number'],
    [['server', '--log-level', 'loud'], '--log-level must be debug'],
    [['engines', 'install', 'oracle'], 'There is no engine "oracle"'],
    [['engines', 'path'], "missing required argument 'engine'"],
  ])('%j: exit 2 and why', async (args, why) => {
    const { code, stdout, stderr } = await larderCommand(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(why);
    expect(stderr).not.toContain('    at ');
  });

  test('a near miss is corrected, and help goes to stdout', async () => {
    expect((await larderCommand(['sever'])).stderr).toContain('Did you mean server?');
    const help = await larderCommand(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('server [options]');
  });
});

describe('one service for one data directory', () => {
  test('a second one is refused, and the first goes on', async () => {
    const second = await larderCommand(['server', '--data-dir', larder.dataDirectory, '--port', '0']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('Another Larder service has');
    expect(second.stderr).toContain('--data-dir');
    expect(await listed()).toBe('no error');
    // The second one must not have said where it would have been.
    const env = await larderCommand(['env', '--data-dir', larder.dataDirectory, '--json']);
    expect(JSON.parse(env.stdout)).toEqual(larder.access);
  });

  test('a taken port: it says so and ends, and the directory is free again', async () => {
    const taken = await new Promise<Server>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
    });
    const { port } = taken.address() as { port: number };
    const refused = await larderCommand(['server', '--data-dir', emptyFolder, '--port', String(port)]);
    taken.close();
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`Port ${port} is taken`);
  });

  test('env before the first start says what to do', async () => {
    const { code, stderr } = await larderCommand(['env', '--data-dir', join(emptyFolder, 'none')]);
    expect(code).toBe(1);
    expect(stderr).toContain('start the service once with "larder server"');
  });
});

describe('secrets', () => {
  test('are readable by the owner alone', () => {
    const modeOf = (name: string) => statSync(join(larder.dataDirectory, name)).mode & 0o777;
    expect(modeOf('access-keys.json')).toBe(0o600);
    expect(modeOf('.') & 0o077).toBe(0);
    expect(modeOf('nodes') & 0o077).toBe(0);
  });

  test('env prints them for a shell, the log and the process table never', async () => {
    const { stdout } = await larderCommand(['env', '--data-dir', larder.dataDirectory]);
    expect(stdout).toContain(`export AWS_SECRET_ACCESS_KEY=${larder.access.secretAccessKey}\n`);
    expect(stdout).toContain(`export AWS_ENDPOINT_URL_ELASTICACHE=${larder.access.endpoint}\n`);
    await createGroup(larder, 'shop', { NumCacheClusters: 2 });
    await groupAvailable(larder, 'shop');
    expect(larder.log).toContain('CreateReplicationGroup');
    expect(larder.log).not.toContain(larder.access.secretAccessKey);
    for (const { pid } of [...larder.processes(), larder]) {
      for (const file of ['cmdline', 'environ']) {
        expect(readFileSync(`/proc/${pid}/${file}`, 'utf8')).not.toContain(larder.access.secretAccessKey);
      }
    }
  });
});

function listed(change: Parameters<typeof elastiCacheClient>[1] = {}): Promise<string> {
  const client = elastiCacheClient(larder.access, change);
  return errorName(client.send(new DescribeReplicationGroupsCommand({}))).finally(() => client.destroy());
}

describe('who may ask', () => {
  test.each([
    ['a wrong secret', { secretAccessKey: 'x'.repeat(40) }, 'SignatureDoesNotMatch'],
    ['an unknown key', { accessKeyId: 'LARDER00000000000000' }, 'InvalidClientTokenId'],
  ] as const)('%s', async (_, change, error) => {
    expect(await listed(change)).toBe(error);
  });

  test('an unsigned request is refused', async () => {
    const response = await fetch(larder.access.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'Action=DescribeReplicationGroups&Version=2015-02-02',
    });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('<Code>MissingAuthenticationToken</Code>');
  });
});

describe('whatever arrives', () => {
  const post = (body: Uint8Array | string, type = 'application/x-www-form-urlencoded') =>
    fetch(larder.access.endpoint, {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    });

  test('random bodies and types get an answer of the 400s', async () => {
    const random = randomFrom(chosenSeed('hostile bodies'));
    const types = ['application/x-www-form-urlencoded', 'application/json', 'text/xml', 'a/b;charset=\\', ''];
    for (let index = 0; index < 60; index += 1) {
      const body = randomBytes(Math.floor(random() ** 3 * 20_000));
      const response = await post(body, types[Math.floor(random() * types.length)]!);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(500);
      expect(response.headers.get('x-amzn-requestid')).toBeTruthy();
    }
  });

  test('two megabytes are refused without being read', async () => {
    const status = await post('a'.repeat(2 ** 21)).then(
      (response) => response.status,
      // The connection may close while we still send.
      (error: Error) => error.message,
    );
    expect([413, 'fetch failed']).toContain(status);
  });

  test('bytes that are no HTTP, half requests and hang-ups', async () => {
    const port = Number(new URL(larder.access.endpoint).port);
    for (const text of [
      '\0\0\0',
      'GET / HTTP/9.9\r\n\r\n',
      'POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
      '',
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.end(text));
        socket.once('close', () => resolve());
        socket.once('error', () => resolve());
        socket.resume();
      });
    }
    await new Promise<void>((resolve) => {
      const half = request(larder.access.endpoint, { method: 'POST', headers: { 'content-length': 1_000 } });
      half.once('error', () => resolve());
      half.write('Action=');
      half.once('socket', (socket) => socket.once('connect', () => socket.destroy()));
    });
  });

  test("slow senders don't keep others waiting", async () => {
    const port = Number(new URL(larder.access.endpoint).port);
    const slow = Array.from({ length: 200 }, () => connect(port, '127.0.0.1'));
    for (const socket of slow) {
      socket.on('error', () => {});
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nA');
    }
    expect(await listed()).toBe('no error');
    for (const socket of slow) socket.destroy();
  });

  test('afterwards the service is the same and serves', async () => {
    expect(larder.ended).toBe(false);
    expect(await listed()).toBe('no error');
    expect((await fetch(`${larder.access.endpoint}/health`)).status).toBe(200);
    expect(larder.log).not.toContain('"level":50');
  });
});

test('SIGTERM: exit 0, engines serve on, and the next start adopts them', async () => {
  const before = larder.processes();
  const group = await groupAvailable(larder, 'shop');
  const client = clients.to(group.NodeGroups![0]!.PrimaryEndpoint!);
  await client.set('a', '1');
  // A client that holds its connection open does not delay the end.
  const lingering = connect(Number(new URL(larder.access.endpoint).port), '127.0.0.1');
  lingering.on('error', () => {});
  expect(await larder.terminate()).toBe(0);
  lingering.destroy();
  expect(await client.incr('a')).toBe(2);
  expect(larder.processes()).toEqual(before);
  await larder.start();
  await groupAvailable(larder, 'shop');
  expect(await client.incr('a')).toBe(3);
  expect(larder.processes()).toEqual(before);
});
