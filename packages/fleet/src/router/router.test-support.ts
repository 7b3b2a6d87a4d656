/** Engines with TLS, certificates, tokens and plain talk over sockets, for the router's tests. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { EngineName } from '@larder/engine/engine';
import { Redis, type RedisOptions } from 'ioredis';
import { freshAddress, startEngine, type TestEngine } from '../../../../testing/engine.ts';
import { iamToken as signedToken } from '../../../../testing/iam-token.ts';
import { waitFor } from '../../../../testing/wait-for.ts';
import { type Authority, openAuthority } from '../tls/authority.ts';
import type { CertificateFiles, Target } from './route-table.ts';

export const region = 'eu-test-1';
export const secrets: Readonly<Record<string, string>> = { AKTEST: 'secret' };
export const enginePort = 6379;
export const engineTlsPort = 6390;

/** As a client of AWS makes it. */
export function iamToken(cacheName: string, userId: string, at: Date): Promise<string> {
  return signedToken({ accessKeyId: 'AKTEST', secretAccessKey: 'secret', region }, cacheName, userId, at);
}

export interface RouterLab {
  readonly directory: string;
  readonly authority: Authority;
  readonly caFile: string;
  /** A new certificate for the address, in files of that name. */
  issue(name: string, address: string): Promise<CertificateFiles>;
  /** Valkey or Redis, plain on `enginePort` and with TLS on `engineTlsPort`. */
  secureEngine(engine: EngineName): Promise<TestEngine>;
  engine(engine: EngineName, extra?: readonly string[]): Promise<TestEngine>;
  /** An address for a route to listen on. */
  listen(port?: number): Target;
  redis(at: Target, options?: RedisOptions): Redis;
  talk(at: Target, tls?: boolean): Promise<Talk>;
  close(): Promise<void>;
}

/** One connection, and everything that came over it. */
export interface Talk {
  readonly socket: Socket;
  readonly received: string;
  readonly ended: boolean;
  send(text: string | Buffer): void;
  /** Resolves when `text` has come, and forgets what came up to its end. */
  until(text: string): Promise<string>;
  end(): Promise<void>;
}

export async function routerLab(): Promise<RouterLab> {
  const directory = mkdtempSync(join(tmpdir(), 'larder-router-'));
  // Memcached gives up root after its start, and reads renewed files as somebody else.
  chmodSync(directory, 0o755);
  const authority = await openAuthority(join(directory, 'tls'), Date.now);
  const caFile = join(directory, 'tls/ca.pem');
  const engines: TestEngine[] = [];
  const clients: Redis[] = [];
  const sockets: Socket[] = [];

  async function issue(name: string, address: string): Promise<CertificateFiles> {
    const folder = join(directory, name);
    mkdirSync(folder, { recursive: true });
    const { certificatePem, keyPem } = await authority.issue({
      commonName: name,
      addresses: [address],
      dnsNames: [],
      lifeMs: 60 * 60_000,
    });
    const files = { certificateFile: join(folder, 'cert.pem'), keyFile: join(folder, 'cert.key') };
    writeFileSync(files.keyFile, keyPem);
    writeFileSync(files.certificateFile, certificatePem);
    return files;
  }

  async function engine(name: EngineName, extra: readonly string[] = []): Promise<TestEngine> {
    const started = await startEngine(name, extra);
    engines.push(started);
    return started;
  }

  return {
    directory,
    authority,
    caFile,
    issue,
    engine,
    async secureEngine(name) {
      const started = await engine(name);
      const { certificateFile, keyFile } = await issue(started.host, started.host);
      const admin = new Redis({ host: started.host, port: enginePort });
      await admin.call(
        ...(['CONFIG', 'SET', 'tls-ca-cert-file', caFile, 'tls-auth-clients', 'no'] as const),
        ...(['tls-cert-file', certificateFile, 'tls-key-file', keyFile] as const),
        ...(['tls-port', String(engineTlsPort)] as const),
      );
      admin.disconnect();
      return started;
    },
    listen: (port = enginePort) => ({ address: freshAddress(), port }),
    redis({ address: host, port }, options = {}) {
      const client = new Redis({ host, port, retryStrategy: () => null, ...options });
      client.on('error', () => {});
      clients.push(client);
      return client;
    },
    async talk({ address: host, port }, tls = false) {
      const socket = await new Promise<Socket>((resolve, reject) => {
        const opened = tls
          ? connectTls({ host, port, ca: authority.certificatePem }, () => resolve(opened))
          : connect({ host, port }, () => resolve(opened));
        opened.once('error', reject);
      });
      sockets.push(socket);
      return talkOver(socket);
    },
    async close() {
      for (const client of clients) client.disconnect();
      for (const socket of sockets) socket.destroy();
      await Promise.all(engines.map((each) => each.stop()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function talkOver(socket: Socket): Talk {
  let received = '';
  let ended = false;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    ended = true;
  });
  return {
    socket,
    get received() {
      return received;
    },
    get ended() {
      return ended;
    },
    send: (text) => void socket.write(text),
    async until(text) {
      await waitFor(
        () => {
          // A throw would be tried again.
          return { received: received.slice(-2_000), over: ended || received.includes(text) };
        },
        ({ over }) => over,
        { what: JSON.stringify(text), everyMs: 2, limitMs: 10_000 },
      );
      const at = received.indexOf(text);
      if (at === -1) throw new Error(`The connection ended before ${JSON.stringify(text)}: ${received}`);
      const upTo = received.slice(0, at + text.length);
      received = received.slice(at + text.length);
      return upTo;
    },
    async end() {
      await waitFor(() => ended, Boolean, { what: 'the end of the connection', everyMs: 2, limitMs: 10_000 });
    },
  };
}
