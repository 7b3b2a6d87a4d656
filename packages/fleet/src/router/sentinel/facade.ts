/**
 * Speaks Sentinel's protocol to clients that find their primary by it, and tells them what the control plane decided.
 * It decides nothing. Without passwords and TLS: whoever can connect may know who is primary.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { StaleOrder } from '../../host.ts';
import { type Target, written } from '../route-table.ts';
import type { Monitored, SentinelState } from './answers.ts';
import { eventsBetween, type MasterEntry } from './masters.ts';
import {
  knowsAnything,
  readSentinelFile,
  type SentinelFile,
  servesSentinel,
  writeSentinelFile,
} from './masters-file.ts';
import { SentinelSession } from './session.ts';

const mostConnections = 1_000;
/** A client that does not read what it asks for, or is told, is cut off. */
const mostPendingBytes = 2 ** 20;
const retryEveryMs = 1_000;
/**
 * How long after a change it is told. Who lost the old primary's connection is connecting anew right then, asks, and needs no
 * message; ioredis, told in the middle of it, gives up for ever. Who came meanwhile was told the new state already.
 */
const tellAfterMs = 300;

export interface SentinelFacade {
  /** Where it is served; undefined: nowhere. Returns when that is on disk; an address that is taken is tried again. */
  listenOn(at: Target | undefined): Promise<void>;
  /** What is told of one group. Returns when it is on disk. @throws StaleOrder for a lower epoch than seen. */
  put(owner: string, entry: MasterEntry): void;
  masters(): ReadonlyMap<string, MasterEntry>;
  /** Where it is served now. */
  readonly listening: Target | undefined;
  /** Whether anybody could ask for anything. */
  readonly serves: boolean;
  /** Whether it was told of any group, served or not. */
  readonly knows: boolean;
  close(): Promise<void>;
}

export interface SentinelFacadeOptions {
  /** The service's data directory: holds `sentinel.json`. */
  readonly directory: string;
  readonly onProblem: (error: Error) => void;
}

export async function sentinelFacade({
  directory,
  onProblem,
}: SentinelFacadeOptions): Promise<SentinelFacade> {
  let file: SentinelFile = readSentinelFile(directory);
  const id = createHash('sha1').update(directory).digest('hex');
  let state: SentinelState = { id, masters: monitored(file) };
  const clients = new Map<Socket, SentinelSession>();
  let server: Server | undefined;
  let listening: Target | undefined;
  let reported = false;
  let opening: Promise<void> = Promise.resolve();
  let connections = 0;
  let closed = false;

  function accept(socket: Socket): void {
    socket.on('error', () => {});
    if (clients.size >= mostConnections) {
      socket.end('-ERR max number of clients reached\r\n');
      return;
    }
    connections += 1;
    const session = new SentinelSession(connections, () => state);
    clients.set(socket, session);
    socket.once('close', () => clients.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      for (const reply of session.feed(chunk)) if (!send(socket, reply)) return;
      if (session.ended) socket.end();
    });
  }

  /** @returns whether the client is still served. */
  function send(socket: Socket, text: string): boolean {
    if (socket.destroyed || socket.writableEnded) return false;
    socket.write(text);
    if (socket.writableLength <= mostPendingBytes) return true;
    socket.destroy();
    return false;
  }

  function shut(): void {
    server?.close();
    server = undefined;
    listening = undefined;
    for (const socket of clients.keys()) socket.destroy();
  }

  function keep(next: SentinelFile): void {
    writeSentinelFile(directory, next);
    file = next;
    state = { id, masters: monitored(next) };
  }

  /** One attempt at a time. */
  function openUnlessOpen(): Promise<void> {
    opening = opening.then(async () => {
      const { listen } = file;
      if (closed || listen === undefined || server !== undefined) return;
      try {
        server = await openAt(listen, accept);
        listening = listen;
        reported = false;
      } catch (error) {
        if (!reported) onProblem(error as Error);
        reported = true;
      }
    });
    return opening;
  }

  await openUnlessOpen();
  const retrying = setInterval(() => void openUnlessOpen(), retryEveryMs);

  return {
    async listenOn(at) {
      if (!isDeepStrictEqual(at, file.listen)) {
        keep({ masters: file.masters, ...(at !== undefined && { listen: at }) });
        await opening;
        shut();
        reported = false;
      }
      await openUnlessOpen();
    },
    put(owner, entry) {
      const known = file.masters.get(owner);
      if (known !== undefined && entry.epoch < known.epoch) {
        throw new StaleOrder(
          `The primary of ${owner} in epoch ${entry.epoch} was told after epoch ${known.epoch}; it is refused.`,
        );
      }
      if (isDeepStrictEqual(known, entry)) return;
      keep({ ...file, masters: new Map(file.masters).set(owner, entry) });
      const events = eventsBetween(known?.master, entry.master);
      const present = [...clients];
      setTimeout(() => {
        for (const event of events) {
          for (const [socket, session] of present) {
            for (const message of session.messages(event)) send(socket, message);
          }
        }
      }, tellAfterMs).unref();
    },
    masters: () => file.masters,
    get listening() {
      return listening;
    },
    get serves() {
      return servesSentinel(file);
    },
    get knows() {
      return knowsAnything(file);
    },
    async close() {
      closed = true;
      clearInterval(retrying);
      await opening;
      shut();
    },
  };
}

function monitored({ masters }: SentinelFile): Map<string, Monitored> {
  const named = [...masters.values()].flatMap(({ epoch, master }) =>
    master === undefined ? [] : [[master.name, { epoch, master }] as const],
  );
  return new Map(named);
}

function openAt(at: Target, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true, keepAlive: true }, accept);
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          `Sentinel's protocol can't be served on ${written(at)}: ${error.code ?? error.message}. ` +
            'Free the port, or choose another with --sentinel-port.',
          { cause: error },
        ),
      ),
    );
    server.listen({ host: at.address, port: at.port, exclusive: true }, () => {
      server.on('error', () => {});
      resolve(server);
    });
  });
}
