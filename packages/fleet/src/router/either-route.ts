/** Plain and TLS on one port: the first byte tells which the client speaks. */
import type { Socket } from 'node:net';
import { connections, connectToFirst, inTurn, join } from './connections.ts';
import type { RouteService } from './route-service.ts';
import { type EitherRoute, targetsOf } from './route-table.ts';

/** The type of a TLS record that holds a handshake. No RESP command and no Memcached command begins with it. */
const tlsHandshake = 0x16;
/** Who speaks TLS begins at once. Who is silent is led to the engine, which knows how long it waits for a client. */
const defaultSilentMs = 10_000;

export function eitherService(
  first: EitherRoute,
  silentMs: number = defaultSilentMs,
): RouteService<EitherRoute> {
  const open = connections();
  const deal = inTurn();
  let route = first;

  async function lead(socket: Socket): Promise<void> {
    const connection = open.add(socket);
    const begin = await firstChunk(socket, silentMs);
    if (socket.destroyed || begin === 'ended') return void socket.destroy();
    const speaks = begin !== 'silent' && begin[0] === tlsHandshake ? 'tls' : 'plain';
    const targets = deal([route, ...(route.more ?? [])]).map((node) => node[speaks]);
    const upstream = await open.lead(connection, () => connectToFirst(targets));
    if (upstream === undefined) return;
    if (begin !== 'silent') upstream.write(begin);
    join(socket, upstream);
  }

  return {
    accept: (socket) => void lead(socket).catch(() => socket.destroy()),
    prepare: async (next) => () => {
      route = next;
      open.keepOnly(targetsOf(next));
    },
    counters: () => ({ connections: open.open, totalConnections: open.total }),
    close: () => open.closeAll(),
  };
}

function firstChunk(socket: Socket, silentMs: number): Promise<Buffer | 'silent' | 'ended'> {
  return new Promise((resolve) => {
    const look = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk !== null) finish(chunk);
    };
    const gone = () => finish('ended');
    const timer = setTimeout(() => finish('silent'), silentMs);
    const finish = (result: Buffer | 'silent' | 'ended') => {
      clearTimeout(timer);
      socket.off('readable', look).off('end', gone).off('close', gone);
      resolve(result);
    };
    socket.on('readable', look).on('end', gone).on('close', gone);
  });
}
