import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminSocket } from '@larder/engine/config-file';
import { afterEach, expect, test } from 'vitest';
import { adminConnection } from './admin-connection.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

/** Listens where the engine of `folder` would. */
async function listen(folder: string, answer: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    answer(socket);
  });
  ends.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(join(folder, adminSocket), resolve));
  return server;
}

test('is opened again when what answered ends in the middle of the greeting', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'larder-admin-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  let greeted = 0;
  // As a process that is dying: it takes the connection, never answers, and ends.
  const dying = await listen(folder, (socket) => {
    greeted += 1;
    socket.once('data', () => socket.destroy());
  });
  let ready = () => {};
  const closed = new Promise<void>((resolve) => {
    const admin = adminConnection(folder, 'secret', { onReady: () => ready(), onClose: resolve });
    ends.push(() => admin.close());
  });
  await closed;
  expect(greeted).toBeGreaterThan(0);
  await new Promise((resolve) => dying.close(resolve));

  const again = new Promise<void>((resolve) => {
    ready = resolve;
  });
  await listen(folder, (socket) => socket.on('data', () => socket.write('+OK\r\n')));
  await again;
});
