/** Requests over connections that stay open, one at a time on each, with as little of its own as can be. */
import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  readonly port: number;
  readonly count: number;
  readonly path: string;
  /** Each request takes the next one. */
  readonly cookies: readonly string[];
}

export interface OpenLoad {
  /** Rejects when an answer isn't 200, or a connection ends. */
  run(forMs: number): Promise<{ readonly requests: number; readonly elapsedMs: number }>;
  close(): void;
}

export async function openConnections({ port, count, path, cookies }: LoadOptions): Promise<OpenLoad> {
  const texts = cookies.map((cookie) =>
    Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${cookie}\r\n\r\n`),
  );
  const sockets = await Promise.all(Array.from({ length: count }, () => open(port)));
  let next = 0;
  return {
    async run(forMs) {
      const beganMs = performance.now();
      const untilMs = beganMs + forMs;
      let requests = 0;
      const talk = async (socket: Socket): Promise<void> => {
        while (performance.now() < untilMs) {
          next = (next + 1) % texts.length;
          await exchange(socket, texts[next]!);
          requests += 1;
        }
      };
      await Promise.all(sockets.map(talk));
      return { requests, elapsedMs: performance.now() - beganMs };
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.setEncoding('latin1');
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

function exchange(socket: Socket, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) throw new Error('The server ended a connection.');
    let answer = '';
    const done = (error?: Error): void => {
      socket.removeListener('data', onData);
      socket.removeListener('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onData = (text: string): void => {
      answer += text;
      const head = answer.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(0, head + 2));
      if (length === null || answer.length < head + 4 + Number(length[1])) return;
      done(
        answer.startsWith('HTTP/1.1 200') ? undefined : new Error(`The server said: ${answer.slice(0, 300)}`),
      );
    };
    const onClose = (): void => done(new Error('The server ended a connection.'));
    socket.on('data', onData);
    socket.once('close', onClose);
    socket.write(request);
  });
}
