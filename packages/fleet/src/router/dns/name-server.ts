/** Answers questions about endpoints' names, over UDP and TCP, from what the control plane told last. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { type Target, targetKey, written } from '../route-table.ts';
import type { MasterEntry } from '../sentinel/masters.ts';
import { answerQuestion, mostQuestionBytes, type NameTable, nameTable } from './answers.ts';
import { readNameServerPlace, writeNameServerPlace } from './name-server-place.ts';

const mostConnections = 200;
const idleLimitMs = 5_000;
const mostPendingBytes = 64 * 1_024;
const retryEveryMs = 1_000;

export interface NameServer {
  /** Where it is served; undefined: nowhere. Returns when that is on disk; an address that is taken is tried again. */
  listenOn(at: Target | undefined): Promise<void>;
  /** Where it is served now. */
  readonly listening: Target | undefined;
  close(): Promise<void>;
}

export interface NameServerOptions {
  /** The router's: holds `dns.json`. */
  readonly directory: string;
  /** Another map whenever something in it changed. */
  readonly entries: () => ReadonlyMap<string, MasterEntry>;
  readonly onProblem: (error: Error) => void;
}

export async function nameServer({ directory, entries, onProblem }: NameServerOptions): Promise<NameServer> {
  let wanted = readNameServerPlace(directory);
  let open: { readonly at: Target; close(): void } | undefined;
  let reported = false;
  let closed = false;
  let line: Promise<void> = Promise.resolve();
  let table: NameTable = nameTable([]);
  let madeFrom: ReadonlyMap<string, MasterEntry> | undefined;
  let turn = 0;

  function answer(message: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
    const now = entries();
    if (now !== madeFrom) {
      table = nameTable(now.values());
      madeFrom = now;
    }
    turn = (turn + 1) % 1_000_000;
    return answerQuestion(table, message, transport, turn);
  }

  /** One attempt at a time. */
  function openUnlessOpen(): Promise<void> {
    line = line.then(async () => {
      if (open !== undefined && (wanted === undefined || targetKey(open.at) !== targetKey(wanted))) {
        open.close();
        open = undefined;
      }
      if (closed || wanted === undefined || open !== undefined) return;
      try {
        open = await openAt(wanted, answer);
        reported = false;
      } catch (error) {
        if (!reported) onProblem(error as Error);
        reported = true;
      }
    });
    return line;
  }

  await openUnlessOpen();
  const retrying = setInterval(() => void openUnlessOpen(), retryEveryMs);

  return {
    async listenOn(at) {
      if (JSON.stringify(at) !== JSON.stringify(wanted)) {
        writeNameServerPlace(directory, at);
        wanted = at;
        reported = false;
      }
      await openUnlessOpen();
    },
    get listening() {
      return open?.at;
    },
    async close() {
      closed = true;
      clearInterval(retrying);
      await line;
      open?.close();
    },
  };
}

type Answers = (message: Buffer, transport: 'udp' | 'tcp') => Buffer | undefined;

async function openAt(at: Target, answer: Answers): Promise<{ readonly at: Target; close(): void }> {
  const datagrams = await openDatagrams(at, answer);
  const streams = await openStreams(at, answer).catch((error: Error) => {
    datagrams.close();
    throw error;
  });
  return {
    at,
    close() {
      datagrams.close();
      streams.close();
    },
  };
}

function openDatagrams(at: Target, answer: Answers): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: at.address.includes(':') ? 'udp6' : 'udp4' });
    socket.once('error', (error) => reject(notServed(at, error)));
    socket.on('message', (message, { address, port }) => {
      const reply = answer(message, 'udp');
      // Who is gone already hears nothing.
      if (reply !== undefined && port !== 0) socket.send(reply, port, address, () => {});
    });
    socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function openStreams(at: Target, answer: Answers): Promise<{ close(): void }> {
  const clients = new Set<Socket>();
  const server: Server = createServer((socket) => {
    clients.add(socket);
    socket.once('close', () => clients.delete(socket));
    socket.on('error', () => {});
    socket.setTimeout(idleLimitMs, () => socket.destroy());
    let pending = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2) {
        const length = pending.readUInt16BE(0);
        if (length > mostQuestionBytes) return void socket.destroy();
        if (pending.length < 2 + length) return;
        const reply = answer(pending.subarray(2, 2 + length), 'tcp');
        pending = pending.subarray(2 + length);
        if (reply === undefined) return void socket.destroy();
        const size = Buffer.alloc(2);
        size.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([size, reply]));
        // A client that does not read what it asks for is cut off.
        if (socket.writableLength > mostPendingBytes) return void socket.destroy();
      }
    });
  });
  server.maxConnections = mostConnections;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(notServed(at, error)));
    server.listen({ host: at.address, port: at.port, exclusive: true }, () => {
      server.on('error', () => {});
      resolve({
        close() {
          server.close();
          for (const socket of clients) socket.destroy();
        },
      });
    });
  });
}

function notServed(at: Target, error: NodeJS.ErrnoException): Error {
  return new Error(
    `Names can't be served on ${written(at)}: ${error.code ?? error.message}. Ports below 1024 need the right to; ` +
      'free the port, or choose another with --dns-listen.',
    { cause: error },
  );
}
