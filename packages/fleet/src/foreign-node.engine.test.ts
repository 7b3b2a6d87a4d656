import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { startEngine, type TestEngine } from '../../../testing/engine.ts';
import { askForeignNode, canFollow, ForeignNodeFault } from './foreign-node.ts';

const open: (TestEngine | Server)[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) {
    if ('stop' in each) await each.stop();
    else each.close();
  }
});

async function engine(...options: Parameters<typeof startEngine>): Promise<TestEngine> {
  const started = await startEngine(...options);
  open.push(started);
  return started;
}

/** Listens and does as told with whoever comes. @returns its port. */
function listen(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    answer(socket);
  });
  open.push(server);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}

const fault = (address: string, port: number) =>
  askForeignNode(address, port).then(
    () => 'no fault',
    (error: Error) => (error instanceof ForeignNodeFault ? error.message : String(error)),
  );

describe('a node that is not ours', () => {
  test('says who it is', async () => {
    const valkey = await engine('valkey');
    const redis = await engine('redis', ['--replicaof', valkey.host, String(valkey.port)], '7.0');
    expect(await askForeignNode(valkey.host, valkey.port)).toMatchObject({
      engine: 'valkey',
      role: 'primary',
      clusterEnabled: false,
    });
    const seen = await askForeignNode(redis.host, redis.port);
    expect(seen).toMatchObject({ engine: 'redis', role: 'replica' });
    expect(seen.version).toMatch(/^7\.0\./);
  });

  test('is refused when it wants a password, hangs up, talks without end or speaks something else', async () => {
    const locked = await engine('valkey', ['--requirepass', 'secret']);
    expect(await fault(locked.host, locked.port)).toContain('wants a password');
    expect(await fault('127.0.0.1', await listen((socket) => socket.end()))).toContain('hung up');
    const web = await listen((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await fault('127.0.0.1', web)).toContain('does not answer as');
    const endless = await listen((socket) => {
      const more = (): void => {
        if (!socket.destroyed) socket.write(Buffer.alloc(65_536, 'x'), () => more());
      };
      more();
    });
    expect(await fault('127.0.0.1', endless)).toContain('does not answer as');
    expect(await fault('127.0.0.1', await listen(() => {}))).toContain('did not answer within');
  });
});

test('data is taken on by what can read it', () => {
  const valkey = { engine: 'valkey', version: '9.1.2' } as const;
  const redis = { engine: 'redis', version: '7.0.15' } as const;
  expect(canFollow(valkey, redis)).toBe(true);
  expect(canFollow(valkey, { engine: 'redis', version: '7.2.4' })).toBe(true);
  expect(canFollow(valkey, { engine: 'valkey', version: '8.1.1' })).toBe(true);
  expect(canFollow(valkey, { engine: 'redis', version: '7.4.0' })).toBe(false);
  expect(canFollow(redis, { engine: 'redis', version: '6.2.1' })).toBe(true);
  expect(canFollow(redis, { engine: 'redis', version: '7.2.4' })).toBe(false);
  expect(canFollow(redis, valkey)).toBe(false);
});
