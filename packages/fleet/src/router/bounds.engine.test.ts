/** One side that does not take what the other sends: the router reads no further than a little ahead. */
import { mkdtemp } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { TestEngine } from '../../../../testing/engine.ts';
import { endProcess } from '../../../../testing/engine-processes.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { eitherService } from './either-route.ts';
import { encodeCommand } from './resp-skimmer.ts';
import type { Route, Target } from './route-table.ts';
import { engineTlsPort, type RouterLab, routerLab } from './router.test-support.ts';
import { createRouter, type Router } from './router.ts';

const megabyte = 2 ** 20;
/** Buffers of the kernel on both of the router's sides included; far less than what is sent. */
const mostOnTheWay = 64 * megabyte;
const sent = 200 * megabyte;

let lab: RouterLab;
let redis: TestEngine;
let memcached: TestEngine;
beforeAll(async () => {
  lab = await routerLab();
  [redis, memcached] = await Promise.all([lab.secureEngine('valkey'), lab.engine('memcached', ['-I', '8m'])]);
});
afterAll(() => lab.close());

let router: Router | undefined;
afterEach(async () => {
  for (const { pid } of [redis, memcached]) endProcess(pid, 'SIGCONT');
  await router?.close();
});

async function serve(kind: Route['kind']): Promise<{ listen: Target; engine: TestEngine; tls: boolean }> {
  router = await createRouter({
    directory: await mkdtemp(join(lab.directory, 'router-')),
    lookupSecret: () => undefined,
    nowMs: Date.now,
    onProblem: () => {},
  });
  const listen = lab.listen();
  const place = { address: redis.host, port: redis.port };
  const secure = { address: redis.host, port: engineTlsPort };
  const routes: Record<Route['kind'], () => Promise<Route>> = {
    either: async () => ({ kind: 'either', listen, plain: place, tls: secure }),
    spread: async () => ({ kind: 'spread', listen, targets: [place] }),
    iam: async () => ({
      kind: 'iam',
      listen,
      certificate: await lab.issue('bounds', listen.address),
      upstream: { ...secure, caFile: lab.caFile },
      cacheName: 'shop',
      iamUsers: [],
      anonymous: true,
    }),
    discovery: async () => ({
      kind: 'discovery',
      listen,
      configVersion: 1,
      nodes: [],
      targets: [{ address: memcached.host, port: memcached.port }],
    }),
  };
  await router.put('shop', 1, [await routes[kind]()]);
  return { listen, engine: kind === 'discovery' ? memcached : redis, tls: kind === 'iam' };
}

/** Sends pieces until all are taken or none has been for a second; returns how many bytes were taken. */
async function sendWhileTaken(socket: Socket, piece: Buffer): Promise<number> {
  let taken = 0;
  let stuck = false;
  while (taken < sent && !stuck && !socket.destroyed) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        stuck = true;
        resolve();
      }, 1_000);
      socket.write(piece, () => {
        clearTimeout(timer);
        if (!stuck) taken += piece.length;
        resolve();
      });
    });
  }
  return taken;
}

test.each([
  'either',
  'spread',
  'iam',
  'discovery',
] as const)('%s: an engine that reads nothing', async (kind) => {
  const { listen, engine, tls } = await serve(kind);
  const value = Buffer.alloc(megabyte, 'x');
  const piece =
    kind === 'discovery'
      ? Buffer.concat([Buffer.from(`set large 0 0 ${value.length}\r\n`), value, Buffer.from('\r\n')])
      : encodeCommand(['SET', 'large', value]);
  const talk = await lab.talk(listen, tls);
  talk.send(kind === 'discovery' ? 'mn\r\n' : 'PING\r\n');
  await talk.until(kind === 'discovery' ? 'MN\r\n' : '+PONG\r\n');
  endProcess(engine.pid, 'SIGSTOP');
  const before = process.memoryUsage();
  expect(await sendWhileTaken(talk.socket, piece)).toBeLessThan(mostOnTheWay);
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(mostOnTheWay);
  // And it goes on where it stood.
  endProcess(engine.pid, 'SIGCONT');
  await talk.until(kind === 'discovery' ? 'STORED\r\n' : '+OK\r\n');
});

test.each([
  'either',
  'spread',
  'iam',
  'discovery',
] as const)('%s: a client that reads nothing', async (kind) => {
  const { listen, tls } = await serve(kind);
  const value = Buffer.alloc(megabyte - 1_000, 'x');
  const [store, read, last] =
    kind === 'discovery'
      ? [`set large 0 0 ${value.length}\r\n${value}\r\n`, 'get large\r\nconfig get cluster\r\n', 'mn\r\n']
      : [encodeCommand(['SET', 'large', value]), encodeCommand(['GET', 'large']), 'PING\r\n'];
  const talk = await lab.talk(listen, tls);
  talk.send(store);
  await talk.until(kind === 'discovery' ? 'STORED\r\n' : '+OK\r\n');
  talk.socket.pause();
  const before = process.memoryUsage();
  const times = Math.floor(sent / value.length);
  for (let time = 0; time < times; time += 1) talk.send(read);
  talk.send(last);
  const gone = await lab.talk(listen, tls);
  gone.send(last);
  await gone.until(kind === 'discovery' ? 'MN\r\n' : '+PONG\r\n');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(mostOnTheWay);
  let bytes = 0;
  let tail = '';
  talk.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 10))).slice(-10);
  });
  talk.socket.resume();
  await waitFor(
    () => tail,
    (text) => text.endsWith(kind === 'discovery' ? 'MN\r\n' : '+PONG\r\n'),
    {
      what: 'the last answer',
    },
  );
  expect(bytes).toBeGreaterThan(times * value.length);
});

test('either: a client that says nothing is led to the engine’s plain port after a while', async () => {
  const greeter = createServer((socket) => void socket.end('hello\r\n'));
  const plain = lab.listen();
  await new Promise<void>((resolve) => greeter.listen(plain.port, plain.address, resolve));
  const listen = lab.listen();
  const service = eitherService({ kind: 'either', listen, plain, tls: lab.listen() }, 50);
  const server = createServer({ allowHalfOpen: true }, (socket) => service.accept(socket));
  await new Promise<void>((resolve) => server.listen(listen.port, listen.address, resolve));
  try {
    const talk = await lab.talk(listen);
    await talk.until('hello\r\n');
  } finally {
    service.close();
    server.close();
    greeter.close();
  }
});
