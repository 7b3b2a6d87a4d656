/**
 * A TCP proxy that breaks connections in the ways of networks: bytes vanish without a FIN, arrive late, arrive in one
 * direction only, or connections are reset. It needs no rights, and stands on a link by being the address that one side
 * is given for the other.
 */
import { createServer, connect as dial, type Socket } from 'node:net';
import type { Place } from '../../testing/cache-client.ts';

export type Direction = 'to-target' | 'to-client';

/** What happens to bytes of one direction. What was held by a delay is delivered in order. */
export type LinkState =
  | { readonly kind: 'open' }
  /** Bytes are taken and thrown away; nobody hears that the other side closed. */
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'delay'; readonly delayMs: number };

export interface FaultProxy {
  readonly place: Place;
  /** What blackholes have taken so far. */
  readonly lostBytes: number;
  /** Both directions, or one. New connections in a blackhole are accepted, as a host behind a silent link seems to. */
  set(state: LinkState, direction?: Direction): void;
  /** Resets every connection that is open now. */
  drop(): void;
  /** New connections go there; those that are open are reset. */
  retarget(target: Place): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly target: Socket;
}

const open: LinkState = { kind: 'open' };

/** @param listen port 0 takes any */
export async function faultProxy(
  target: Place,
  listen: Place = { host: '127.0.0.1', port: 0 },
): Promise<FaultProxy> {
  const states: Record<Direction, LinkState> = { 'to-target': open, 'to-client': open };
  const links = new Set<Link>();
  let goal = target;
  let lostBytes = 0;
  const lose = (chunk: Buffer) => {
    lostBytes += chunk.length;
  };

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const link = { client, target: dial({ ...goal, allowHalfOpen: true }) };
    links.add(link);
    carry(client, link.target, () => states['to-target'], lose);
    carry(link.target, client, () => states['to-client'], lose);
    for (const [socket, other] of [
      [client, link.target],
      [link.target, client],
    ] as const) {
      socket.setNoDelay(true);
      socket.on('error', () => reset(link));
      socket.on('close', () => {
        if (other.destroyed) links.delete(link);
      });
    }
  });

  function reset(link: Link): void {
    links.delete(link);
    for (const socket of [link.client, link.target]) if (!socket.destroyed) socket.resetAndDestroy();
  }
  const drop = () => {
    for (const link of [...links]) reset(link);
  };

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy listens on no port.');
  return {
    place: { host: listen.host, port: address.port },
    get lostBytes() {
      return lostBytes;
    },
    set(state, direction) {
      for (const each of ['to-target', 'to-client'] as const) {
        if (direction === undefined || direction === each) states[each] = state;
      }
    },
    drop,
    retarget(next) {
      goal = next;
      drop();
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      drop();
      await closed;
    },
  };
}

/** One direction. Backpressure is the network's: what the receiver does not take is not read from the sender. */
function carry(from: Socket, to: Socket, state: () => LinkState, lose: (chunk: Buffer) => void): void {
  /** In order: nothing overtakes what came before, whatever the delay is by then. */
  const held: { readonly dueMs: number; readonly act: () => void }[] = [];
  const release = () => {
    while (held[0] !== undefined && held[0].dueMs <= performance.now()) held.shift()!.act();
    if (held[0] !== undefined) setTimeout(release, Math.ceil(held[0].dueMs - performance.now()));
  };
  const later = (act: () => void) => {
    const now = state();
    if (now.kind !== 'delay' && held.length === 0) return act();
    held.push({ dueMs: performance.now() + (now.kind === 'delay' ? now.delayMs : 0), act });
    if (held.length === 1) release();
  };
  from.on('data', (chunk: Buffer) => {
    if (state().kind === 'blackhole') return lose(chunk);
    later(() => {
      if (to.destroyed || to.write(chunk)) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
  });
  from.on('end', () => {
    if (state().kind !== 'blackhole') later(() => to.end());
  });
}
