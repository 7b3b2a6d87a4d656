/**
 * A bare connection to a Valkey node, without retries, queues or reconnects of its own: whatever measures a
 * failover must not have a client library's patience in its numbers.
 */
import { connect, type Socket } from 'node:net';
import type { CacheEndpoint } from './cache-group.ts';

export interface RespConnection {
  /**
   * One command at a time. Answers simple strings, integers and bulk strings as text, nil as null.
   * @throws the error reply's text, or that the connection broke, or that no reply came in `timeoutMs`;
   * after the last two it is of no further use.
   */
  command(words: readonly string[], timeoutMs?: number): Promise<string | null>;
  close(): void;
}

const crlf = '\r\n';

export async function openResp({ host, port }: CacheEndpoint, timeoutMs = 1_000): Promise<RespConnection> {
  const socket = await connected(host, port, timeoutMs);
  socket.setNoDelay(true);
  let received = '';
  let pending: { resolve(reply: string | null): void; reject(error: Error): void } | undefined;

  function settle(act: (waiting: NonNullable<typeof pending>) => void): void {
    const waiting = pending;
    pending = undefined;
    if (waiting !== undefined) act(waiting);
  }
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
    const reply = parseReply(received);
    if (reply === undefined) return;
    received = '';
    settle((waiting) =>
      reply.error === undefined ? waiting.resolve(reply.text) : waiting.reject(new Error(reply.error)),
    );
  });
  const broken = (error?: Error): void =>
    settle((waiting) => waiting.reject(error ?? new Error('The node closed the connection.')));
  socket.on('error', broken);
  socket.on('close', () => broken());

  return {
    command(words, commandTimeoutMs = 1_000) {
      if (socket.destroyed) return Promise.reject(new Error('The connection is closed.'));
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          socket.destroy();
          settle((waiting) => waiting.reject(new Error(`No reply within ${commandTimeoutMs} ms.`)));
        }, commandTimeoutMs);
        pending = {
          resolve(reply) {
            clearTimeout(timer);
            resolve(reply);
          },
          reject(error) {
            clearTimeout(timer);
            reject(error);
          },
        };
        const body = words.map((word) => `$${Buffer.byteLength(word)}${crlf}${word}${crlf}`).join('');
        socket.write(`*${words.length}${crlf}${body}`);
      });
    },
    close: () => socket.destroy(),
  };
}

/** One command over a connection of its own. */
export async function respCommand(endpoint: CacheEndpoint, words: readonly string[]): Promise<string | null> {
  const connection = await openResp(endpoint);
  try {
    return await connection.command(words, 10_000);
  } finally {
    connection.close();
  }
}

function connected(host: string, port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = setTimeout(
      () => socket.destroy(new Error(`No connection within ${timeoutMs} ms.`)),
      timeoutMs,
    );
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

interface Reply {
  readonly text: string | null;
  readonly error?: string;
}

/** (pure) Undefined while the reply is incomplete. Arrays are not needed here and count as errors. */
export function parseReply(received: string): Reply | undefined {
  const lineEnd = received.indexOf(crlf);
  if (lineEnd < 0) return undefined;
  const line = received.slice(1, lineEnd);
  switch (received[0]) {
    case '+':
    case ':':
      return { text: line };
    case '-':
      return { text: null, error: line };
    case '$': {
      const length = Number(line);
      if (length < 0) return { text: null };
      const start = lineEnd + crlf.length;
      if (received.length < start + length + crlf.length) return undefined;
      return { text: received.slice(start, start + length) };
    }
    default:
      return { text: null, error: `A reply of a kind that is not expected here: ${received.slice(0, 40)}` };
  }
}
