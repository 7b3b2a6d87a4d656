import { spawnSync } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, expect, test } from 'vitest';
import { socketEnder } from './dying-sockets.ts';

const address = '127.91.82.73';
const able = process.getuid?.() === 0 && spawnSync('ss', ['-V']).error === undefined;
if (!able) console.warn('SKIPPED: ending sockets needs root and the program ss.');

const servers: Server[] = [];
const sockets: Socket[] = [];
const ender = socketEnder();
afterAll(() => ender.close());

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** @returns its port, and a client that is connected to it. */
async function served(): Promise<{ readonly port: number; readonly client: Socket }> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as { port: number };
  const client = connect(port, address);
  sockets.push(client);
  await new Promise((resolve) => client.once('connect', resolve));
  return { port, client };
}

test.runIf(able)('ends what listens and what is connected there, and nothing beside', async () => {
  const [one, other] = [await served(), await served()];
  const ended = new Promise<string | undefined>((resolve) =>
    one.client.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)),
  );
  await ender.end(['127.91.82.72', address], [1, one.port]);
  expect(await ended).toBe('ECONNRESET');
  const again = connect(one.port, address);
  sockets.push(again);
  const refused = await new Promise((resolve) =>
    again.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)),
  );
  expect(refused).toBe('ECONNREFUSED');

  const echoed = new Promise((resolve) => other.client.once('data', (chunk) => resolve(String(chunk))));
  other.client.write('still here');
  expect(await echoed).toBe('still here');
});
