/** An address that can be moved from one engine to another, or cut off, as a failover does. */
import { connect, createServer, type Socket } from 'node:net';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Cuts every connection; later ones lead to the new place, or nowhere. */
  moveTo(target: { readonly host: string; readonly port: number } | undefined): void;
  close(): Promise<void>;
}

export async function startEndpoint(first: {
  readonly host: string;
  readonly port: number;
}): Promise<Endpoint> {
  let target: { readonly host: string; readonly port: number } | undefined = first;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (target === undefined) {
      near.destroy();
      return;
    }
    const far = connect(target.port, target.host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port.');
  return {
    host: '127.0.0.1',
    port: address.port,
    moveTo(next) {
      target = next;
      for (const socket of sockets) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
