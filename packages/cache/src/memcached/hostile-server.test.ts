/** What a server that isn't memcached, or has gone mad, can do to the client: nothing but lose its connection. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { randomOf } from '../testing/random.ts';
import { waitFor } from '../testing/wait-for.ts';
import { MetaClient } from './meta-client.ts';

const servers: Server[] = [];
const clients: MetaClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** Answers the first `mn` of each connection, then as it likes. */
async function serve(answer: (socket: Socket) => void): Promise<{ client: MetaClient; causes: Error[] }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('MN\r\n');
      socket.on('data', () => answer(socket));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  const causes: Error[] = [];
  const client = new MetaClient({
    servers: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }],
    timeoutMs: 200,
    maxValueBytes: 10_000,
    events: { nodeDown: (_node, cause) => causes.push(cause) },
  });
  clients.push(client);
  await client.ready();
  return { client, causes };
}

test.each([
  ['nonsense', 'HTTP/1.1 400 Bad Request\r\n'],
  ['the answer to something else', 'STORED\r\n'],
  ['an answer of another verb', 'NS\r\n'],
  ['a value that is too long', 'VA 10001\r\n'],
  ['more answers than questions', 'EN\r\nEN\r\nEN\r\n'],
  ['a line that never ends', 'x'.repeat(3_000)],
])('%s drops the connection; the next one is as good as new', async (_what, text) => {
  const { client, causes } = await serve((socket) => socket.write(text));
  const asked = await Promise.allSettled([client.get('a')]);
  await waitFor('the connection to be dropped', () => causes.length > 0);
  expect(causes[0]).toMatchObject({ name: 'MetaProtocolError' });
  if (asked[0]!.status === 'rejected') expect(asked[0].reason).toMatchObject({ name: 'MetaProtocolError' });
  await client.ready();
});

test.each([
  ['a number that was not given', 'VA 1 O9\r\nx\r\n'],
  ['a number twice', 'VA 1 O0\r\nx\r\nVA 1 O0\r\nx\r\n'],
  ['numbers backwards', 'VA 1 O1\r\nx\r\nVA 1 O0\r\nx\r\n'],
  ['no number', 'VA 1\r\nx\r\n'],
])('in a quiet run, %s drops the connection', async (_what, text) => {
  const { client } = await serve((socket) => socket.write(text));
  await expect(client.getMany(['a', 'b'])).rejects.toMatchObject({ name: 'MetaProtocolError' });
});

test('a value that never ends is given up after the deadline', async () => {
  const { client } = await serve((socket) => socket.write('VA 9000\r\nonly this'));
  await expect(client.get('a')).rejects.toMatchObject({ name: 'MetaUnavailableError' });
});

test('random bytes neither crash nor hang it', async () => {
  const seed = (Date.now() ^ (process.pid << 8)) >>> 0;
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const words = [
    'HD',
    'EN',
    'VA 3',
    'MN',
    'abc',
    '\r\n',
    '\r\n',
    ' O0',
    ' c1',
    ' W',
    'CLIENT_ERROR x',
    '\0',
    'NF',
  ];
  const { client } = await serve((socket) => {
    let text = '';
    const length = Math.floor(random() * 12);
    for (let n = 0; n < length; n += 1) text += words[Math.floor(random() * words.length)];
    socket.write(text);
    if (random() < 0.2) socket.destroy();
  });
  for (let round = 0; round < 60; round += 1) {
    await client.ready().catch(() => {});
    const asked = Promise.allSettled([client.get('a'), client.getMany(['b', 'c']), client.set('d', 'x')]);
    // What the server leaves open the deadline ends.
    for (const outcome of await asked) {
      if (outcome.status === 'rejected') expect(outcome.reason.name).toMatch(/^Meta|^Error$/);
    }
  }
});
