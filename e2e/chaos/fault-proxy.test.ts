import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitFor } from '../../testing/wait-for.ts';
import { type FaultProxy, faultProxy } from './fault-proxy.ts';

let echo: Server;
let served: Socket[];
let proxy: FaultProxy;
const opened: Socket[] = [];

/** Sends back what it gets, with a name in front. */
async function echoServer(name: string): Promise<Server> {
  const server = createServer((socket) => {
    served.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(`${name}:${chunk}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function placeOf(server: Server) {
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
}

interface Client {
  readonly socket: Socket;
  readonly received: string;
  readonly end: string | undefined;
}

async function client(): Promise<Client> {
  const { host, port } = proxy.place;
  const socket = connect(port, host);
  opened.push(socket);
  let received = '';
  let end: string | undefined;
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.on('end', () => {
    end ??= 'end';
  });
  socket.on('error', ({ code }: NodeJS.ErrnoException) => {
    end ??= code;
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  return {
    socket,
    get received() {
      return received;
    },
    get end() {
      return end;
    },
  };
}

/** @returns what came since it was asked, which ends with the question. */
async function ask(client: Client, text: string): Promise<string> {
  const before = client.received.length;
  client.socket.write(text);
  await waitFor(
    () => client.received.slice(before),
    (received) => received.endsWith(text),
    { what: `an answer to ${text}`, everyMs: 2 },
  );
  return client.received.slice(before);
}

function lost(bytes: number): Promise<number> {
  return waitFor(
    () => proxy.lostBytes,
    (seen) => seen === bytes,
    { what: `${bytes} bytes to be lost`, everyMs: 2 },
  );
}

beforeEach(async () => {
  served = [];
  echo = await echoServer('one');
  proxy = await faultProxy(placeOf(echo));
});

afterEach(async () => {
  for (const socket of [...opened.splice(0), ...served]) socket.destroy();
  await proxy.close();
  await new Promise((resolve) => echo.close(resolve));
});

test('carries both ways, and a close', async () => {
  const one = await client();
  expect(await ask(one, 'a')).toBe('one:a');
  served[0]!.end();
  await waitFor(
    () => one.end,
    (end) => end === 'end',
    { what: 'the end' },
  );
});

test('in a blackhole nothing arrives, not even that the other side has closed; what was lost stays lost', async () => {
  const [one, other] = [await client(), await client()];
  await ask(one, 'a');
  await ask(other, 'b');
  proxy.set({ kind: 'blackhole' });
  one.socket.write('lost');
  served[1]!.destroy();
  const late = await client();
  late.socket.write('lost too');
  await lost('lost'.length + 'lost too'.length);
  expect([one.received, other.end, late.received]).toEqual(['one:a', undefined, '']);
  proxy.set({ kind: 'open' });
  expect(await ask(one, 'd')).toBe('one:d');
});

test('one way alone: the request arrives, the answer does not', async () => {
  const one = await client();
  await ask(one, 'a');
  proxy.set({ kind: 'blackhole' }, 'to-client');
  const got = new Promise<string>((resolve) => served[0]!.once('data', (chunk) => resolve(String(chunk))));
  one.socket.write('b');
  expect(await got).toBe('b');
  await lost('one:b'.length);
  expect(one.received).toBe('one:a');
  proxy.set({ kind: 'open' });
  expect(await ask(one, 'c')).toBe('one:c');
});

test('a delay holds bytes back and keeps their order when it ends', async () => {
  const one = await client();
  await ask(one, 'a');
  proxy.set({ kind: 'delay', delayMs: 80 }, 'to-target');
  one.socket.write('b');
  await new Promise<void>((resolve) => setImmediate(resolve));
  proxy.set({ kind: 'delay', delayMs: 1 }, 'to-target');
  one.socket.write('c');
  await waitFor(
    () => one.received.replaceAll('one:', ''),
    (received) => received.length === 3,
    { what: 'both answers' },
  );
  expect(one.received.replaceAll('one:', '')).toBe('abc');
});

test('drop resets what is open; later connections go on', async () => {
  const one = await client();
  await ask(one, 'a');
  proxy.drop();
  await waitFor(
    () => one.end,
    (end) => end !== undefined,
    { what: 'the reset' },
  );
  expect(one.end).toBe('ECONNRESET');
  expect(await ask(await client(), 'b')).toBe('one:b');
});

test('retarget: the next connection goes elsewhere, the old one is gone', async () => {
  const one = await client();
  await ask(one, 'a');
  const elsewhere = await echoServer('two');
  proxy.retarget(placeOf(elsewhere));
  await waitFor(
    () => one.end,
    (end) => end !== undefined,
    { what: 'the reset' },
  );
  expect(await ask(await client(), 'b')).toBe('two:b');
  for (const socket of served) socket.destroy();
  await new Promise((resolve) => elsewhere.close(resolve));
});

test('a target that is not there resets the client', async () => {
  const gone = await echoServer('gone');
  const nowhere = placeOf(gone);
  await new Promise((resolve) => gone.close(resolve));
  proxy.retarget(nowhere);
  const one = await client();
  await waitFor(
    () => one.end,
    (end) => end !== undefined,
    { what: 'the reset' },
  );
});
