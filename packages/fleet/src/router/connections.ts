/** Sockets joined to sockets, and the keeping track of them. */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type SecureTarget, type Target, targetKey } from './route-table.ts';

/** Loopback and a machine nearby answer in far less; a machine that is down never does. */
const connectTimeoutMs = 1_000;

export class TargetUnreachable extends Error {
  override name = 'TargetUnreachable';
}

/** @throws TargetUnreachable when it does not accept, or shows no certificate of the authority. */
export async function connectTo(target: SecureTarget): Promise<Socket> {
  const { address: host, port, caFile } = target;
  const options = { host, port, noDelay: true, keepAlive: true, allowHalfOpen: true };
  try {
    const socket =
      caFile === undefined
        ? connect(options)
        : connectTls({ ...options, ca: await readFile(caFile), minVersion: 'TLSv1.2' });
    await opened(socket, caFile === undefined ? 'connect' : 'secureConnect');
    return socket;
  } catch (error) {
    throw new TargetUnreachable(`${host}:${port} can't be reached: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  // Later errors show as a close; without a listener they would end the process.
  socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), connectTimeoutMs);
    const finish = (error?: Error) => {
      clearTimeout(timer);
      socket.off(event, finish).off('error', finish).off('close', cut);
      if (error === undefined) resolve();
      else reject(error);
    };
    const cut = () => finish(new Error('closed'));
    socket.on(event, finish).on('error', finish).on('close', cut);
  });
}

/** Carries bytes both ways unchanged until both sides have ended, or one broke. */
export function join(one: Socket, other: Socket): void {
  one.pipe(other);
  other.pipe(one);
  endTogether(one, other);
}

/** When one side is gone the other goes too, after what it still has to send when the first ended in good order. */
export function endTogether(one: Socket, other: Socket): void {
  for (const [gone, left] of [
    [one, other],
    [other, one],
  ] as const) {
    const end = () => (gone.readableEnded ? left.destroySoon() : left.destroy());
    if (gone.closed || gone.destroyed) end();
    else gone.once('close', end);
  }
}

/** What arrives, read only when it is asked for. Ends quietly when the socket ends, breaks or is closed. */
export async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) yield chunk;
    else if (socket.readableEnded || socket.destroyed) return;
    else await oneOf(socket, ['readable', 'end', 'close']);
  }
}

/** Writes, and waits while more is buffered than should be. To a closed socket it does nothing. */
export async function send(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || socket.writableEnded || socket.write(bytes)) return;
  await oneOf(socket, ['drain', 'close']);
}

function oneOf(socket: Socket, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) socket.off(event, done);
      resolve();
    };
    for (const event of events) socket.on(event, done);
  });
}

/** A client's connection: what belongs to it, and where it leads. */
export interface Connection {
  readonly client: Socket;
  /** Set when it was made. */
  upstream?: { readonly socket: Socket; readonly target: Target };
}

export interface Connections {
  readonly open: number;
  /** Since the router was started. */
  readonly total: number;
  /** Until its client is closed. */
  add(client: Socket): Connection;
  /** Joins what `connect` opens to the connection, unless its client has gone meanwhile: then undefined. */
  lead<T extends Target>(
    connection: Connection,
    connect: () => Promise<{ readonly socket: Socket; readonly target: T }>,
  ): Promise<Socket | undefined>;
  /** Closes those that lead to a place which is not among the targets. */
  keepOnly(targets: readonly Target[]): void;
  closeAll(): void;
}

export function connections(): Connections {
  const all = new Set<Connection>();
  let total = 0;
  let allowed: ReadonlySet<string> | undefined;

  function close({ client, upstream }: Connection): void {
    client.destroy();
    upstream?.socket.destroy();
  }

  return {
    get open() {
      return all.size;
    },
    get total() {
      return total;
    },
    add(client) {
      const connection: Connection = { client };
      all.add(connection);
      total += 1;
      client.on('error', () => {});
      client.once('close', () => all.delete(connection));
      return connection;
    },
    async lead(connection, connect) {
      const { socket, target } = await connect();
      // Either may have changed while we connected.
      const isWelcome = allowed === undefined || allowed.has(targetKey(target));
      if (connection.client.destroyed || !isWelcome) {
        socket.destroy();
        connection.client.destroy();
        return undefined;
      }
      connection.upstream = { socket, target };
      return socket;
    },
    keepOnly(targets) {
      const keys = new Set(targets.map(targetKey));
      allowed = keys;
      for (const connection of all) {
        if (connection.upstream !== undefined && !keys.has(targetKey(connection.upstream.target)))
          close(connection);
      }
    },
    closeAll() {
      for (const connection of all) close(connection);
    },
  };
}

/** Deals targets out: at each call another one is the first. */
export function inTurn(): <T>(targets: readonly T[]) => T[] {
  let turn = 0;
  return (targets) => {
    const at = targets.length === 0 ? 0 : turn++ % targets.length;
    return [...targets.slice(at), ...targets.slice(0, at)];
  };
}

/** The first of the targets that accepts. @throws TargetUnreachable of the last when none does. */
export async function connectToFirst<T extends SecureTarget>(
  targets: readonly T[],
): Promise<{ readonly socket: Socket; readonly target: T }> {
  let failure = new TargetUnreachable('There is nowhere to lead a connection.');
  for (const target of targets) {
    try {
      return { socket: await connectTo(target), target };
    } catch (error) {
      failure = error as TargetUnreachable;
    }
  }
  throw failure;
}
