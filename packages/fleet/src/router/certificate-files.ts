/** Certificates for the router's listeners, read again when their files change. */
import { readFile, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type TLSSocket } from 'node:tls';
import type { CertificateFiles } from './route-table.ts';

const lookEveryMs = 1_000;
const handshakeTimeoutMs = 10_000;

/** Ends TLS on connections that somebody else accepted. */
export interface TlsTermination {
  accept(socket: Socket): void;
  /** Reads the files now; what it returns has new connections see them. @throws when they don't fit each other. */
  read(files: CertificateFiles): Promise<() => void>;
  /** Closes what was accepted, in the middle of a handshake too. */
  close(): void;
}

export interface TlsTerminationOptions {
  readonly files: CertificateFiles;
  readonly onSecure: (socket: TLSSocket) => void;
  readonly onProblem: (error: Error) => void;
}

/** @throws when the files can't be read or don't fit each other. */
export async function terminateTls({
  files,
  onSecure,
  onProblem,
}: TlsTerminationOptions): Promise<TlsTermination> {
  let present = files;
  let seen = '';
  let reported = '';
  const accepted = new Set<Socket>();
  // It never listens itself: connections are handed to it.
  const server = createServer(
    { minVersion: 'TLSv1.2', handshakeTimeout: handshakeTimeoutMs, allowHalfOpen: true },
    onSecure,
  );
  server.on('tlsClientError', (_, socket: TLSSocket) => socket.destroy());

  async function read(from: CertificateFiles): Promise<() => void> {
    // Before the reading: what changes meanwhile is read the next time.
    const stamp = await stampOf(from);
    const [cert, key] = await Promise.all([readFile(from.certificateFile), readFile(from.keyFile)]);
    try {
      // The server's own method takes any two.
      createSecureContext({ cert, key });
    } catch (error) {
      throw new Error(
        `${from.certificateFile} and ${from.keyFile} are no certificate and its key: ${(error as Error).message}`,
        { cause: error },
      );
    }
    return () => {
      server.setSecureContext({ cert, key });
      present = from;
      seen = stamp;
      reported = '';
    };
  }

  (await read(files))();
  const timer = setInterval(() => {
    void (async () => {
      try {
        if ((await stampOf(present)) !== seen) (await read(present))();
      } catch (error) {
        // One of the two is new, perhaps, and the other comes in a moment. Said once, not every second.
        const { message } = error as Error;
        if (message !== reported) onProblem(error as Error);
        reported = message;
      }
    })();
  }, lookEveryMs);
  timer.unref();
  return {
    accept(socket) {
      accepted.add(socket);
      socket.once('close', () => accepted.delete(socket));
      server.emit('connection', socket);
    },
    read,
    close() {
      clearInterval(timer);
      for (const socket of accepted) socket.destroy();
    },
  };
}

async function stampOf({ certificateFile, keyFile }: CertificateFiles): Promise<string> {
  const stats = await Promise.all([certificateFile, keyFile].map((file) => stat(file, { bigint: true })));
  return stats.map(({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`).join(' ');
}
